from __future__ import annotations

import os
from pathlib import Path

import pytest

from cleancut.bench.rapl import Meter, idle_watts, unreadable


def domain(root: Path, folder: str, name: str, energy_uj: int, range_uj: int = 1_000_000) -> Path:
    made = root / folder
    made.mkdir()
    (made / "name").write_text(f"{name}\n")
    (made / "energy_uj").write_text(f"{energy_uj}\n")
    (made / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return made / "energy_uj"


def test_packages_are_summed_and_what_is_within_them_or_around_them_is_not(tmp_path: Path) -> None:
    one = domain(tmp_path, "intel-rapl:0", "package-0", 100)
    two = domain(tmp_path, "intel-rapl:1", "package-1", 200)
    others = [
        domain(tmp_path, "intel-rapl:0:0", "core", 0),
        domain(tmp_path, "intel-rapl:2", "psys", 0),
        domain(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    meter = Meter(tmp_path)
    for other in others:
        other.write_text("500000\n")
    one.write_text("300100\n")
    two.write_text("400200\n")
    assert meter.joules() == pytest.approx(0.7)
    meter.close()


def test_a_counter_that_began_anew_goes_on(tmp_path: Path) -> None:
    counter = domain(tmp_path, "intel-rapl:0", "package-0", 900_000)
    meter = Meter(tmp_path)
    counter.write_text("100000\n")
    assert meter.joules() == pytest.approx(0.2)
    counter.write_text("400000\n")
    assert meter.joules() == pytest.approx(0.5)
    meter.close()


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    assert meter.joules() is None
    meter.close()
    assert idle_watts(0.0, tmp_path) is None
    assert "no energy counter" in unreadable(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_counter_for_root_alone_is_told_from_none(tmp_path: Path) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", 1).chmod(0)
    assert "only root" in unreadable(tmp_path)


def test_a_counter_that_holds_no_number_counts_as_unreadable(tmp_path: Path) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", 1).write_text("locked\n")
    assert "only root" in unreadable(tmp_path)
    assert Meter(tmp_path).joules() is None


def test_idle_power_is_joules_by_seconds(tmp_path: Path) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", 7)
    assert unreadable(tmp_path) == ""
    assert idle_watts(0.01, tmp_path) == 0.0
