"""``cleancut models export``: a model as a file for browsers and phones."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.catalog import find

if TYPE_CHECKING:
    from cleancut.mobile.export import Exported

HELP = "write a model for another runtime: browsers, Android, iOS"
TARGETS = ("onnx-web", "tflite", "coreml")
FORMS = ("int8-weights", "f16", "f32")
EPILOG = """\
onnx-web is for onnxruntime-web (WASM and WebGPU), tflite for LiteRT on Android, coreml for Core ML
on iOS 16 and macOS 13. Beside the file lies a card (.json): input size, normalisation, layout,
names, sha256, licences. The file takes pictures of one size. Its mattes are compared with the
original's and nothing is written if they differ; a Core ML file cannot be run here, only on
Apple's systems. Needs: pip install 'cleancut[mobile]'.

examples:
  cleancut models export cleancut-nano --to onnx-web -o web
  cleancut models export cleancut-nano --to tflite --form f16 -o app/src/main/assets
  cleancut models export cleancut-nano --to coreml -o App
  cleancut models export u2netp --to tflite --form f32 --pictures photos -o out
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``models export``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("name", metavar="NAME", help="a model of the catalog, or a path to an .onnx file")
    add("--to", choices=TARGETS, required=True, help="the runtime")
    add("-o", "--output", type=Path, metavar="DIR", required=True, help="the folder to write to")
    add(
        "--form",
        choices=FORMS,
        default="int8-weights",
        help="how weights are stored (default: %(default)s)",
    )
    add("--size", type=int, metavar="N", help="side of the square input (default: the model's)")
    add("--pictures", type=Path, metavar="DIR", help="photographs to compare on (8 or more)")


def run(args: argparse.Namespace) -> int:
    """Export one model and tell what was written."""
    from cleancut.mobile.export import export, facts
    from cleancut.optimize.calibrate import choose_pictures

    spec = find(args.name)
    pictures = choose_pictures(args.pictures, 16 if args.pictures else 4).of_kind()
    done = export(
        spec,
        args.output,
        to=args.to,
        form=args.form,
        size=args.size,
        pictures=[rgb for _, rgb in pictures.each()],
    )
    print(json.dumps(facts(done), indent=1) if args.json else text_of(done))
    return 0


def text_of(done: Exported) -> str:
    """Two lines: the file, and how near it is."""
    told = f"{done.path}: {done.form}, {done.bytes / 1e6:.2f} MB; card: {done.card.name}"
    if done.mean is None:
        return f"{told}\n{done.runtime}"
    return (
        f"{told}\n{done.runtime} beside the original on {done.pictures} pictures: "
        f"mean {done.mean:.1e}, largest {done.largest:.1e}"
    )
