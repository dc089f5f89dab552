"""NVIDIA drivers that tests pretend to have."""

from __future__ import annotations

from cleancut.backends.gpus import Driver, Gpu

NO_DRIVER = Driver(
    problem="no NVIDIA driver is installed", remedy="install the NVIDIA driver (...)"
)


def card(index: int = 0, compute: tuple[int, int] = (9, 0)) -> Gpu:
    return Gpu(index, f"GPU-{index}", "Card", 16 << 30, compute, 132)


def driver(cuda: tuple[int, int] = (13, 0), *cards: Gpu) -> Driver:
    return Driver(cuda, cards or (card(0), card(1)))
