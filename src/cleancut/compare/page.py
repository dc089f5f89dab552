"""The report as one HTML file: nothing is loaded from elsewhere, and it says all without a script.

A content policy forbids everything but the page's own style and script, so that names of systems
and pictures, which strangers choose, can never become more than text.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from cleancut.compare import fact_tables, markup, tables
from cleancut.compare.advice import advise
from cleancut.compare.charts import charts, radar
from cleancut.compare.claims import check_claims
from cleancut.compare.dimensions import DIMENSIONS, main_systems
from cleancut.compare.gallery import Gallery
from cleancut.compare.measures import MEASURES
from cleancut.compare.published import published
from cleancut.compare.staleness import stale
from cleancut.compare.uses import USES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleancut.compare.comparison import Comparison, Machine
    from cleancut.compare.svg import Chart

_PARTS = {
    "answer": "The answer",
    "accuracy": "Accuracy",
    "speed": "Speed",
    "generality": "Generality",
    "deployment": "Deployment",
    "resources": "Resources",
    "together": "All five at once",
    "video": "Video",
    "claims": "Claims of articles",
    "gallery": "Gallery",
    "published": "Published figures",
    "left-out": "What was left out",
    "method": "Method",
}
#: What some are called in the row of links.
_SHORT = {
    "answer": "Answer",
    "together": "All five",
    "claims": "Claims",
    "published": "Published",
    "left-out": "Left out",
}


def to_html(comparison: Comparison, gallery: Gallery | None = None) -> str:
    """The whole page; raises ``MissingDependency`` without the extra ``compare``."""
    gallery = gallery or Gallery()
    drawn = {chart.name: chart for chart in charts(comparison)}
    bodies = {
        "answer": _answer(comparison, drawn),
        "accuracy": _accuracy(comparison, drawn),
        "speed": _speed(comparison, drawn),
        "generality": _generality(comparison),
        "deployment": _deployment(comparison),
        "resources": _resources(comparison, drawn),
        "together": _together(comparison),
        "video": _video(comparison),
        "claims": _claims(comparison),
        "gallery": _gallery(gallery),
        "published": _published(),
        "left-out": _left_out(comparison, gallery),
        "method": _method(),
    }
    shown = {key: body for key, body in bodies.items() if body}
    parts = [
        f'<section class="part" id="{key}"><h2>{_PARTS[key]}</h2>{body}</section>'
        for key, body in shown.items()
    ]
    links = "".join(
        f'<li><a href="#{key}">{_SHORT.get(key, _PARTS[key])}</a></li>' for key in shown
    )
    style, script = asset("report.css"), asset("report.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}';"
        f" script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>Background removal compared, {markup.text(comparison.date)}</title>",
            f"<style>{style}</style>\n</head>\n<body>",
            '<a class="skip" href="#answer">Skip to the answer</a>',
            _head(comparison),
            f'<nav id="contents" aria-label="Contents"><ul>{links}</ul></nav>',
            f"<main>{''.join(parts)}</main>",
            f"<footer>Made by cleancut {markup.text(comparison.version)},"
            f" bench compare, on {markup.text(comparison.date)}.</footer>",
            '<dialog aria-labelledby="large"><h3 id="large">Enlarged</h3>'
            '<button type="button">Close</button><div class="views"></div></dialog>',
            f"<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _head(comparison: Comparison) -> str:
    machine = comparison.machine
    facts = [
        ("Measured on", machine_line(machine)),
        ("Date", comparison.date),
        ("Pictures", tables.pictures(comparison)),
        ("Versions", "; ".join(fact_tables.software(comparison).values())),
    ]
    rows = "".join(
        f"<dt>{title}</dt><dd>{markup.text(value)}</dd>" for title, value in facts if value
    )
    if comparison.commands:
        commands = markup.text("\n".join(comparison.commands))
        rows += f"<dt>Repeat it</dt><dd><pre><code>{commands}</code></pre></dd>"
    warnings = [f"Out of date: {line}." for line in stale(comparison)]
    if not comparison.complete:
        warnings.append("This run was interrupted: parts of it are missing.")
    banner = "".join(f'<p class="banner">{markup.text(line)}</p>' for line in warnings)
    return (
        f"<header><h1>Background removal compared</h1>"
        f'<p class="soft">{len(comparison.ran)} systems on the same pictures, each figure measured'
        f' on one machine.</p>{banner}<dl class="facts">{rows}</dl></header>'
    )


def machine_line(machine: Machine) -> str:
    """A machine in one line."""
    parts = [machine.cpu, f"{machine.cores} core{'s' * (machine.cores != 1)}"]
    if machine.memory_mb:
        parts.append(f"{machine.memory_mb / 1000:.0f} GB")
    parts.append(", ".join(machine.gpus) or "no GPU")
    parts += [machine.system, f"Python {machine.python}" if machine.python else ""]
    return ", ".join(part for part in parts if part)


def _answer(comparison: Comparison, drawn: Mapping[str, Chart]) -> str:
    found = [advise(comparison, use) for use in USES.values()]
    note = fact_tables.without_truth(comparison)
    banner = f'<p class="banner">{markup.text(note)}</p>' if note else ""
    if note and not any(advice.picks for advice in found):
        return banner
    return (
        f'{banner}<div class="two">'
        f"{markup.table(fact_tables.answers(found))}{_chart(drawn, 'scatter-all')}</div>"
        "<h3>Why, and what to type</h3>"
        "<p>Picked from the figures below by the rule under Method. For other needs:"
        " <code>cleancut recommend --for USE</code>.</p>"
        f'<div class="cards">{"".join(map(markup.card, found))}</div>'
    )


def _accuracy(comparison: Comparison, drawn: Mapping[str, Chart]) -> str:
    soft = [facts for facts in comparison.sets if facts.binary is False]
    binary = [facts for facts in comparison.sets if facts.binary]
    parts = [
        markup.table(tables.overview(comparison)),
        f'<div class="two">{_chart(drawn, "hair")}{_chart(drawn, "scatter-people")}</div>',
    ]
    if soft:
        parts.append("<h3>Sets whose truth has soft edges</h3>")
        parts += [markup.table(tables.of_set(comparison, facts)) for facts in soft]
    if binary:
        parts.append(
            "<h3>Sets whose truth is yes or no</h3><p>Their truth has no hair: a soft answer cannot"
            " score better there than a hard one, so these sets tell only whether the subject was"
            " found, and its outline.</p>"
        )
        parts += [markup.table(tables.of_set(comparison, facts)) for facts in binary]
    if note := tables.agreement(comparison):
        parts.append(f"<p>{markup.text(note)}</p>")
    return "".join(parts)


def _speed(comparison: Comparison, drawn: Mapping[str, Chart]) -> str:
    return (
        _chart(drawn, "speed")
        + markup.table(tables.speed(comparison))
        + _chart(drawn, "processors")
    )


def _generality(comparison: Comparison) -> str:
    made = tables.generality(comparison)
    if not made:
        return ""
    about = (
        "<p>One group's best is another's worst: a network that was taught people finds no"
        " products. Shaded from best to worst in each column; a subject counts as not found where"
        " IoU is below 0.5.</p>"
    )
    return about + "".join(markup.table(one) for one in made)


def _deployment(comparison: Comparison) -> str:
    found = fact_tables.deployment(comparison)
    parts = [markup.table(found) if found else ""]
    if hows := fact_tables.how_found(comparison):
        parts.append(f"<h3>How each fact was found out</h3>{markup.listing(hows)}")
    parts.append(markup.table(fact_tables.contestants(comparison)))
    parts.append(
        '<p class="note">Commercial use reads the licences of code and weights and the terms of the'
        " training data together. It is our reading, not legal advice.</p>"
    )
    return "".join(parts)


def _resources(comparison: Comparison, drawn: Mapping[str, Chart]) -> str:
    cached = fact_tables.repeats(comparison)
    if not comparison.resources:
        return markup.table(cached) if cached else ""
    energy = ""
    if all(row.energy_j is None for row in comparison.resources):
        energy = (
            '<p class="note">Energy was not measured: the processor\'s counters (RAPL) could not be'
            " read here.</p>"
        )
    return (
        _chart(drawn, "resources")
        + markup.table(tables.resources(comparison))
        + energy
        + (markup.table(cached) if cached else "")
    )


def _together(comparison: Comparison) -> str:
    systems = main_systems(comparison)
    if not systems or not (comparison.scores or comparison.speed):
        return ""
    radars = "".join(f"<li>{radar(comparison, [system], 1)}</li>" for system in systems)
    scales = [
        f"{axis.title}: {axis.scale}"
        + (f"; the centre is {axis.worst:g} times the best" if axis.worst else "")
        for axis in DIMENSIONS
    ]
    return (
        "<p>The rim is the best value of this run, so each shape is only as large as its system is"
        " near the best one; the dashed line is the best of all. A radar hides things: the figures"
        f" stand below.</p><ul class='radars'>{radars}</ul>"
        f"{markup.listing(scales)}{markup.table(tables.profiles(comparison, systems))}"
    )


def _video(comparison: Comparison) -> str:
    made = tables.video(comparison)
    if not made:
        return ""
    about = (
        "<p>Clips with true mattes. Recurrent networks remember earlier frames; others cut frame by"
        " frame, alone or steadied by cleancut.</p>"
    )
    return about + "".join(markup.table(one) for one in made)


def _claims(comparison: Comparison) -> str:
    return "".join(markup.claim(found) for found in check_claims(comparison))


def _gallery(gallery: Gallery) -> str:
    if not gallery.exhibits:
        return ""
    ids = list(dict.fromkeys(tile.system for one in gallery.exhibits for tile in one.tiles))
    boxes = "".join(
        f'<label><input type="checkbox" checked value="{name}">{name}</label>'
        for name in map(markup.text, ids)
    )
    tools = (
        '<div id="tools" hidden><label>Behind cutouts <select>'
        '<option value="board">checkerboard</option><option value="white">white</option>'
        '<option value="black">black</option><option value="green">green</option></select>'
        "</label><details><summary>Systems shown, in tables too</summary>"
        f"<fieldset><legend>Systems</legend>{boxes}</fieldset></details>"
        '<span id="judge"><button type="button">Judge blind</button> <span role="status"></span> '
        '<button type="button" hidden>Who was it?</button></span></div>'
        '<div id="verdict" tabindex="-1" hidden><h3>Your verdict</h3>'
        "<p hidden>No picture was judged.</p><table><caption>Points: one a picture, shared by"
        ' cutouts that are equally good</caption><thead><tr><th scope="col">system</th>'
        '<th scope="col">points</th><th scope="col">pictures judged</th></tr></thead>'
        "<tbody></tbody></table></div>"
    )
    about = (
        "<p>Above, the crop with the densest soft edges (without truth: where systems differ most);"
        " below, the whole cutout, and its errors: red is kept and should not be, blue is lost."
        " Figures are of this one picture, errors in thousandths. “Judge blind” hides the names"
        " and mixes the order: say which cutout is best, and see then whose it was.</p>"
    )
    return about + tools + "".join(map(markup.exhibit, gallery.exhibits))


def _published() -> str:
    rows = published()
    if not rows:
        return ""
    return (
        '<p class="banner">Not measured here. These are figures of others on other pictures; they'
        " cannot be compared with any figure above, nor with each other across data sets.</p>"
        + markup.table(fact_tables.published(rows))
    )


def _left_out(comparison: Comparison, gallery: Gallery) -> str:
    absent = [f"{one.id}: {one.reason}" for one in comparison.systems if one.reason]
    return markup.listing([*absent, *comparison.skipped, *gallery.skipped]) or "<p>Nothing.</p>"


def _method() -> str:
    rules = "".join(
        f"<h4>{markup.text(use.title)}</h4>"
        + markup.listing(
            [*(f"needed: {need.asks}" for need in use.needs)]
            + [f"counts {term.weight:g}: {term.title}" for term in use.terms]
        )
        for use in USES.values()
    )
    return (
        "<h3>Measures</h3>"
        + markup.terms([(measure.title, measure.about) for measure in MEASURES])
        + "<h3>How it was measured</h3>"
        + markup.listing(METHOD)
        + "<h3>How the answer follows</h3><p>Who fails a need is out. Each figure that counts is"
        " divided by the best one, and the ratios are averaged as a weighted geometric mean.</p>"
        + rules
    )


METHOD = (
    "Every system cut the same files; each tool ran in an environment of its own, with its own "
    "defaults. A set's figures are means over the pictures that every system answered.",
    "“:raw” is the network alone, as articles run it: without our refinement of edges and without "
    "removing the old background from colours.",
    "Figures of ours on the project's own evaluation pictures (“eval”) are flattered: the "
    "thresholds of auto and the choice between trainings of cleancut-nano were made on them. None "
    "was trained on them. Measure on your own pictures before you decide.",
    "Cold is a whole process from start to the written PNG; warm is one call in a running process, "
    "pixels in, pixels and alpha out. Systems took turns, so that a machine that slows down slows "
    "all of them. Medians of several runs.",
    "Peak memory counts a tool's process and all it started; processor seconds are user and system "
    "time together.",
    "Sizes of a tool are those of all packages it pulls in, without weights.",
)


def _chart(drawn: Mapping[str, Chart], name: str) -> str:
    return markup.chart(drawn[name]) if name in drawn else ""


def asset(name: str) -> str:
    """A file beside this one."""
    return (files("cleancut.compare") / name).read_text("utf-8")


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
