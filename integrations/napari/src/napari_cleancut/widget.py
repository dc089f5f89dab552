"""The dock widget: what to cut and how, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, Container, Label, PushButton
from napari.layers import Image, Labels, Layer, Points
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error

from cleancut.catalog import catalog
from cleancut.errors import CleancutError
from cleancut.options import CHOICES

from .layers import KEEP, REMOVE, guidance_of, picture_of, placed, points_in

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cleancut import Engine, Result

_RESULTS = {"Image": ("image",), "Labels": ("labels",), "Both": ("image", "labels")}


@cache
def engine() -> Engine:
    """The engine that keeps networks loaded from one picture to the next."""
    from cleancut import Engine

    return Engine()


class RemoveBackground(Container):  # type: ignore[type-arg]
    """Choices, a button, and one line that says how it went. Cutting leaves the viewer alive."""

    def __init__(self, napari_viewer: Viewer) -> None:  # napari goes by this name
        models = ["auto", *(row.id for row in catalog().values() if row.family != "recurrent")]
        self._viewer = viewer = napari_viewer
        self.image = ComboBox(label="Image", choices=self._layers_of(Image))
        self.model = ComboBox(label="Model", choices=models)
        self.refine = ComboBox(label="Edge", choices=CHOICES["refine"], value="fast")
        self.clean = CheckBox(label="Clean colours", value=True)
        self.strokes = self._optional(Labels, "Strokes", "1 keeps, 2 removes")
        self.keep = self._optional(Points, "Keep points", "each brings back what lies there")
        self.remove = self._optional(Points, "Remove points", "each takes out what lies there")
        self.result = ComboBox(label="Result", choices=list(_RESULTS))
        self.paint = PushButton(text="New layer for strokes")
        self.button = PushButton(text="Remove background")
        self.status = Label(value="")
        super().__init__(
            widgets=[
                self.image,
                self.model,
                self.refine,
                self.clean,
                self.strokes,
                self.keep,
                self.remove,
                self.result,
                self.paint,
                self.button,
                self.status,
            ]
        )
        self.paint.changed.connect(self._add_strokes)
        self.button.changed.connect(self.start)
        viewer.layers.events.inserted.connect(self._offer_layers)
        viewer.layers.events.removed.connect(self._offer_layers)

    def start(self) -> None:
        """Cut what the viewer shows, in a thread."""
        image = self.image.value
        if image is None:
            show_error("cleancut: open an image first")
            return
        try:
            picture = picture_of(image, self._viewer.dims.current_step)
            guidance = guidance_of(
                picture.shape[:2],
                None if self.strokes.value is None else np.asarray(self.strokes.value.data),
                *(
                    layer.value and points_in(layer.value, image)
                    for layer in (self.keep, self.remove)
                ),
            )
        except (CleancutError, ValueError) as error:
            self._failed(error)
            return
        self.button.enabled = False
        self.status.value = "cutting ..."
        self._worker = create_worker(
            engine().cutout,
            picture,
            guidance=guidance,
            model=self.model.value,
            refine=self.refine.value,
            decontaminate=self.clean.value,
            _ignore_errors=True,
            _connect={
                "returned": lambda result: self._show(result, image),
                "errored": self._failed,
                "finished": self._ready,
            },
        )

    def _show(self, result: Result, image: Image) -> None:
        place = placed(image)
        for kind in _RESULTS[self.result.value]:
            if kind == "image":
                name = f"{image.name} cutout"
                self._viewer.add_image(np.asarray(result.image), rgb=True, name=name, **place)
            else:
                subject = (result.alpha >= 0.5).astype(np.uint8)
                self._viewer.add_labels(subject, name=f"{image.name} subject", **place)
        sure = "" if result.confidence is None else f", confidence {result.confidence:.2f}"
        self.status.value = "\n".join([f"{result.model}{sure}", *result.reasons])

    def _failed(self, error: Exception) -> None:
        hint = getattr(error, "hint", "")
        line = f"{error}; {hint}" if hint else str(error)
        self.status.value = line
        show_error(f"cleancut: {line}")

    def _ready(self) -> None:
        self.button.enabled = True

    def _layers_of(self, kind: type[Layer]) -> Callable[[object], list[Layer]]:
        return lambda _: [layer for layer in self._viewer.layers if isinstance(layer, kind)]

    def _optional(self, kind: type[Layer], label: str, tooltip: str) -> ComboBox:
        choices = self._layers_of(kind)
        return ComboBox(label=label, choices=choices, nullable=True, tooltip=tooltip)

    def _offer_layers(self) -> None:
        for box in (self.image, self.strokes, self.keep, self.remove):
            box.reset_choices()

    def _add_strokes(self) -> None:
        if self.image.value is not None:
            self.strokes.value = add_strokes(self._viewer, self.image.value)


def add_strokes(viewer: Viewer, image: Image | None = None) -> Labels | None:
    """A layer to paint in over ``image``, or over the active one: 1 keeps (green), 2 removes."""
    found = image if image is not None else viewer.layers.selection.active
    if not isinstance(found, Image):
        show_error("cleancut: select an image first")
        return None
    height, width = picture_of(found, viewer.dims.current_step).shape[:2]
    layer = viewer.add_labels(
        np.zeros((height, width), np.uint8), name=f"{found.name} strokes", **placed(found)
    )
    from napari.utils.colormaps import DirectLabelColormap

    layer.colormap = DirectLabelColormap(
        color_dict={None: "transparent", 0: "transparent", KEEP: "lime", REMOVE: "red"}
    )
    layer.brush_size = max(3, max(height, width) // 60)
    layer.mode = "paint"
    return layer
