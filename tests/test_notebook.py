"""What notebooks show of a cutout: asked of IPython, and of a notebook that is really run."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut import Result, cutout
from cleancut.notebook import SHOWN_PX


def shown(html: str) -> Image.Image:
    found = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert found is not None
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


@pytest.fixture
def result(disc: NDArray[np.uint8]) -> Result:
    return cutout(disc, model="echo")


def test_the_cutout_stands_on_a_checkerboard_with_its_facts(result: Result) -> None:
    html = replace(result, confidence=0.874, reasons=("the edge is soft",))._repr_html_()
    picture = shown(html)
    assert picture.mode == "RGBA"
    assert picture.size == (128, 96)
    assert np.array_equal(np.asarray(picture)[..., 3], np.asarray(result.mask))
    assert "repeating-conic-gradient" in html
    assert "echo · 128 × 96 · confidence 0.87" in html
    assert "<li>the edge is soft</li>" in html


def test_large_pictures_are_shown_smaller() -> None:
    wide = np.zeros((200, 3000, 3), np.uint8)
    wide[50:150, 1000:2000] = 255
    result = cutout(wide, model="echo")
    picture = Image.open(io.BytesIO(result._repr_png_()))
    assert picture.size == (SHOWN_PX, SHOWN_PX * 200 // 3000)
    assert "3000 × 200" in result._repr_html_()


def test_names_and_notes_are_text(result: Result) -> None:
    evil = '<script>alert("x")</script>'
    html = replace(result, models=(evil,), notes=(f"note: {evil}",))._repr_html_()
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") == 2


def test_a_background_or_the_matte_is_shown_as_asked(disc: NDArray[np.uint8]) -> None:
    red = Image.open(io.BytesIO(cutout(disc, model="echo", background="red")._repr_png_()))
    assert red.mode == "RGB"
    assert red.getpixel((0, 0)) == (255, 0, 0)
    matte = Image.open(io.BytesIO(cutout(disc, model="echo", only_mask=True)._repr_png_()))
    assert matte.getpixel((64, 48)) == (255, 255, 255)
    assert matte.getpixel((0, 0)) == (0, 0, 0)


def test_deep_colours_are_shown_in_eight_bits(disc: NDArray[np.uint8]) -> None:
    result = cutout(disc.astype(np.uint16) * 257, model="echo")
    assert np.asarray(shown(result._repr_html_())).dtype == np.uint8


@pytest.mark.slow
def test_a_notebook_that_is_run_holds_the_picture() -> None:
    import nbformat
    from nbclient import NotebookClient

    cell = nbformat.v4.new_code_cell(
        "import numpy as np, cleancut\n"
        "square = np.zeros((60, 80, 3), np.uint8); square[15:45, 20:60] = 255\n"
        "cleancut.cutout(square, model='echo')"
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "execute_result"
    assert shown(output.data["text/html"]).size == (80, 60)
    png = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    assert np.array_equal(np.asarray(png), np.asarray(shown(output.data["text/html"])))
