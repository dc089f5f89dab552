"""What backgrounds are removed for, and what counts then: needs, figures with weights, commands.

This is the whole rule of ``recommend``. Who fails a need is out. Of the others, each figure is
divided by the best one, and the ratios are averaged as a weighted geometric mean: 1.0 would be the
best in everything, 2.0 twice as bad as the best all over. The order of two systems so depends on
their own figures only, never on who else takes part.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleancut.compare.readings import (
    Reader,
    accuracy,
    clips,
    cpu_s,
    feature,
    peak_mb,
    pinned,
    rate,
    warm,
    weights_mb,
)
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.compare.comparison import Group

#: Below this rate a video call looks like a slide show; film has 24.
LEAST_RATE = 20.0
#: What app shops and phones take without complaint beside the rest of an app.
MOST_WEIGHTS_MB = 10.0
#: One subject in twenty lost is more than anybody corrects by hand.
MOST_MISSED = 0.05
#: One in ten, where pictures of every kind come.
MOST_MISSED_ANYWHERE = 0.10


@dataclass(frozen=True, slots=True)
class Term:
    """One figure that counts, less is better: ``weight`` parts of the whole.

    Below ``floor`` differences mean nothing: smaller figures count as that. ``unit`` follows the
    figure, which is shown times ``scale`` with ``digits``.
    """

    title: str
    read: Reader
    weight: float
    unit: str
    floor: float
    digits: int = 1
    scale: float = 1.0

    def told(self, value: float) -> str:
        """``value`` with its unit."""
        return f"{value * self.scale:.{self.digits}f}{self.unit}"


@dataclass(frozen=True, slots=True)
class Need:
    """What a system must have: at least ``least`` or at most ``most`` of what ``title`` says.

    ``lacking`` makes it a question of yes (1) or no (0), and says what "no" means. Who was not
    measured is out, unless the need is ``lenient``: then that is said.
    """

    title: str
    read: Reader
    least: float | None = None
    most: float | None = None
    unit: str = ""
    digits: int = 0
    scale: float = 1.0
    lacking: str = ""
    lenient: bool = False

    @property
    def asks(self) -> str:
        """The need in words: "at most 10 MB of weights"."""
        if self.lacking:
            return self.title
        word, limit = ("at least", self.least) if self.most is None else ("at most", self.most)
        return f"{word} {(limit or 0.0) * self.scale:g}{self.unit} {self.title}"

    def says(self, value: float) -> str:
        """What a system has: "25.9 MB of weights"."""
        return f"{value * self.scale:.{self.digits}f}{self.unit} {self.title}"

    def fails(self, value: float) -> str:
        """What is wrong with a system: "25.9 MB of weights, at most 10 MB"."""
        if self.lacking:
            return self.lacking
        return f"{self.says(value)}, {self.asks.removesuffix(f' {self.title}')}"

    def excess(self, value: float) -> float:
        """How far ``value`` is beyond the limit, as a ratio; up to 1 the need is met."""
        tiny = 1e-9
        if self.most is not None:
            return max(value, tiny) / max(self.most, tiny)
        return max(self.least or 0.0, tiny) / max(value, tiny)


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that backgrounds are removed for.

    ``commands`` are what to type, by tool, with ``{model}`` and ``{flags}``; ``otherwise`` is said
    of tools without one, ``remarks`` what the figures cannot say. ``any_licence`` lets systems in
    whose licence forbids commercial use.
    """

    id: str
    title: str
    about: str
    needs: tuple[Need, ...]
    terms: tuple[Term, ...]
    commands: dict[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    otherwise: str = ""
    any_licence: bool = False


def _error(about: str, weight: float, *groups: Group) -> Term:
    return Term(f"error {about}", accuracy("mad", *groups), weight, "/1000", 0.5)


def _hair(about: str, weight: float, *groups: Group) -> Term:
    return Term(f"error in {about}", accuracy("hair", *groups), weight, "/1000", 5.0)


def _missed(about: str, weight: float, *groups: Group) -> Term:
    read = accuracy("missed", *groups)
    return Term(f"{about} missed", read, weight, " %", 0.01, scale=100.0)


def _finds(about: str, most: float, *groups: Group) -> Need:
    read = accuracy("missed", *groups)
    return Need(f"of {about} missed", read, most=most, unit=" %", digits=1, scale=100.0)


_SECONDS = Term("a picture in", warm, 0.5, " s", 0.05, digits=2)

ECOMMERCE = Use(
    id="ecommerce",
    title="E-commerce",
    about="catalogues of a shop: products, and people who wear them, in folders",
    aliases=("shop", "products", "catalogue", "catalog", "amazon", "marketplace"),
    needs=(
        _finds("products and people", MOST_MISSED, "products", "people"),
        Need("whole folders", feature("batch"), 1, lacking="cuts no whole folders", lenient=True),
    ),
    terms=(
        _error("on products", 3, "products"),
        _error("on people", 1, "people"),
        _missed("products and people", 1, "products", "people"),
        _SECONDS,
    ),
    commands={
        "cleancut": ("cleancut batch photos/ -o shop/ --preset amazon -f jpg{flags} -m {model}",),
        "rembg": ("rembg p -m {model} photos/ shop/",),
        "backgroundremover": ("backgroundremover -if photos/ -of shop/ -m {model}",),
        "transparent-background": ("transparent-background --source photos/ --dest shop/",),
    },
    remarks=("other shops' sizes: cleancut presets",),
)

ID_PHOTO = Use(
    id="id-photo",
    title="ID photos",
    about="one head of the right size on a plain light background",
    aliases=("passport", "visa", "id", "portrait", "headshot", "idphoto"),
    needs=(_finds("people", MOST_MISSED, "people"),),
    terms=(
        _error("on people", 3, "people"),
        _hair("people's hair", 2, "people"),
        _missed("people", 1, "people"),
    ),
    commands={
        "cleancut": ("cleancut cut me.jpg --preset icao -o id.png{flags} -m {model}",),
        "rembg": ("rembg i -m {model} me.jpg id.png",),
        "backgroundremover": ("backgroundremover -i me.jpg -o id.png -m {model}",),
        "transparent-background": ("transparent-background --source me.jpg --dest id/",),
    },
    remarks=(
        "other countries and sheets to print: cleancut presets",
        "many authorities refuse photos that were changed by software: ask first",
    ),
)

LIVE_VIDEO = Use(
    id="live-video",
    title="Live video",
    about="a camera in a call or a stream: people, as they move",
    aliases=("webcam", "video", "camera", "stream", "streaming", "call", "live"),
    needs=(Need("frames a second", rate, LEAST_RATE, digits=1),),
    terms=(
        Term("flicker (dtSSD)", clips("dtssd"), 2, "", 0.5, digits=2),
        Term("error on clips", clips("mad"), 2, "/1000", 0.5),
        Term("a frame in", clips("seconds"), 1, " ms", 0.001, digits=0, scale=1000.0),
    ),
    commands={
        "cleancut": ("cleancut video camera:0 -o virtual-camera -b blur{flags} {video}",),
    },
    remarks=("a camera's picture goes out as a webcam that other programs see",),
    otherwise="takes no camera",
)

MOBILE = Use(
    id="mobile",
    title="Mobile",
    about="a network that is small and light enough to go into an app",
    otherwise="a program for computers; what goes into an app is its network",
    aliases=("phone", "app", "android", "ios", "edge", "embedded", "browser"),
    needs=(
        Need("of weights", weights_mb, most=MOST_WEIGHTS_MB, unit=" MB", digits=1),
        _finds("all subjects", MOST_MISSED_ANYWHERE),
    ),
    terms=(
        _error("over all sets", 2),
        Term("processor time a picture", cpu_s, 1, " s", 0.02, digits=2),
        Term("weights", weights_mb, 0.5, " MB", 1.0),
        Term("peak memory", peak_mb, 0.5, " MB", 50.0, digits=0),
    ),
    commands={
        "cleancut": ("cleancut models info {model}",),
    },
    remarks=(
        "the .onnx file whose path models info prints goes into the app; cleancut does not run on "
        "phones",
        "time and memory are of the program here on a computer: they rank, and promise nothing",
    ),
)

RESEARCH = Use(
    id="research",
    title="Research",
    about="the best mattes whatever they cost, and figures that others can repeat",
    aliases=("science", "paper", "best", "quality", "accuracy"),
    needs=(Need("weights known by sha256", pinned, 1, lacking="weights of unknown sha256"),),
    terms=(
        _error("over all sets", 2),
        _hair("hair and fur", 1),
        Term("gradient error", accuracy("grad"), 1, "", 0.005, digits=3),
        _missed("subjects", 1),
    ),
    commands={
        "cleancut": (
            "cleancut cut photo.jpg{flags} -m {model}",
            "cleancut bench accuracy DIR{flags} -m {model} --json figures.json",
        ),
        "rembg": ("rembg i -m {model} photo.jpg photo.png",),
        "backgroundremover": ("backgroundremover -i photo.jpg -o photo.png -m {model}",),
        "transparent-background": ("transparent-background --source photo.jpg --dest out/",),
    },
    any_licence=True,
    remarks=("figures change with the pictures: measure on yours with cleancut bench compare",),
)

USES = {use.id: use for use in (ECOMMERCE, ID_PHOTO, LIVE_VIDEO, MOBILE, RESEARCH)}


def find_use(name: str) -> Use:
    """The use called ``name``, by id or alias, any case; ``BadOption`` names the nearest."""
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    names = {alias: use for use in USES.values() for alias in (use.id, *use.aliases)}
    # "e-commerce" and "webcams" are what people type.
    for one in (wanted, wanted.replace("-", ""), wanted.removesuffix("s")):
        if one in names:
            return names[one]
    near = difflib.get_close_matches(wanted, names, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise BadOption(
        f"--for: {name[:60]!r} is no use that is known", hint=f"{guess}one of: {', '.join(USES)}"
    )
