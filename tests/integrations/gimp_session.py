"""Run inside GIMP by test_gimp.py: cuts photo.png twice and prints ``what=result`` lines."""

import os
from pathlib import Path

from gi.repository import Gegl, Gimp, Gio

FOLDER = Path(os.environ["CLEANCUT_TEST_FOLDER"])
QUIET = Gimp.RunMode.NONINTERACTIVE


def cut(image, **settings):
    """The plug-in on the image's upper layer; "success" or what GIMP would show."""
    pdb = Gimp.get_pdb()
    procedure = pdb.lookup_procedure("plug-in-cleancut-remove-background")
    config = procedure.create_config()
    for name, value in {"run-mode": QUIET, "image": image, "model": "u2netp", **settings}.items():
        config.set_property(name, value)
    config.set_core_object_array("drawables", [image.get_layers()[0]])
    status = procedure.run(config).index(0)
    return "success" if status == Gimp.PDBStatusType.SUCCESS else pdb.get_last_error()


def opened():
    """The picture, anew."""
    image = Gimp.file_load(QUIET, Gio.File.new_for_path(str(FOLDER / "photo.png")))
    image.get_layers()[0].set_name("photo.png")
    return image


image = opened()
print(f"mask={cut(image)}")
mask = image.get_layers()[0].get_mask()
area = Gegl.Rectangle.new(0, 0, mask.get_width(), mask.get_height())
values = mask.get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
(FOLDER / "mask.raw").write_bytes(bytes(values))
print(f"again={cut(image)}")
image.delete()
image = opened()
print(f"layer={cut(image, result='layer')}")
print(f"layers={[layer.get_name() for layer in image.get_layers()]}")
Gimp.file_save(QUIET, image, Gio.File.new_for_path(str(FOLDER / "layer.png")), None)
image.delete()
