"""``bench server``: eight clients at once, beside ``rembg s``; hits of the cache; a long siege."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median

from cleancut.bench import peer as rembg_peer
from cleancut.bench.load import Load, Request, ask, multipart, press
from cleancut.bench.measure import Figure, check_request, gather
from cleancut.bench.pictures import NOISE_SIGMA, fetch_demo_pictures, make_photo
from cleancut.bench.report import Report, Row
from cleancut.bench.service import Service, serving
from cleancut.bench.sides import Side, Tell, our_side, our_software, rembg_or_reason
from cleancut.catalog import find
from cleancut.errors import BadOption, RunError
from cleancut.weights.folders import cache_folder, home
from cleancut.weights.resolve import resolve

MARKERS = ("<!-- bench server: begin -->", "<!-- bench server: end -->")
PATH = "/api/remove"
#: More than there are clients, since cleancut cuts equal pictures that are there at once only once.
PICTURES, SIZE_MP, HIT_MP = 32, 0.7, 1.0
CLIENTS, BESIEGERS = 8, 200
_HITS = 60

#: Both answer the same requests; ours without its cache, which would answer all but the first.
_WORDS = {
    "cleancut": ("serve", "--port", "{port}", "--cache", "off", "--data", "server"),
    "rembg": ("s", "--host", "127.0.0.1", "--port", "{port}", "--no-ui", "--log_level", "warning"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """What to measure.

    ``seconds`` is how long the clients ask in each run, ``siege_s`` how long the 200 do. ``only``
    holds numbers of measurements (empty: all), ``peer_venv`` is where rembg is or will be
    installed, None to leave it out.
    """

    runs: int = 2
    seconds: float = 30.0
    siege_s: float = 60.0
    only: frozenset[int] = frozenset()
    peer_venv: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured (``BadOption``)."""
        check_request(self.runs, self.only, MEASUREMENTS)
        for name in ("seconds", "siege_s"):
            if not getattr(self, name) > 0:
                raise BadOption(f"{getattr(self, name):g} seconds measure nothing")


@dataclass(frozen=True, slots=True)
class ServerBench:
    """What a measurement needs; ``store`` is the user's home, where int8 copies are."""

    sides: Mapping[str, Side]
    plan: ServerPlan
    pictures: Sequence[bytes]
    hit: bytes
    store: Path
    notes: list[str] = field(default_factory=list)

    def requests(self, side: Side, model: str) -> list[Request]:
        """A form for each picture, as rembg's clients send it."""
        fields = {"model": side.names[model]}
        return [
            multipart(f"{number}", PATH, fields, "file", data)
            for number, data in enumerate(self.pictures)
        ]


def server(plan: ServerPlan, tell: Tell) -> Report:
    """Measure both sides; where rembg cannot be had its side stays empty and a note says why.

    Raises ``WeightsMissing``, ``DownloadFailed``.
    """
    weights = {model: resolve(find(model)).path for model in rembg_peer.NAMES}
    with tempfile.TemporaryDirectory(prefix="cleancut-bench-") as folder:
        work = Path(folder)
        tell("making the pictures")
        demos = fetch_demo_pictures(cache_folder() / "demo-pictures")
        pictures = [
            make_photo(demo, SIZE_MP + 0.001 * number, work / f"{number}.jpg").read_bytes()
            for number, demo in zip(range(PICTURES), cycle(demos), strict=False)
        ]
        hit = make_photo(demos[0], HIT_MP, work / "hit.jpg").read_bytes()
        ours = our_side(weights, work)
        theirs, about_rembg = rembg_or_reason(plan.peer_venv, weights, work, tell)
        sides: dict[str, Side] = {"rembg": theirs} if theirs else {}
        sides["cleancut"] = ours
        tell("cleancut measures its backends")
        ours.run("models", "pull", *weights)
        about = (
            f"{PICTURES} JPEGs of {SIZE_MP} MP in turn (scikit-image's astronaut and cat, noise of "
            f"sigma {NOISE_SIGMA:g}), POST {PATH} from {CLIENTS} clients on the same machine, each "
            "asking again when it was answered; PNG back; memory is that of all processes of a side"
        )
        bench = ServerBench(sides, plan, pictures, hit, home(), [about])
        rows = gather(MEASUREMENTS, bench, plan.only, tell)
    return Report.of_today(plan.runs, (our_software(), about_rembg), rows, bench.notes)


def measure_isnet(bench: ServerBench) -> list[Row]:
    """1. Eight clients at once, isnet."""
    return _pressed(bench, 1, "isnet", bench.sides, rate=2.2, p95=4.5, mb=1000)


def measure_u2netp(bench: ServerBench) -> list[Row]:
    """2. Eight clients at once, u2netp."""
    return _pressed(bench, 2, "u2netp", bench.sides, rate=10.0, p95=1.0, mb=None)


def measure_int8(bench: ServerBench) -> list[Row]:
    """3. The same with the int8 copies that `cleancut models optimize` made."""
    ours = {"cleancut": bench.sides["cleancut"].at_home(bench.store)}
    rows = _pressed(bench, 3, "isnet", ours, rate=2.2, p95=4.5, mb=1000, precision="int8")
    return rows + _pressed(bench, 3, "u2netp", ours, rate=10.0, p95=1.0, mb=None, precision="int8")


def measure_hits(bench: ServerBench) -> list[Row]:
    """4. The same picture again: an answer out of the result cache."""
    side = bench.sides["cleancut"]
    words = [word for word in _WORDS["cleancut"] if word not in ("--cache", "off")]
    request = multipart("hit", PATH, {"model": "u2netp"}, "file", bench.hit)
    try:
        with serving(side, [*words, "--cache", "kept", "--model", "u2netp"], request) as service:
            times = [ask(service.port, request)[0] for _ in range(_HITS)]
    except RunError as error:
        bench.notes.append(f"4: not measured: {error.message}")
        return []
    figure = Figure(tuple(1000 * one.seconds for one in times if one.status == 200))
    return [Row(4, f"hit of the cache, {HIT_MP:g} MP, a connection each", "ms", None, figure, 10.0)]


def measure_siege(bench: ServerBench) -> list[Row]:
    """5. Two hundred clients at once: who is refused, what is wrong, what it costs in memory."""
    side = bench.sides["cleancut"]
    requests = bench.requests(side, "u2netp")
    try:
        with serving(side, [*_WORDS["cleancut"], "--model", "u2netp"], requests[0]) as service:
            right = {one.name: ask(service.port, one)[0].sha256 for one in requests}
            begun = service.memory[-1][0] if service.memory else 0.0
            load = press(service.port, requests, clients=BESIEGERS, seconds=bench.plan.siege_s)
            ended = service.process.poll()
    except RunError as error:
        bench.notes.append(f"5: not measured: {error.message}")
        return []
    wrong = sum(one.status == 200 and one.sha256 != right[one.name] for one in load.answers)
    failed = sum(n for status, n in load.by_status.items() if status not in (200, 429))
    early, late = _memory(service, begun, begun + load.seconds)
    bench.notes.append(
        f"5: of {BESIEGERS} clients some send the same picture at once, which is cut once; "
        f"{_counted(load)}; {load.rate:.1f} pictures a second, p95 "
        f"{load.percentile(0.95):.1f} s; memory {early:.0f} MB in the second tenth of the time, "
        f"{late:.0f} MB in the last" + ("" if ended is None else "; THE SERVER ENDED")
    )
    what = f"{BESIEGERS} clients for {bench.plan.siege_s:g} s, u2netp: answers but 200 and 429"
    return [
        Row(5, what, "", None, Figure((failed,)), 0.0),
        Row(5, "same, answers with other pixels than alone", "", None, Figure((wrong,)), 0.0),
        Row(5, "same, growth of memory", "%", None, Figure((100 * (late / early - 1),)), 5.0),
    ]


MEASUREMENTS: dict[int, Callable[[ServerBench], list[Row]]] = {
    1: measure_isnet,
    2: measure_u2netp,
    3: measure_int8,
    4: measure_hits,
    5: measure_siege,
}


def _pressed(
    bench: ServerBench,
    number: int,
    model: str,
    sides: Mapping[str, Side],
    *,
    rate: float,
    p95: float,
    mb: float | None,
    precision: str | None = None,
) -> list[Row]:
    found: dict[str, list[tuple[Load, Service]]] = {name: [] for name in sides}
    for _ in range(bench.plan.runs):
        for name, side in sides.items():
            words = list(_WORDS[name])
            if name == "cleancut":
                words += ["--model", model, *(["--precision", precision] if precision else [])]
            requests = bench.requests(side, model)
            try:
                with serving(side, words, requests[0]) as service:
                    load = press(
                        service.port, requests, clients=CLIENTS, seconds=bench.plan.seconds
                    )
            except RunError as error:
                bench.notes.append(f"{number}: {name} failed: {error.message}")
                continue
            found[name].append((load, service))
    title = f"{model}{f' {precision}' if precision else ''}, {CLIENTS} clients"
    for name, runs in found.items():
        if runs:
            ready = median(service.ready_s for _, service in runs)
            bench.notes.append(
                f"{number}: {title}, {name}: {_counted(runs[-1][0])}, p50 "
                f"{runs[-1][0].percentile(0.5):.2f} s, first answer {ready:.1f} s after the start"
            )

    def row(
        what: str,
        unit: str,
        value: Callable[[Load, Service], float],
        target: float | None,
        at_least: bool = False,
    ) -> Row:
        figures = {n: Figure(tuple(value(*run) for run in r)) for n, r in found.items() if r}
        ours, theirs = figures.get("cleancut"), figures.get("rembg")
        return Row(number, what, unit, theirs, ours, target, at_least)

    return [
        row(f"{title}, requests a second", "/s", lambda load, _: load.rate, rate, at_least=True),
        row("same, 95 % are answered within", "s", lambda load, _: load.percentile(0.95), p95),
        row("same, memory of all processes", "MB", lambda _, service: service.peak_mb(), mb),
    ]


def _counted(load: Load) -> str:
    parts = (f"{n} x {status or 'no answer'}" for status, n in sorted(load.by_status.items()))
    return ", ".join(parts)


def _memory(service: Service, begun: float, ended: float) -> tuple[float, float]:
    """MB in the second and in the last tenth of the time."""
    tenth = (ended - begun) / 10

    def around(start: float) -> float:
        return median(
            [held for at, held in service.memory if start <= at - begun <= start + tenth] or [0]
        )

    return around(tenth) / 1e6, around(9 * tenth) / 1e6
