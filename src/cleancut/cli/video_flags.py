"""The flags of ``cleancut video`` that follow from ``VideoOptions``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from cleancut.option_values import flag
from cleancut.video.options import CHOICES, VideoOptions

EPILOG = """\
examples:
  cleancut video talk.mp4                            -> talk.cutout.webm, transparent, with sound
  cleancut video talk.mp4 -o talk.mov                ProRes 4444, for editors
  cleancut video talk.mp4 -o green.mp4 -b '#00b140'  over a colour
  cleancut video talk.mp4 -o desk.mp4 -b office.jpg  over a picture; or a video; or blur
  cleancut video talk.mp4 -o 'frames/%05d.png'       numbered pictures
  cleancut video 'shot/%05d.png' --rate 24 -o shot.mov
  cleancut video talk.mp4 -o matte.mp4 --matte-only
  cleancut video talk.mp4 -o look.mp4 --side-by-side --from 1:10 --to 1:20
  cleancut video a.mp4 b.mov -o 'out/*.webm'
  cleancut video talk.mp4 --info                     what is known about it

A video is rendered in parts, which lie beside the target until it is whole: after Ctrl-C, a crash
or a power cut the same command goes on where it was.
exit codes: 0 done, 1 a bug, 2 input or option, 3 setup (model, package, backend), 4 memory,
5 some of several videos failed, 130 interrupted, 143 terminated
"""

#: What options of pictures mean for videos.
ABOUT = {
    "background": "put the subject on a colour ('#fff', '#00b140'), an image file, a video file "
    "(repeated if it is shorter), or blur[:radius]",
    "quality": "1 to 100; without it each codec's usual one",
    "compress": "fast, or small (slower to write)",
    "max_megapixels": "refuse videos with larger frames",
    "model": "model by name, or a path to an .onnx file; auto chooses by what the video shows",
    "input": "which videos are taken",
}
_NUMBERS = {"look_ahead": int, "ratio": float}


def add_video_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for every field of ``VideoOptions``; unset ones leave no trace in the namespace."""
    group = parser.add_argument_group("video", "how frames become a video")
    for knob in fields(VideoOptions):
        name = knob.metadata.get("flag", flag(knob.name))
        about: dict[str, Any] = {"dest": knob.name, "default": argparse.SUPPRESS}
        about["help"] = knob.metadata["help"]
        if isinstance(knob.default, bool):
            if knob.default:
                name = name.replace("--", "--no-", 1)
                about["action"], about["help"] = "store_false", f"do not {about['help']}"
            else:
                about["action"] = "store_true"
        elif knob.name in CHOICES:
            about["choices"] = CHOICES[knob.name]
        else:
            about["metavar"] = knob.metadata.get("metavar", knob.name.upper())
            about["type"] = _NUMBERS.get(knob.name, str)
        group.add_argument(name, **about)


def video_options_from(args: argparse.Namespace) -> VideoOptions:
    """The video options that the flags ask for. Raises ``BadOption``."""
    names = (knob.name for knob in fields(VideoOptions))
    return VideoOptions.from_mapping({n: getattr(args, n) for n in names if hasattr(args, n)})
