"""The charts of a report: scatters, bars and radars, each with its message in words.

Drawn by matplotlib (extra ``compare``). Systems are told apart by marker, hatch and name as well as
by colour, so that the charts can be read in print and by everybody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from cleancut.compare.dimensions import DIMENSIONS, main_systems, profile
from cleancut.compare.labels import Box, place
from cleancut.compare.palette import Look, looks, short
from cleancut.compare.readings import cold, over_sets, warm, warm_large
from cleancut.compare.svg import INK, Chart, drawing, element

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cleancut.compare.comparison import Comparison, Group, System

_DPI = 72
#: A bar chart holds no more systems than fit a page of paper.
_MOST_BARS = 40


def scatter(comparison: Comparison, group: Group | None = None) -> Chart | None:
    """Seconds of a warm picture against the mean error (MAD), over all sets or those of a group.

    None without two systems that have both.
    """
    points = []
    for system in comparison.ran:
        seconds = warm(comparison, system.id)
        error = over_sets(comparison, system.id, "mad", (group,) if group else ())
        if seconds and error:  # both axes are logarithmic
            points.append((system, seconds, error))
    if len(points) < 2:
        return None
    what = group or "all sets"
    best = min(points, key=lambda point: point[2])
    fastest = min(points, key=lambda point: point[1])
    says = (
        f"On {what}, the least error has {short(best[0].id)} (MAD {best[2]:.1f},"
        f" {best[1]:.2f} s a picture); the fastest is {short(fastest[0].id)}"
        f" ({fastest[1]:.2f} s, MAD {fastest[2]:.1f})."
    )
    name = f"scatter-{group or 'all'}"
    title = f"Speed against accuracy, {what}"
    with drawing(name):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.6, 5.6), dpi=_DPI, layout="constrained")
        axes = figure.subplots()
        _draw_scatter(axes, comparison, points)
        axes.set_ylabel(f"mean error (MAD), {what}: lower is better")
        svg = element(figure, name, f"{title}. {says}")
    return Chart(name, title, says, svg, 8.6 * _DPI)


def _draw_scatter(
    axes: Axes, comparison: Comparison, points: Sequence[tuple[System, float, float]]
) -> None:
    found = looks(comparison.systems)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for values, set_limits in ((1, axes.set_xlim), (2, axes.set_ylim)):
        numbers = [float(point[values]) for point in points]  # type: ignore[arg-type]
        low, high = min(numbers), max(numbers)
        room = max((high / low) ** 0.12, 1.25)
        set_limits(low / room, high * room)
    _plain_ticks(axes)
    axes.grid(which="major")
    axes.set_xlabel("seconds for a warm picture of 0.7 megapixels: further left is better")
    for system, x, y in points:
        look = found[system.id]
        axes.plot(
            [x],
            [y],
            marker=look.marker,
            markersize=8.5,
            linestyle="",
            markeredgewidth=1.6,
            color=look.colour,
            markerfacecolor="none" if look.hollow else look.colour,
            zorder=3,
        )
    axes.text(
        0.008, 0.012, "↙ better", transform=axes.transAxes, fontsize=9.5, alpha=0.75, va="bottom"
    )
    _name_points(axes, points)


def _name_points(axes: Axes, points: Sequence[tuple[System, float, float]]) -> None:
    figure: Any = axes.figure
    figure.draw_without_rendering()
    renderer = figure._get_renderer()
    texts = [axes.text(0, 0, short(system.id), fontsize=10) for system, _, _ in points]
    boxes = [text.get_window_extent(renderer) for text in texts]
    where = [tuple(axes.transData.transform((x, y))) for _, x, y in points]
    frame = axes.get_window_extent(renderer)
    inside = Box(frame.x0 + 2, frame.y0 + 16, frame.x1 + 6, frame.y1 + 6)
    places = place(where, [(box.width, box.height) for box in boxes], inside)
    back = axes.transData.inverted()
    for text, (x, y), put in zip(texts, where, places, strict=True):
        middle = (put.box.left + put.box.right) / 2, (put.box.bottom + put.box.top) / 2
        text.set(position=back.transform(middle), ha="center", va="center_baseline")
        if put.far:
            near = (
                min(max(x, put.box.left), put.box.right),
                min(max(y, put.box.bottom), put.box.top),
            )
            line = back.transform([(x, y), near])
            axes.plot(line[:, 0], line[:, 1], color=INK, alpha=0.45, linewidth=0.8, zorder=2)


def _plain_ticks(axes: Axes) -> None:
    """1, 2, 5 of every decade, written as numbers; no powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def bars(
    comparison: Comparison,
    name: str,
    title: str,
    panels: Mapping[str, Callable[[str], float | None]],
    unit: str,
    *,
    sort: bool = True,
) -> Chart | None:
    """Horizontal bars, a panel for each figure, all in the order of the first; less is better.

    ``panels`` maps a heading to what a system's id gives. Each bar carries its value. None where
    nothing was measured.
    """
    rows = [(system, [value(system.id) for value in panels.values()]) for system in comparison.ran]
    rows = [row for row in rows if any(value is not None for value in row[1])]
    if not rows:
        return None
    if sort:
        rows.sort(key=lambda row: next((v for v in row[1] if v is not None), math.inf))
    rows = rows[:_MOST_BARS]
    says = _said(rows, list(panels), unit)
    width, height = 8.6, 0.75 + 0.27 * len(rows)
    with drawing(name):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        found = looks(comparison.systems)
        for number, (axes, heading) in enumerate(
            zip(figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True)
        ):
            _draw_bars(axes, [(row[0], row[1][number]) for row in rows], found)
            axes.set_title(heading, fontsize=11, loc="left")
        svg = element(figure, name, f"{title}. {says}")
    return Chart(name, title, says, svg, width * _DPI)


def _said(
    rows: Sequence[tuple[System, Sequence[float | None]]], headings: Sequence[str], unit: str
) -> str:
    parts = []
    for number, heading in enumerate(headings):
        values = [(value, row.id) for row, own in rows if (value := own[number]) is not None]
        if values:
            least, most = min(values), max(values)
            parts.append(
                f"{heading}: least {short(least[1])} with {_number(least[0])}{unit},"
                f" most {short(most[1])} with {_number(most[0])}{unit}"
            )
    return "; ".join(parts) + "."


def _draw_bars(
    axes: Axes, rows: Sequence[tuple[System, float | None]], found: Mapping[str, Look]
) -> None:
    most = max((value for _, value in rows if value is not None), default=1.0) or 1.0
    for index, (system, value) in enumerate(rows):
        look = found[system.id]
        if value is None:
            axes.text(0, index, " not measured", va="center", fontsize=9, alpha=0.7)
            continue
        axes.barh(
            index,
            value,
            height=0.72,
            facecolor="none" if look.hatch else look.colour,
            edgecolor=look.colour,
            hatch=look.hatch,
            linewidth=1.1,
        )
        axes.text(value + most * 0.015, index, _number(value), va="center", fontsize=9.5)
    axes.set_yticks(range(len(rows)), [short(system.id) for system, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, most * 1.2)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _number(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


def radar(comparison: Comparison, systems: Sequence[System], columns: int) -> str:
    """Small radars of the five dimensions, one a system, as one ``svg``; the dashed one is the best
    value of all systems in each dimension."""
    name = "radar-" + "-".join(str(comparison.systems.index(system)) for system in systems)
    lines = math.ceil(len(systems) / columns)
    label = " ".join(radar_says(comparison, system) for system in systems)
    with drawing(name):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.9 * columns, 2.8 * lines), dpi=_DPI, layout="constrained")
        found = looks(comparison.systems)
        for number, system in enumerate(systems):
            axes = figure.add_subplot(lines, columns, number + 1, projection="polar")
            _draw_radar(axes, comparison, system, found[system.id])
        return element(figure, name, label)


def radar_says(comparison: Comparison, system: System) -> str:
    """One system's profile in words."""
    own = profile(comparison, system)
    parts = [
        f"{axis.title} {axis.shown(own[axis.key][0])} ({own[axis.key][1]:.0%} of the way out)"
        for axis in DIMENSIONS
        if axis.key in own
    ]
    missing = [axis.title for axis in DIMENSIONS if axis.key not in own]
    parts += [f"not measured: {', '.join(missing)}"] if missing else []
    return f"{short(system.id)}: {', '.join(parts)}."


def _draw_radar(axes: Any, comparison: Comparison, system: System, look: Look) -> None:
    turn = 2 * math.pi / len(DIMENSIONS)
    own = profile(comparison, system)
    axes.set_theta_offset(math.pi / 2)
    axes.set_theta_direction(-1)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.25, 0.5, 0.75, 1.0], [])
    axes.spines["polar"].set_visible(False)
    angles = [turn * number for number in range(len(DIMENSIONS))]
    axes.set_xticks(angles, [])
    for angle, axis in zip(angles, DIMENSIONS, strict=True):
        side = math.sin(angle)
        text = axis.title if axis.key in own else f"{axis.title}\nno figure"
        axes.text(
            angle,
            1.09,
            text,
            fontsize=9,
            ha="center" if abs(side) < 0.1 else "left" if side > 0 else "right",
            va="bottom" if math.cos(angle) > 0.5 else "center" if math.cos(angle) > -0.5 else "top",
        )
    others = [profile(comparison, other) for other in main_systems(comparison, 99)]
    best = [max((o[a.key][1] for o in others if a.key in o), default=0.0) for a in DIMENSIONS]
    axes.plot(
        [*angles, angles[0]], [*best, best[0]], color=INK, alpha=0.55, linestyle="--", linewidth=1
    )
    known = [(a, own[d.key][1]) for a, d in zip(angles, DIMENSIONS, strict=True) if d.key in own]
    if known:
        ring = [*known, known[0]]
        theta, radius = [point[0] for point in ring], [point[1] for point in ring]
        axes.fill(theta, radius, color=look.colour, alpha=0.28)
        axes.plot(theta, radius, color=look.colour, linewidth=2, marker=look.marker, markersize=4.5)
    axes.set_title(short(system.id), fontsize=11.5, fontweight="bold", pad=20)


def charts(comparison: Comparison) -> tuple[Chart, ...]:
    """Every chart that the figures allow, except radars: scatters, hair, speed, resources."""
    hairy = {"people and animals": partial(_hair, comparison)}
    seconds = {
        "warm, 0.7 MP": partial(warm, comparison),
        "warm, 12 MP": partial(warm_large, comparison),
        "cold, 0.7 MP": partial(cold, comparison),
    }
    processors = {
        f"{count} processor{'s' * (count > 1)}": _limited(comparison, count)
        for count in _counts(comparison)
    }
    takes = {
        "processor s, warm": _taken(comparison, "warm_cpu_s"),
        "peak GB, 0.7 MP": _taken(comparison, "peak_mb", 1e-3),
        "peak GB, 12 MP": _taken(comparison, "peak_large_mb", 1e-3),
    }
    made = (
        scatter(comparison),
        scatter(comparison, "people"),
        bars(comparison, "hair", "Error in hair and other soft edges", hairy, ""),
        bars(comparison, "speed", "Seconds a picture", seconds, " s"),
        bars(comparison, "processors", "Seconds a warm picture, by processors", processors, " s"),
        bars(comparison, "resources", "What a picture takes", takes, ""),
    )
    return tuple(chart for chart in made if chart is not None)


def _limited(comparison: Comparison, count: int) -> Callable[[str], float | None]:
    def value(system: str) -> float | None:
        speed = comparison.speed_of(system)
        return speed.by_threads.get(str(count)) if speed else None

    return value


def _taken(comparison: Comparison, field: str, scale: float = 1.0) -> Callable[[str], float | None]:
    def value(system: str) -> float | None:
        found = comparison.resources_of(system)
        own = getattr(found, field) if found else None
        return None if own is None else own * scale

    return value


def _counts(comparison: Comparison) -> list[int]:
    """Up to four numbers of processors that were measured, with the least and the most; or none."""
    found = sorted({int(k) for row in comparison.speed for k in row.by_threads if k.isdigit()})
    if len(found) < 2:
        return []
    return found if len(found) <= 4 else [found[0], found[1], found[len(found) // 2], found[-1]]


def _hair(comparison: Comparison, system: str) -> float | None:
    """The mean over people and animals; over all sets where there are neither."""
    of_both = over_sets(comparison, system, "hair", ("people", "animals"))
    return over_sets(comparison, system, "hair") if of_both is None else of_both
