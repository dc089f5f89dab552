"""A run's log as a picture: loss, learning rate and evaluations against steps."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cleancut.distill.checkpoint import CONFIG, LOG
from cleancut.distill.config import load_config
from cleancut.distill.log import best_step, read_log
from cleancut.errors import InputNotFound
from cleancut.extras import extra
from cleancut.imaging.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Line = NDArray[np.float64]

#: Inches and dots: 1800 pixels, still readable at half of them.
_WIDTH, _DPI = 9.0, 200
_INK, _PALE, _GRID = "#1f2933", "#9aa5b1", "#e4e7eb"
#: Told apart by colour-blind people too (Okabe and Ito, "Color Universal Design", 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a6d00")
#: Points that a smoothed line averages over, as a share of all.
_SMOOTH = 0.02


def draw_curves(run: Path, target: Path | None = None) -> Path:
    """Draw log.jsonl of ``run`` as a PNG, ``RUN/curves.png`` unless ``target`` says otherwise.

    Raises ``InputNotFound`` without a log, ``MissingDependency``, ``OutputNotWritable``.
    """
    lines = read_log(run / LOG)
    losses = [line for line in lines if "loss" in line]
    if not losses:
        raise InputNotFound(
            f"{run}: there is no step in its log", hint="run: cleancut distill train CONFIG"
        )
    target = target or run / "curves.png"
    name = load_config(run / CONFIG).name if (run / CONFIG).is_file() else run.name
    evaluated = {line["step"]: line["eval"] for line in lines if "eval" in line}
    write_atomic(target, _picture(name, losses, evaluated))
    return target


def smoothed(values: Line, share: float = _SMOOTH) -> Line:
    """Running means over ``share`` of all values, shorter at both ends; of the same length."""
    reach = max(1, round(len(values) * share / 2))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    means: Line = (sums[high] - sums[low]) / (high - low)
    return means


def _picture(
    name: str,
    losses: Sequence[Mapping[str, Any]],
    evaluated: Mapping[int, Mapping[str, Mapping[str, float]]],
) -> bytes:
    with extra("train"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    rows = 2 if evaluated else 1
    figure = Figure(figsize=(_WIDTH, 3.2 * rows + 0.4), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False, sharex=True)[:, 0]
    hours = float(losses[-1].get("seconds", 0.0)) / 3600
    figure.suptitle(
        f"{name}: {losses[-1]['step']:,} steps, {hours:.1f} hours", color=_INK, fontsize=13
    )
    _draw_losses(axes[0], losses)
    if evaluated:
        _draw_evaluations(axes[1], evaluated)
    axes[-1].set_xlabel("step", color=_INK)
    axes[-1].set_xlim(left=0)
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _draw_losses(axes: Axes, losses: Sequence[Mapping[str, Any]]) -> None:
    """The loss, its parts, and, on a scale of its own, the learning rate."""
    steps = np.array([line["step"] for line in losses])
    loss = np.array([line["loss"] for line in losses], np.float64)
    axes.plot(steps, smoothed(loss), color=_INK, linewidth=1.8, label="loss")
    names = [name for name in losses[-1].get("parts", {}) if any(_parts(losses, name))]
    for name, colour in zip(names, _COLOURS, strict=False):
        part = smoothed(np.array(_parts(losses, name)))
        axes.plot(steps, part, color=colour, linewidth=1.1, label=name)
    axes.set_yscale("log")
    _style(axes, "loss (weighted)")
    rate = axes.twinx()
    rate.plot(steps, [line["rate"] for line in losses], color=_PALE, linewidth=0.9, linestyle=":")
    rate.set_ylabel("learning rate (dotted)", color=_PALE, fontsize=9)
    rate.tick_params(colors=_PALE, labelsize=8)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate.spines[["top", "left", "bottom", "right"]].set_visible(False)


def _parts(losses: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(line.get("parts", {}).get(name, 0.0)) for line in losses]


def _draw_evaluations(
    axes: Axes, evaluated: Mapping[int, Mapping[str, Mapping[str, float]]]
) -> None:
    """MAD by set on a logarithmic scale; a line where the best evaluation is."""
    steps = sorted(evaluated)
    sets = dict.fromkeys(name for step in steps for name in evaluated[step])
    for name, colour in zip(sets, _COLOURS * len(sets), strict=False):
        seen = [step for step in steps if "mad" in evaluated[step].get(name, {})]
        mads = [max(evaluated[step][name]["mad"], 1e-2) for step in seen]
        axes.plot(seen, mads, color=colour, linewidth=1.4, marker="o", markersize=3, label=name)
    axes.set_yscale("log")
    if (best := best_step(evaluated)) is not None:
        axes.axvline(best, color=_PALE, linewidth=0.9, linestyle="--")
        at, side = (best, 0.02), "left" if best < steps[-1] / 2 else "right"
        where = ("data", "axes fraction")
        axes.annotate(f" best: {best:,} ", at, xycoords=where, ha=side, color=_PALE, fontsize=8)
    _style(axes, "MAD of evaluations")


def _style(axes: Axes, label: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_ylabel(label, color=_INK)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(color=_GRID, linewidth=0.8)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_PALE)
    axes.legend(frameon=False, fontsize=8.5, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
