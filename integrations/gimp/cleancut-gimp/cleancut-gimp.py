#!/usr/bin/env python3
"""GIMP 3 plug-in: Filters > cleancut > Remove background."""

import os
import sys
import tempfile
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio, GLib, GObject  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import command  # noqa: E402

PROCEDURE = "plug-in-cleancut-remove-background"
_SHOWN = GObject.ParamFlags.READWRITE
_CHOICES = {
    "result": (
        "_Result",
        "What becomes of the cutout",
        {"mask": "Layer mask", "layer": "New layer with clean colours"},
    ),
    "selection": (
        "_Selection",
        "What a selection means, if there is one",
        {
            "box": "The subject lies in its bounds",
            "keep": "All of it belongs to the subject",
            "ignore": "Nothing",
        },
    ),
    "refine": (
        "_Edge",
        "How the edge is brought to full size",
        {"fast": "Fast", "best": "Best: hair strand by strand", "off": "As the network gives it"},
    ),
}


class Cleancut(Gimp.PlugIn):
    """What GIMP asks the plug-in for."""

    def do_set_i18n(self, _name):
        """No translations."""
        return False

    def do_query_procedures(self):
        """The one procedure there is."""
        return [PROCEDURE]

    def do_create_procedure(self, name):
        """The procedure with its place in the menu and its arguments."""
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label("_Remove background...")
        procedure.add_menu_path("<Image>/Filters/cleancut")
        procedure.set_documentation(
            "Remove the background of a layer",
            "Runs the command cleancut on the layer, on this machine. The cutout becomes the "
            "layer's mask, or a new layer whose soft edges have lost the old background's colour.",
            name,
        )
        procedure.set_attribution("The cleancut developers", "Apache-2.0", "2026")
        for key, (label, blurb, words) in _CHOICES.items():
            choice = Gimp.Choice.new()
            for number, (word, text) in enumerate(words.items()):
                choice.add(word, number, text, "")
            procedure.add_choice_argument(key, label, blurb, choice, next(iter(words)), _SHOWN)
        for key, label, blurb, value in (
            ("model", "_Model", "auto, or a name of: cleancut models list", "auto"),
            ("command", "_Command", "Path of cleancut; empty: the one on PATH", ""),
        ):
            procedure.add_string_argument(key, label, blurb, value, _SHOWN)
        return procedure


def run(procedure, run_mode, image, drawables, config, _data):
    """GIMP's call: ask, cut, and answer with success or one line that says what is wrong."""
    if run_mode == Gimp.RunMode.INTERACTIVE and not _agreed(procedure, config):
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, GLib.Error())
    try:
        layer = _layer_of(drawables)
        words = command.find_command(config.get_property("command") or "", os.environ)
        with tempfile.TemporaryDirectory(prefix="cleancut-") as folder:
            _cut(image, layer, config, words, Path(folder))
    except command.CommandFailed as error:
        failed = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), f"cleancut: {error}", 0)
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, failed)
    Gimp.displays_flush()
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())


def _agreed(procedure, config):
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init("cleancut")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "Remove background")
    dialog.fill(None)
    agreed = dialog.run()
    dialog.destroy()
    return agreed


def _layer_of(drawables):
    """The layer to cut; ``CommandFailed`` for anything that cannot get a mask."""
    layer = drawables[0] if len(drawables) == 1 else None
    if not isinstance(layer, Gimp.Layer) or layer.is_group():
        raise command.CommandFailed("choose one layer that is no group")
    if layer.get_mask() is not None:
        raise command.CommandFailed(
            f"the layer {layer.get_name()!r} has a mask already; apply or delete it first"
        )
    return layer


def _cut(image, layer, config, words, folder):
    """Export the layer, run the command, and bring what it wrote back as one step of undo."""
    picture, output = folder / "layer.png", folder / "cut.png"
    as_mask = config.get_property("result") == "mask"
    _export(image, layer, picture)
    words += command.arguments(
        picture,
        output,
        model=config.get_property("model") or "auto",  # GIMP keeps "" as None
        refine=config.get_property("refine"),
        only_mask=as_mask,
        **_guidance(image, layer, config.get_property("selection"), folder),
    )
    Gimp.progress_init("cleancut: removing the background")
    facts = command.run(words, os.environ, waiting=Gimp.progress_pulse)
    image.undo_group_start()
    try:
        (_add_mask if as_mask else _add_layer)(image, layer, output)
    finally:
        image.undo_group_end()
        Gimp.progress_end()
    for warning in command.warnings_of(facts):
        Gimp.message(f"cleancut: look at the result: {warning}")


def _export(image, layer, path):
    """The layer alone as a PNG with the image's depth and profile."""
    width, height = layer.get_width(), layer.get_height()
    alone = Gimp.Image.new_with_precision(
        width, height, image.get_base_type(), image.get_precision()
    )
    try:
        if profile := image.get_color_profile():
            alone.set_color_profile(profile)
        copy = Gimp.Layer.new_from_drawable(layer, alone)
        alone.insert_layer(copy, None, 0)
        copy.set_offsets(0, 0)
        copy.set_opacity(100)
        copy.set_mode(Gimp.LayerMode.NORMAL)
        copy.set_visible(True)
        file = Gio.File.new_for_path(str(path))
        if not Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, alone, file, None):
            raise command.CommandFailed(f"GIMP could not export the layer to {path}")
    finally:
        alone.delete()


def _guidance(image, layer, meaning, folder):
    """What the selection says, in the layer's pixels; nothing where it misses the layer."""
    _, selected, left, top, right, bottom = Gimp.Selection.bounds(image)
    _, across, down = layer.get_offsets()
    width, height = layer.get_width(), layer.get_height()
    box = (
        max(0, left - across),
        max(0, top - down),
        min(width, right - across),
        min(height, bottom - down),
    )
    if not selected or meaning == "ignore" or box[0] >= box[2] or box[1] >= box[3]:
        return {}
    if meaning == "box":
        return {"box": box}
    area = Gegl.Rectangle.new(across, down, width, height)
    buffer = image.get_selection().get_buffer()
    values = buffer.get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
    scribbles = folder / "scribbles.png"
    command.write_scribbles(scribbles, bytes(values), width, height)
    return {"scribbles": scribbles}


def _add_mask(_image, layer, path):
    """The grey picture as the layer's mask, value for value."""
    matte = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(path)))
    try:
        area = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
        source = matte.get_layers()[0].get_buffer()
        # A file's grey is encoded for the eye (Y'), a mask's is not (Y): take the numbers over.
        values = source.get(area, 1.0, "Y' u16", Gegl.AbyssPolicy.NONE)
    finally:
        matte.delete()
    if not layer.has_alpha():
        layer.add_alpha()
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    buffer = mask.get_buffer()
    buffer.set(area, "Y u16", values)
    buffer.flush()
    mask.update(0, 0, layer.get_width(), layer.get_height())


def _add_layer(image, layer, path):
    """The cutout as a layer above ``layer``, which is hidden."""
    file = Gio.File.new_for_path(str(path))
    cutout = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image, file)
    cutout.set_name(f"{layer.get_name()} cutout")
    image.insert_layer(cutout, layer.get_parent(), image.get_item_position(layer))
    _, across, down = layer.get_offsets()
    cutout.set_offsets(across, down)
    layer.set_visible(False)


Gimp.main(Cleancut.__gtype__, sys.argv)
