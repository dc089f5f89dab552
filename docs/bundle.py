"""Put an exported student into the package: run by hand after a training run.

``python docs/bundle.py cleancut-nano.onnx`` (or ``make bundle ONNX=...``) takes what ``cleancut
distill export`` wrote, the network and the recipe beside it, copies the network to
``cleancut/bundled`` and brings the row of the same name in ``catalog.toml`` up to date: size of the
input, bytes, sha256, licence, training data, commercial use. Title, aliases, tags and note are the
row's own; a note that begins with "stand-in" goes. A row that is not there yet is begun.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import onnx

from cleancut import catalog
from cleancut.imaging.files import write_atomic
from cleancut.toml import tomllib
from cleancut.weights.folders import BUNDLED

CATALOG = Path(catalog.__file__).with_name("catalog.toml")
LIMIT_BYTES = 10_000_000
NEW = """\
[[model]]
id = "{name}"
title = ""
family = "saliency"
tags = []
code_licence = "Apache-2.0"
weight_licence = ""
training_data = ""
commercial = "unclear"
homepage = "https://github.com/cleancut/cleancut"
bundled = true
[model.recipe]
size = 0
mean = 0.5
std = 0.5
[[model.weights]]
file = "{name}.onnx"
parts = []

"""


def facts(network: Path) -> dict[str, str]:
    """Lines of the row that follow from the file, as TOML values by key."""
    data = network.read_bytes()
    if len(data) > LIMIT_BYTES:
        sys.exit(f"{network}: {len(data)} bytes; the package takes {LIMIT_BYTES} at most")
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model)
    told = {entry.key: entry.value for entry in model.metadata_props}
    recipe = tomllib.loads(network.with_suffix(".toml").read_text("utf-8"))
    size = recipe["size"]
    shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    if shape[2:] not in ([0, 0], [size, size]):
        sys.exit(f"{network}: its input is {shape}, its recipe says {size}")
    digest = hashlib.sha256(data).hexdigest()
    found = {
        "weight_licence": json.dumps(recipe["weight_licence"]),
        "commercial": json.dumps(recipe["commercial"]),
        "training_data": json.dumps(told["training_data"], ensure_ascii=False),
        "size": str(size),
        "parts": f'[{{ name = "{network.name}", bytes = {len(data)}, sha256 = "{digest}" }}]',
    }
    recipe_keys = {key: recipe[key] for key in ("mean", "std") if key in recipe}
    return found | {key: json.dumps(value) for key, value in recipe_keys.items()}


def with_row(text: str, name: str, found: dict[str, str]) -> str:
    """The catalog with the row ``name`` brought up to date, begun after the bundled ones."""
    head, *rows = text.split("[[model]]\n")
    rows = [f"[[model]]\n{row}" for row in rows]
    at = next((k for k, row in enumerate(rows) if f'\nid = "{name}"\n' in row), None)
    if at is None:
        at = sum("\nbundled = true\n" in row for row in rows)
        rows.insert(at, NEW.format(name=name))
        print(f"{CATALOG.name}: fill in title, aliases and tags of the new row {name}")
    lines = []
    for line in rows[at].split("\n"):
        key = line.partition(" = ")[0]
        if line.startswith('note = "stand-in'):
            continue
        lines.append(f"{key} = {found[key]}" if key in found else line)
    rows[at] = "\n".join(lines)
    return head + "".join(rows)


def main() -> int:
    """Copy the network, rewrite its row."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("network", type=Path, help="NAME.onnx with NAME.toml beside it")
    network: Path = parser.parse_args().network
    text = with_row(CATALOG.read_text("utf-8"), network.stem, facts(network))
    row = catalog.parse(tomllib.loads(text))[network.stem]
    BUNDLED.mkdir(exist_ok=True)
    write_atomic(BUNDLED / network.name, network.read_bytes())
    write_atomic(CATALOG, text.encode())
    print(f"{row.id}: {row.weights[0].bytes} bytes, sha256 {row.weights[0].sha256}")
    print("next: make docs; pytest tests/weights/test_bundled.py tests/contract/test_models.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
