"""Robust Video Matting: a recurrent network whose memory is an argument and a result.

Lin, Yang, Saleemi, Sengupta, "Robust High-Resolution Video Matting with Temporal Guidance"
(WACV 2022). Three kinds of graph are understood, all with the memory ``r1i`` to ``r4i`` and
``r1o`` to ``r4o``:

* ``src`` (1, 3, h, w), the shrunk frame in 0..1, to ``matte`` (1, 4, h, w); the guided filter is
  done here (``weights.rvm`` writes it);
* the same to ``A`` and ``b``, the linear model of a learned guided filter (``weights.rvm_cut``);
* the published one: ``src`` at full size and ``downsample_ratio`` to ``fgr`` and ``pha``.
"""

from __future__ import annotations

import copy
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cleancut.arrays import full_scale
from cleancut.errors import BadOption, InferenceFailed
from cleancut.imaging.resize import fit
from cleancut.models import guided
from cleancut.models.base import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cleancut.arrays import Rgb, State, Tensor
    from cleancut.backends.base import Session
    from cleancut.catalog import ModelSpec

    #: Opens the same graph where it runs, for inputs of exactly these shapes.
    Reopen: TypeAlias = Callable[[Mapping[str, tuple[int, ...]]], Session]

MEMORY = ("r1", "r2", "r3", "r4")
#: Channels of the memory of the MobileNetV3 network, by name.
CHANNELS = {"r1": 16, "r2": 20, "r3": 40, "r4": 64}
#: Small frames are multiples of this: the network halves four times.
STEP_PX = 16
#: What the network looks at in frames larger than ``recipe.size``.
_LOOK_PIXELS = 480 * 270
_SESSIONS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Coarse:
    """What the network itself says about one frame, before anything meets the full size.

    ``slopes`` and ``offsets`` are the guided filter's linear model, (4, h, w) float32 each: three
    colours, alpha. ``state`` goes to the next frame.
    """

    slopes: Tensor
    offsets: Tensor
    state: State


class RecurrentModel:
    """Matte and foreground of a frame, given the memory of the frames before it."""

    def __init__(self, spec: ModelSpec, session: Session, reopen: Reopen | None = None) -> None:
        self._split = "downsample_ratio" not in session.inputs
        wanted = {"src", *(f"{name}i" for name in MEMORY)}
        if missing := wanted - set(session.inputs):
            raise InferenceFailed(f"{spec.id}: the network has no input {sorted(missing)[0]!r}")
        self._made = "matte" if "matte" in session.outputs else "A"
        answers = ({self._made} | ({"b"} if self._made == "A" else set())) if self._split else set()
        answers = answers or {"pha", "fgr"}
        if missing := answers - set(session.outputs):
            raise InferenceFailed(f"{spec.id}: the network has no output {sorted(missing)[0]!r}")
        self.spec = spec
        self.placement = session.placement
        self._sessions = _Sessions(session, reopen if self._split else None)
        self._channels_last = spec.recipe.layout == "nhwc"
        self._ratio: float | None = None

    def at_ratio(self, ratio: float | None) -> RecurrentModel:
        """The same network looking at ``ratio`` (0..1) of the frame's size; None: the default.

        The default is ``downsample_ratio``. Sessions are shared.
        Raises ``BadOption`` outside of 0..1. A state belongs to one ratio.
        """
        if ratio is not None and not 0 < ratio <= 1:
            raise BadOption(f"ratio: {ratio} is not above 0 and at most 1", hint="like: 0.25")
        other = copy.copy(self)
        other._ratio = ratio
        return other

    def predict(self, rgb: Rgb, state: State | None = None) -> Prediction:
        """Matte of a frame at its own size; pass the answer's ``state`` with the next frame.

        ``foreground`` is (H, W, 3) in the frame's own type and range. Start with None, and anew
        with None after a cut. Raises ``InferenceFailed`` for a state of frames of another size or
        ratio.
        """
        if not self._split:
            return self._predict_whole(rgb, state)
        return self.finish(rgb, self.look(rgb, state))

    @property
    def splits(self) -> bool:
        """Whether ``look`` and ``finish`` may be called apart (in two threads of a pipeline)."""
        return self._split

    def look(self, rgb: Rgb, state: State | None = None) -> Coarse:
        """The network's part of ``predict``: needs the frame before's state, little else."""
        height, width = small_size(rgb.shape[0], rgb.shape[1], self._share(rgb))
        small = shrunk(rgb, height, width)
        feeds = {"src": small[None], **(state or first_memory(height, width))}
        check_state(feeds, height, width)
        answer = self._sessions.at(feeds).run(feeds)
        if self._made == "matte":
            slopes, offsets = guided.linear_model(small, answer["matte"][0])
        else:
            slopes, offsets = answer["A"][0], answer["b"][0]
        return Coarse(slopes, offsets, {f"{name}i": answer[f"{name}o"] for name in MEMORY})

    def finish(self, rgb: Rgb, coarse: Coarse) -> Prediction:
        """The full-size part of ``predict``, which needs nothing from other frames."""
        alpha = guided.full_alpha(rgb, coarse.slopes[3], coarse.offsets[3])
        if not np.isfinite(alpha.sum()):
            raise InferenceFailed(
                "the network answered with NaN or infinite values",
                hint="run again with --precision f32",
            )
        colours = guided.full_colours(rgb, alpha, coarse.slopes[:3], coarse.offsets[:3])
        return Prediction(alpha=alpha, foreground=colours, state=coarse.state)

    def _predict_whole(self, rgb: Rgb, state: State | None) -> Prediction:
        frame = rgb.astype(np.float32) / np.float32(full_scale(rgb))
        source = frame[None] if self._channels_last else frame.transpose(2, 0, 1)[None]
        feeds = first_feeds(np.ascontiguousarray(source), self._share(rgb)) | (state or {})
        session = self._sessions.first
        axes = len(session.inputs["downsample_ratio"])  # a scalar or (1,), by the export
        feeds["downsample_ratio"] = feeds["downsample_ratio"].reshape((1,) * axes)
        answer = session.run(feeds)
        colours = np.clip(self._plane(answer["fgr"]), 0.0, 1.0, dtype=np.float32)
        top = full_scale(rgb)
        if top > 1:
            colours = np.rint(colours * np.float32(top)).astype(rgb.dtype)
        return Prediction(
            alpha=np.clip(self._plane(answer["pha"])[..., 0], 0.0, 1.0, dtype=np.float32),
            foreground=colours,
            state={f"{name}i": answer[f"{name}o"] for name in MEMORY},
        )

    def _share(self, rgb: Rgb) -> float:
        if self._ratio is not None:
            return self._ratio
        return downsample_ratio(rgb.shape[0], rgb.shape[1], self.spec.recipe.size[0])

    def _plane(self, output: Tensor) -> Tensor:
        plane: Tensor = output[0]
        return plane if self._channels_last else plane.transpose(1, 2, 0)


class _Sessions:
    """One session a frame size where the runtime is faster with fixed shapes; thread-safe.

    OpenVINO takes 43 ms for what it does in 29 ms when it knows the shapes (f32, 480 x 272).
    """

    def __init__(self, first: Session, reopen: Reopen | None) -> None:
        self.first = first
        self._reopen = reopen
        self._kept: OrderedDict[tuple[int, ...], Session] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, feeds: Mapping[str, Tensor]) -> Session:
        """The session for frames of the size in ``feeds``."""
        size = feeds["src"].shape
        if self._reopen is None or self.first.inputs["src"] == size:
            return self.first
        with self._lock:
            if size not in self._kept:
                self._kept[size] = self._reopen({name: feed.shape for name, feed in feeds.items()})
                while len(self._kept) > _SESSIONS:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(size)
            return self._kept[size]


def downsample_ratio(height: int, width: int, target_px: int = 512) -> float:
    """Scale at which the network looks: as published for the usual sizes, like them for others.

    0.375 for 1280 x 720, 0.25 for 1920 x 1080, 0.125 for 3840 x 2160: 480 x 270 pixels, whatever
    their proportions; all of a frame whose longer side has ``target_px`` or less.
    """
    if max(height, width) <= target_px:
        return 1.0
    return min(target_px / max(height, width), math.sqrt(_LOOK_PIXELS / (height * width)))


def small_size(height: int, width: int, ratio: float) -> tuple[int, int]:
    """(height, width) of the frame that the network is shown: multiples of 16."""

    def side(length: int) -> int:
        return max(STEP_PX, round(length * ratio / STEP_PX) * STEP_PX)

    return side(height), side(width)


def shrunk(rgb: Rgb, height: int, width: int) -> Tensor:
    """(3, height, width) float32 in 0..1 of a frame, by the mean of the area of each pixel.

    The network was trained on frames shrunk bilinearly, without a filter; the mean is less sharp by
    a hair, and does not lose its way in noise (MAD 7.6 instead of 26.5 in one of the clips with
    truth).
    """
    small = fit(rgb, height, width, spare=1.0)
    planes: Tensor = np.empty((3, height, width), np.float32)
    np.multiply(small.transpose(2, 0, 1), np.float32(1 / full_scale(rgb)), out=planes)
    return planes


def first_memory(height: int, width: int) -> dict[str, Tensor]:
    """An empty memory for small frames of ``height`` x ``width``, multiples of 16."""
    return {
        f"{name}i": np.zeros((1, CHANNELS[name], height >> level, width >> level), np.float32)
        for level, name in enumerate(MEMORY, start=1)
    }


def check_state(feeds: Mapping[str, Tensor], height: int, width: int) -> None:
    """Raise ``InferenceFailed`` where the memory is not that of frames of this size."""
    for level, name in enumerate(MEMORY, start=1):
        if feeds[f"{name}i"].shape[2:] != (height >> level, width >> level):
            raise InferenceFailed(
                "the memory is that of frames of another size or ratio",
                hint="begin with state=None where the size changes",
            )


def first_feeds(source: Tensor, ratio: float) -> dict[str, Tensor]:
    """Inputs of a first frame of the published graph: ``source`` as it takes it, empty memory."""
    return {
        "src": source,
        "downsample_ratio": np.array([ratio], np.float32),
        **{f"{name}i": np.zeros((1, 1, 1, 1), np.float32) for name in MEMORY},
    }
