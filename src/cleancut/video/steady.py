"""Image models frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleancut.matting.confidence import judge_matte
from cleancut.matting.fusion import UNSURE, softness
from cleancut.matting.light import brightened
from cleancut.matting.refine import refine
from cleancut.panel import judge
from cleancut.video.cuts import Glance, glance_at, is_cut
from cleancut.video.mattes import Matted, own_transparency

if TYPE_CHECKING:
    from cleancut.options import Options
    from cleancut.panel import Panel
    from cleancut.video.frame import Frame
    from cleancut.video.mattes import Matter, Memory
    from cleancut.video.options import VideoOptions


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    glance: Glance


class ImageMatter:
    """An image model, or the panel of ``auto``, on every frame by itself."""

    look_ahead = 0
    warm_up = 1

    def __init__(self, panel: Panel, options: Options) -> None:
        self._panel = panel
        self._options = options

    @property
    def names(self) -> tuple[str, ...]:
        members = (self._panel.lead, self._panel.portrait, self._panel.second)
        return tuple(dict.fromkeys(member().spec.id for member in members if member is not None))

    def step(self, frame: Frame, memory: Memory) -> tuple[tuple[Matted, ...], Memory]:
        """The frame's matte; see ``Matter``."""
        past: _Past | None = memory
        glance = glance_at(frame.view)
        cut = past is not None and is_cut(past.glance, glance)
        lifted = brightened(frame.view)
        shown = frame.view if lifted is None else lifted
        options = self._options
        verdict = judge(
            shown, self._panel, thorough=options.refine == "best", minmax=options.minmax
        )
        doubt = softness(verdict.alpha)
        level = options.refine if doubt <= UNSURE else "off"
        refined = refine(frame.view, verdict.alpha, level=level, sharp=verdict.matting)
        confidence = judge_matte(doubt, verdict.agreement).value
        alpha = own_transparency(frame, refined.alpha)
        return (Matted(frame, alpha, confidence=confidence, cut=cut),), _Past(glance)

    def finish(self, memory: Memory) -> tuple[Matted, ...]:
        """Nothing ever waits."""
        return ()


def image_matter(panel: Panel, options: Options, video: VideoOptions) -> Matter:
    """The matter for image models: made steady, unless ``video.steady`` says otherwise."""
    return ImageMatter(panel, options)
