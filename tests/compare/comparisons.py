"""A comparison with MADE-UP figures, for tests of everything that reads one. Nothing was measured.

The figures are of plausible size and follow from small tables below, so that a test may change one
and see what follows. Names of systems and pictures are partly hostile on purpose (``hostile``).
"""

from __future__ import annotations

from dataclasses import replace

from cleancut.compare.comparison import (
    Comparison,
    Deployment,
    Group,
    Machine,
    PictureScore,
    Repeats,
    Resources,
    Scores,
    SetFacts,
    Speed,
    System,
    VideoScore,
)

HOSTILE = "<script>alert(1)</script>\"'&|`</style>"

#: Set: group, pictures, yes-or-no truth, how hard it is.
SETS: dict[str, tuple[Group, int, bool, float]] = {
    "composite_people": ("people", 16, False, 1.0),
    "ccp_people": ("people", 20, True, 0.8),
    "composite_animals": ("animals", 14, False, 1.2),
    "products_composite": ("products", 13, False, 0.9),
    "logos_graphics": ("text", 15, False, 1.4),
    "davis_stills": ("scenes", 20, True, 2.0),
}
#: Model: MAD on people, MAD on anything else, warm seconds, peak MB, MB of weights, commercial.
MODELS: dict[str, tuple[float, float, float, float, float, str]] = {
    "u2netp": (34.0, 38.0, 0.11, 240, 4.6, "yes"),
    "deeplabv3plus-portrait": (11.0, 160.0, 0.06, 190, 3.9, "unclear"),
    "modnet": (5.6, 70.0, 0.21, 420, 25.9, "yes"),
    "rvm": (9.0, 120.0, 0.09, 310, 4.4, "unclear"),
    "isnet": (30.0, 16.0, 1.1, 900, 88.2, "unclear"),
    "auto": (4.2, 13.0, 1.6, 1300, 118.7, "unclear"),
    "cleancut-nano": (9.5, 26.0, 0.08, 230, 5.1, "unclear"),
}
ARTICLES = {
    "u2netp": "Rembg (U²-Net)",
    "u2net": "Rembg (U²-Net)",
    "deeplabv3plus-portrait": "Briarmask (DeepLabV3+ portraits)",
    "bria-rmbg-2.0": "Briarmask, if BRIA RMBG is meant",
    "modnet": "MODNet",
    "rvm": "Robust Video Matting",
    "deeplabv3plus": "DeepLabV3+ (MobileNet)",
}
PEERS = {
    "rembg:u2netp": ("rembg", "u2netp", 1.06),
    "rembg:isnet-general-use": ("rembg", "isnet", 1.1),
}
ABSENT = {
    "u2net": ("u2net", "its weights are not here; run: cleancut models pull u2net (176 MB)"),
    "bria-rmbg-2.0": (
        "bria-rmbg-2.0",
        "its weights are not here, and their licence (CC BY-NC 4.0) forbids commercial use; run: "
        "cleancut models pull bria-rmbg-2.0",
    ),
    "deeplabv3plus": ("deeplabv3plus", "no package registry carries its weights"),
    "transparent-background": ("base", "transparent-background is not installed"),
}


def _systems() -> tuple[System, ...]:
    rows = []
    for model in MODELS:
        row = _system(model, model)
        rows.append(row)
        if model in ARTICLES:
            rows.append(
                replace(row, id=f"{model}:raw", raw=True, title=f"{row.title}, network alone")
            )
    for name, (tool, model, _) in PEERS.items():
        row = _system(name, model)
        rows.append(replace(row, kind="peer", tool=tool, title=name.replace(":", " "), article=""))
    for name, (model, reason) in ABSENT.items():
        peer = "transparent" in name
        rows.append(
            System(
                id=name,
                title=name,
                kind="peer" if peer else "ours",
                tool=name if peer else "cleancut",
                model=model,
                article=ARTICLES.get(name, ""),
                reason=reason,
            )
        )
    return tuple(rows)


def _system(name: str, model: str) -> System:
    return System(
        id=name,
        title=name,
        kind="ours",
        tool="cleancut",
        model=model,
        article=ARTICLES.get(model, ""),
        note="one frame, no memory" if model == "rvm" else "",
        weights="0" * 64,
        weights_mb=MODELS[model][4],
        licence="GPL-3.0" if model == "rvm" else "Apache-2.0",
        commercial=MODELS[model][5],
    )


def _mad(system: System, group: Group, hardness: float) -> float:
    people, other = MODELS[system.model][:2]
    worse = (1.25 if system.raw else 1.0) * PEERS.get(system.id, ("", "", 1.0))[2]
    return (people if group == "people" else other) * hardness * worse


def _figures(mad: float, *, binary: bool, raw: bool) -> dict[str, float]:
    iou = max(0.02, 1 - mad / 220)
    found = {
        "mad": mad,
        "iou": iou,
        "boundary_f": max(0.01, iou - 0.08),
        "max_f": min(0.999, iou + 0.02),
        "weighted_f": max(0.01, iou - 0.01),
        "s_measure": min(0.999, iou + 0.01),
    }
    if not binary:
        found |= {
            "mse": mad * 0.6,
            "sad": mad * 0.9,
            "grad": mad * 0.011,
            "conn": mad * 0.8,
            "on_black": mad * 0.7,
            "on_white": mad * 0.8,
            "on_photo": mad * 0.75,
            "hair": 40 + mad * 2.2,
            "jagged": 0.05 + (0.3 if raw else 0.02),
        }
    return found


def _scores(systems: tuple[System, ...]) -> tuple[tuple[Scores, ...], tuple[PictureScore, ...]]:
    scores, pictures = [], []
    for system in systems:
        for name, (group, count, binary, hardness) in SETS.items():
            mad = _mad(system, group, hardness)
            seconds = MODELS[system.model][2] * PEERS.get(system.id, ("", "", 1.0))[2]
            figures = _figures(mad, binary=binary, raw=system.raw)
            scores.append(
                Scores(
                    system=system.id,
                    set=name,
                    pictures=count,
                    figures=figures,
                    missed=min(1.0, round(max(0.0, mad - 20) / 180, 3)),
                    failed=1 if system.id == "rvm:raw" and name == "logos_graphics" else 0,
                    seconds=seconds,
                )
            )
            for number in range(3):
                pictures.append(
                    PictureScore(
                        system=system.id,
                        set=name,
                        stem=f"{name}-{number}",
                        figures=_figures(mad * (0.7 + 0.3 * number), binary=binary, raw=system.raw),
                        seconds=seconds,
                        agreement=0.9,
                        confidence=0.8,
                    )
                )
    return tuple(scores), tuple(pictures)


def _speed(system: System) -> Speed:
    warm = MODELS[system.model][2] * PEERS.get(system.id, ("", "", 1.0))[2]
    cold = warm + (2.9 if system.kind == "peer" else 0.35)
    return Speed(
        system=system.id,
        cold=(cold, cold * 1.04, cold * 0.98),
        warm=(warm, warm * 1.02, warm * 0.99),
        warm_large=(warm + 0.9, warm + 0.95, warm + 1.0),
        first_call=warm + 0.2,
        by_threads={"1": warm * 1.7, "2": warm},
        runs_on="openvino" if system.kind == "ours" else "onnxruntime",
    )


def _resources(system: System) -> Resources:
    peak, warm = MODELS[system.model][3], MODELS[system.model][2]
    return Resources(
        system=system.id,
        peak_mb=peak * (1.6 if system.kind == "peer" else 1.0),
        peak_large_mb=peak * 1.8,
        cpu_s=warm * 1.9 + 0.5,
        warm_cpu_s=warm * 1.8,
    )


def _deployment() -> tuple[Deployment, ...]:
    ours = dict.fromkeys(
        ("batch", "api", "web-ui", "video", "python", "offline", "resume", "cache"), True
    )
    theirs = {**ours, "video": False, "offline": False, "resume": False, "cache": False}
    how = {"install_mb": "sizes in RECORD of every distribution", "batch": "rembg --help lists p"}
    return (
        Deployment(
            tool="cleancut",
            version="1.0",
            install_mb=260.0,
            download_mb=90.0,
            packages=14,
            first_run_offline=True,
            needs_gpu=False,
            default_model="auto",
            default_weights_mb=5.1,
            features=ours,
            licence="Apache-2.0",
            how=how,
        ),
        Deployment(
            tool="rembg",
            version="2.0.86",
            install_mb=610.0,
            packages=61,
            first_run_offline=False,
            needs_gpu=False,
            default_model="bria-rmbg",
            default_weights_mb=1020.0,
            features=theirs,
            licence="MIT",
            how=how,
        ),
    )


def _video() -> tuple[VideoScore, ...]:
    rows = []
    hows = {"rvm": ("recurrent",), "modnet": ("frame by frame", "steadied")}
    for clip, factor in (("portrait_curly", 1.0), ("cat_whiskers", 1.6)):
        for system, ways in hows.items():
            for how in ways:
                steady = {"frame by frame": 1.6, "steadied": 1.0, "recurrent": 0.8}[how]
                mad = MODELS[system][0] * factor
                figures = {"mad": mad, "grad": mad * 0.01, "dtssd": 18 * steady * factor}
                rows.append(
                    VideoScore(
                        system=system,
                        clip=clip,
                        how=how,
                        binary=False,
                        figures=figures,
                        seconds=MODELS[system][2],
                    )
                )
    return tuple(rows)


def made_up() -> Comparison:
    """A whole comparison: seven models of ours, five of them raw too, two peers, four absent."""
    systems = _systems()
    ran = tuple(system for system in systems if not system.reason)
    scores, pictures = _scores(ran)
    return Comparison(
        version="1.0",
        pipeline=9,
        date="2026-01-02",
        machine=Machine(
            cpu="Made-up CPU 3000", cores=2, memory_mb=24_000, system="Linux 6", python="3.11.9"
        ),
        data="eval",
        commands=("cleancut bench compare --data eval --html report.html",),
        software={
            "cleancut": {"cleancut": "1.0", "onnxruntime": "1.23"},
            "rembg": {"rembg": "2.0.86"},
        },
        systems=systems,
        sets=tuple(
            SetFacts(name=name, group=group, pictures=count, binary=binary)
            for name, (group, count, binary, _) in SETS.items()
        ),
        scores=scores,
        pictures=pictures,
        speed=tuple(map(_speed, ran)),
        resources=tuple(map(_resources, ran)),
        deployment=_deployment(),
        video=_video(),
        repeats=Repeats(
            cut_s=1.6, kept_s=0.004, shares={"0.00": 0.0, "0.30": 0.29, "0.60": 0.58}, model="auto"
        ),
        skipped=("no energy: the processor's counters are readable only for root",),
    )


def without_truth() -> Comparison:
    """What a user's own folder gives: no figures, only speed and agreement."""
    whole = made_up()
    return replace(
        whole,
        data="my pictures",
        sets=(SetFacts(name="my pictures", group="other", pictures=3),),
        scores=tuple(
            Scores(system=system.id, set="my pictures", pictures=3, seconds=0.5)
            for system in whole.ran
        ),
        pictures=tuple(
            PictureScore(system=system.id, set="my pictures", stem=f"p{number}", agreement=0.9)
            for system in whole.ran
            for number in range(3)
        ),
        video=(),
        repeats=None,
    )


def hostile() -> Comparison:
    """``made_up`` with markup in every name that strangers choose."""
    whole = made_up()
    systems = tuple(
        replace(system, title=HOSTILE, licence=HOSTILE, note=HOSTILE) for system in whole.systems
    )
    return replace(
        whole,
        data=HOSTILE,
        commands=(HOSTILE,),
        machine=replace(whole.machine, cpu=HOSTILE),
        systems=systems,
        skipped=(HOSTILE,),
        software={HOSTILE: {HOSTILE: HOSTILE}},
    )
