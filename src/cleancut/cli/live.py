"""``cleancut video`` on frames that come as they come: a camera, or raw frames on stdin."""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cleancut.cli.flags import options_from
from cleancut.cli.main import shown
from cleancut.cli.video_flags import video_options_from
from cleancut.errors import BadOption
from cleancut.video.camera_in import is_camera, open_camera
from cleancut.video.camera_out import PREFIX, VirtualCamera, is_virtual_camera

if TYPE_CHECKING:
    from cleancut.engine import Engine
    from cleancut.options import Options
    from cleancut.video.camera_in import Camera
    from cleancut.video.live import LiveReport
    from cleancut.video.options import VideoOptions
    from cleancut.video.pipe import PipeReport

#: Largest side of a frame, in pixels.
_MOST_PX = 16_384


def add_live_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of a camera and of ``--pipe``."""
    group = parser.add_argument_group(
        "live", f"camera:0 as VIDEO and -o {PREFIX}, or raw frames through stdin and stdout"
    )
    add = group.add_argument
    add(
        "--pipe",
        choices=("rgb24", "rgba"),
        help="read raw frames of --size from stdin, write raw RGBA to stdout (rgb24 where nothing "
        "is transparent), one for one",
    )
    add("--size", metavar="WxH", help="size of the frames: a pipe's, or what a camera is asked for")
    add("--mirror", action="store_true", help="swap left and right of a camera's picture")
    add("-v", "--verbose", action="store_true", help="print rate and latency every two seconds")


def is_live(args: argparse.Namespace) -> bool:
    """Whether the arguments ask for a camera or a pipe."""
    return (
        args.pipe is not None
        or any(is_camera(name) for name in args.inputs)
        or is_virtual_camera(args.output or "")
        or is_virtual_camera(getattr(args, "stop", ""))
    )


def run(args: argparse.Namespace) -> int:
    """Follow a camera until Ctrl-C, or a pipe until it ends."""
    if is_virtual_camera(getattr(args, "stop", "")):  # --to virtual-camera
        if args.output is not None:
            raise BadOption("--to and -o name two targets", hint="leave one of them out")
        args.output = args.stop
        del args.stop
    for name in ("start", "stop"):
        if hasattr(args, name):
            raise BadOption("--from and --to are for files", hint="leave them out")
    if not hasattr(args, "look_ahead"):
        args.look_ahead = 0
    options, video = options_from(args), video_options_from(args)
    from cleancut.video.options import check_for_video

    check_for_video(options, video)
    return _pipe(args, options, video) if args.pipe else _camera(args, options, video)


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of ``"1280x720"``. Raises ``BadOption``."""
    found = re.fullmatch(r"\s*(\d{1,5})\s*[xX×]\s*(\d{1,5})\s*", text, re.ASCII)
    if not found or not all(1 <= int(side) <= _MOST_PX for side in found.groups()):
        raise BadOption(f"--size: {text!r} is not a size", hint="like 1280x720")
    return int(found[1]), int(found[2])


def _pipe(args: argparse.Namespace, options: Options, video: VideoOptions) -> int:
    from cleancut.video.pipe import run_pipe

    if args.size is None:
        raise BadOption("--pipe needs the size of a frame", hint="add: --size 1280x720")
    if args.inputs or args.output not in (None, "-"):
        raise BadOption("--pipe goes from stdin to stdout", hint="name no files")
    if args.mirror:
        raise BadOption("--mirror is for cameras", hint="leave it out")
    if sys.stdin.isatty() or sys.stdout.isatty():
        raise BadOption(
            "raw frames would come from or go to the terminal",
            hint=f"like: ... | cleancut video --pipe {args.pipe} --size {args.size} | ...",
        )
    made = run_pipe(
        sys.stdin.buffer,
        sys.stdout.buffer,
        _engine(args, options, video),
        options,
        video,
        size=parse_size(args.size),
        pixels=args.pipe,
        on_report=_teller(args),
    )
    _tell_end(args, made)
    return 0


def _camera(args: argparse.Namespace, options: Options, video: VideoOptions) -> int:
    from cleancut.video.live import check_opaque
    from cleancut.video.order import VideoOrder

    if len(args.inputs) != 1 or not is_camera(args.inputs[0]):
        raise BadOption(
            f"{PREFIX} shows one camera", hint=f"run: cleancut video camera:0 -o {PREFIX} -b blur"
        )
    if args.output is None or not is_virtual_camera(args.output):
        raise BadOption(
            "a camera goes to a virtual camera",
            hint=f"add -o {PREFIX}; record with another program, then run: cleancut video FILE",
        )
    if video.look_ahead:
        raise BadOption("--look-ahead: a camera has no coming frames", hint="leave it out")
    check_opaque(options, video)
    rate = VideoOrder(source=args.inputs[0], target=PREFIX, rate=args.rate).frame_rate()
    size = None if args.size is None else parse_size(args.size)
    engine = _engine(args, options, video)
    camera = open_camera(args.inputs[0], size=size, rate=rate)
    try:
        return _follow(args, camera, engine, options, video)
    finally:
        camera.close()


def _follow(
    args: argparse.Namespace,
    camera: Camera,
    engine: Engine,
    options: Options,
    video: VideoOptions,
) -> int:
    """Until Ctrl-C, which is how it usually ends."""
    from cleancut.cli.ending import signals
    from cleancut.video.live import run_live

    opened: list[VirtualCamera] = []

    def open_screen(size: tuple[int, int], rate: float) -> VirtualCamera:
        opened.append(VirtualCamera(args.output, size=size, rate=rate))
        if not args.quiet:
            where = shown(opened[0].device)
            print(f"cleancut: live on {where}, Ctrl-C ends it", file=sys.stderr)
        return opened[0]

    try:
        with signals() as ending:
            made = run_live(
                camera,
                open_screen,
                engine,
                options,
                video,
                mirror=args.mirror,
                cancelled=ending.stop.is_set,
                on_report=_teller(args),
            )
    finally:
        for screen in opened:
            screen.close()
    _tell_end(args, made)
    return 0


def _engine(args: argparse.Namespace, options: Options, video: VideoOptions) -> Engine:
    """A warm engine; missing models are pulled first where that was asked for."""
    from cleancut.cli.cut import wanted_models
    from cleancut.engine import Engine

    if args.pull:
        from cleancut.catalog import find
        from cleancut.cli.models import pull_models

        rows = [find("rvm")] if video.engine == "rvm" else wanted_models(options)
        if failed := pull_models(rows, to=sys.stderr):
            raise failed[-1]
    return Engine(options, threads=args.threads)


def _teller(args: argparse.Namespace) -> Callable[[Any], None] | None:
    if not args.verbose or args.quiet:
        return None
    lock = threading.Lock()

    def tell(made: LiveReport | PipeReport) -> None:
        with lock:
            print(f"cleancut: {_described(made)}", file=sys.stderr)

    return tell


def _tell_end(args: argparse.Namespace, made: LiveReport | PipeReport) -> None:
    if args.json:
        stream = sys.stderr if args.pipe else sys.stdout
        print(json.dumps(made.to_dict()), file=stream, flush=True)
        return
    if args.quiet:
        return
    for note in made.notes:
        code, colon, text = note.partition(": ")
        print(f"cleancut: note [{code}] {shown(text if colon else note)}", file=sys.stderr)
    names = f" ({', '.join(made.networks)})" if made.networks else ""
    print(f"cleancut: {_described(made)}{names}", file=sys.stderr)


def _described(made: LiveReport | PipeReport) -> str:
    text = f"{made.frames} frames, {made.fps:.1f} a second"
    if made.latency_ms_median is not None:
        text += (
            f", latency {made.latency_ms_median:.0f} ms (95 % within {made.latency_ms_p95:.0f} ms)"
        )
    dropped = getattr(made, "dropped", 0)
    return f"{text}, {dropped} dropped" if dropped else text
