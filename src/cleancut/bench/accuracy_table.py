"""The tables of ``bench accuracy``: Markdown, which a terminal shows well too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cleancut.bench.accuracy import Report
from cleancut.bench.measures import MEASURES, Measure
from cleancut.bench.report import table
from cleancut.bench.score import Summary, Trust

MARKERS = ("<!-- bench accuracy: begin -->", "<!-- bench accuracy: end -->")
#: Lines about what was left out, before "and so many more".
_SKIPPED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Target:
    """What was promised beside rembg's isnet-general-use: ``ratio`` of it, or ``gain`` more."""

    ratio: float | None = None
    gain: float | None = None


#: By name of the set and key of the measure.
TARGETS = {
    ("composite_people", "mad"): Target(ratio=0.15),
    ("composite_people", "grad"): Target(ratio=0.18),
    ("composite_animals", "mad"): Target(ratio=0.55),
    ("composite_animals", "grad"): Target(ratio=0.42),
    ("products_composite", "mad"): Target(ratio=0.72),
    ("products_composite", "grad"): Target(ratio=0.75),
    ("alphamatting_train", "mad"): Target(ratio=0.60),
    ("alphamatting_train", "grad"): Target(ratio=0.75),
    ("logos_graphics", "mad"): Target(ratio=0.50),
    ("davis_stills", "iou"): Target(gain=0.03),
    ("ccp_people", "iou"): Target(gain=0.01),
}
_TARGETS_ARE_FOR = "isnet-general-use"
#: Measures that are compared with the reference, by kind of set.
_COMPARED = {
    False: ("mad", "grad", "on_black", "on_white", "on_photo"),
    True: ("iou", "boundary_f"),
}
BY_KEY = {measure.key: measure for measure in MEASURES}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of ours beside the reference's; ``met`` is None without a target."""

    set: str
    measure: Measure
    reference: float
    label: str
    ours: float
    target: Target | None

    @property
    def change(self) -> str:
        """Ours over the reference's, or the gain where more is better."""
        if self.measure.more:
            return f"{self.ours - self.reference:+.4f}"
        return f"{self.ours / self.reference:.3f}" if self.reference else "reference is 0"

    @property
    def wanted(self) -> str:
        """The target as ``change`` shows it."""
        if self.target is None:
            return ""
        if self.target.gain is not None:
            return f">= {self.target.gain:+.3f}"
        return f"<= {self.target.ratio:.2f}"

    @property
    def met(self) -> bool | None:
        """Whether the target is reached."""
        if self.target is None:
            return None
        if self.target.gain is not None:
            return self.ours - self.reference >= self.target.gain
        return self.ours <= (self.target.ratio or 0.0) * self.reference


def shown_measures(*, binary: bool) -> tuple[Measure, ...]:
    """The columns that mean something for a set with truths of this kind."""
    return tuple(m for m in MEASURES if (m.binary if binary else m.exact))


def set_cells(summaries: dict[str, Summary], measures: Sequence[Measure]) -> list[tuple[str, ...]]:
    """The rows of one set's table: label, pictures, each measure, seconds a picture."""
    return [
        (
            label,
            str(found.pictures or "none"),
            *(f"{found.figures[m.key]:.{m.digits}f}" if found.pictures else "" for m in measures),
            "" if found.seconds is None else f"{found.seconds:.2f}",
        )
        for label, found in summaries.items()
    ]


def set_head(measures: Sequence[Measure]) -> tuple[str, ...]:
    """The titles over ``set_cells``, an arrow where more is better."""
    titles = (f"{m.title} ↑" if m.more else m.title for m in measures)
    return ("", "pictures", *titles, "seconds")


def comparisons(report: Report) -> list[Comparison]:
    """Ours beside the reference, set by set; empty without one."""
    reference = report.reference
    if reference is None:
        return []
    promised = _TARGETS_ARE_FOR in reference.label
    found = []
    for name, binary in report.binary.items():
        summaries = report.summaries(name)
        theirs = summaries[reference.label]
        for row in report.rows:
            ours = summaries[row.label]
            if row is reference or not (theirs.pictures and ours.pictures):
                continue
            found += [
                Comparison(
                    name,
                    BY_KEY[key],
                    theirs.figures[key],
                    row.label,
                    ours.figures[key],
                    TARGETS.get((name, key)) if promised and row.ours else None,
                )
                for key in _COMPARED[binary]
            ]
    return found


def comparison_cells(found: Sequence[Comparison]) -> list[tuple[str, ...]]:
    """Their rows of text, under ``COMPARISON_HEAD``."""
    return [
        (
            f"{item.set}, {item.measure.title}",
            item.label,
            f"{item.reference:.{item.measure.digits}f}",
            f"{item.ours:.{item.measure.digits}f}",
            item.change,
            item.wanted,
            {None: "", True: "yes", False: "NO"}[item.met],
        )
        for item in found
    ]


def comparison_head(reference: str) -> tuple[str, ...]:
    """The titles over ``comparison_cells``."""
    return ("set, measure", "who", reference, "here", "ratio or gain", "target", "met?")


def trust_line(label: str, worth: Trust) -> str:
    """What a confidence is worth, in a sentence."""
    text = (
        f"{label}: AURC {worth.aurc:.4f} over {worth.results} results (a blind guess"
        f" {worth.blind:.4f}, perfect {worth.perfect:.4f})"
    )
    if worth.recall is None or worth.best is None:
        return f"{text}; no result has IoU < 0.9"
    return (
        f"{text}; {worth.recall:.0%} of the {worth.bad} with IoU < 0.9 are among the 10 % least"
        f" sure ({worth.best:.0%} could be)"
    )


def headline(report: Report) -> str:
    """When, on what and with which options."""
    done = max(len(row.scored) for row in report.rows)
    text = f"{report.date}, {report.machine}, {report.total} pictures of {report.folder}"
    if report.options != "{}":
        text += f", options {report.options}"
    return text if report.complete else f"{text}. INTERRUPTED: {done} of {report.total} scored"


def skipped_lines(report: Report) -> list[str]:
    """What was left out, the first lines of it, and how many there are."""
    lines = report.skipped[:_SKIPPED_SHOWN]
    if not lines:
        return []
    more = len(report.skipped) - len(lines)
    return [f"{len(report.skipped)} skipped:", *(f"- {line}" for line in lines)] + (
        [f"- and {more} more (--json lists them all)"] if more else []
    )


def to_markdown(report: Report) -> str:
    """The report as Markdown: a table for each set, the comparison, confidences, what was skipped.

    Means are over the pictures that all rows with any of the set have scored.
    """
    lines = [f"{headline(report)}."]
    for name, binary in report.binary.items():
        measures = shown_measures(binary=binary)
        kind = "truth is yes or no" if binary else "truth has soft edges"
        lines += ["", f"**{name}** ({kind})", ""]
        lines += table(set_head(measures), set_cells(report.summaries(name), measures))
    reference = report.reference
    if reference is not None and (found := comparisons(report)):
        lines += ["", f"**beside {reference.label}**, same pictures", ""]
        lines += table(comparison_head(reference.label), comparison_cells(found))
    if trusts := report.trusts():
        lines += ["", "**confidence**", ""]
        lines += [f"- {trust_line(label, worth)}" for label, worth in trusts.items()]
    if skipped := skipped_lines(report):
        lines += ["", *skipped]
    return "\n".join(lines)
