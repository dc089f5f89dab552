"""Write the static page with everything it needs into ``dist/``: run by ``make browser-demo``.

ONNX Runtime Web comes from npm, which checks it against ``package-lock.json``; the network is
``cleancut models export``'s. What is in ``dist/`` works from any static host, below any path.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
OWN = (".html", ".css", ".js", ".svg", ".webmanifest")
RUNTIME = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
LARGE = (".wasm", ".onnx", ".mjs")


def headers() -> dict[str, str]:
    """What a host should send with every file, and what the service worker adds where none does."""
    page = (HERE / "index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    return {
        "Content-Security-Policy": policy[1],
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "X-Content-Type-Options": "nosniff",
    }


def fetch_runtime(target: Path) -> None:
    """ONNX Runtime Web as ``package-lock.json`` pins it, the files that a browser loads only."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, scratch)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        try:
            subprocess.run(command, cwd=scratch, check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"npm could not fetch onnxruntime-web ({error}); try again") from error
        package = Path(scratch) / "node_modules" / "onnxruntime-web"
        target.mkdir()
        for name in RUNTIME:
            shutil.copy(package / "dist" / name, target / name)


def export_network(model: str, target: Path) -> None:
    """The network and its card, which is called card.json whatever the network is."""
    command = [sys.executable, "-m", "cleancut", "models", "export", model]
    subprocess.run([*command, "--to", "onnx-web", "-o", str(target)], check=True)
    (card,) = target.glob("*.onnx.json")
    card.rename(target / "card.json")


def seal(dist: Path) -> None:
    """The service worker learns what the page consists of; ``_headers`` is for hosts that read."""
    files = sorted(path for path in dist.rglob("*") if path.is_file() and path.name != "sw.js")
    names = {path: path.relative_to(dist).as_posix() for path in files}
    digest = hashlib.sha256((HERE / "sw.js").read_bytes())
    for path in files:
        digest.update(names[path].encode() + path.read_bytes())
    large = [path for path in files if path.suffix in LARGE]
    filled = {
        "__VERSION__": f"cleancut-{digest.hexdigest()[:16]}",
        "__SHELL__": json.dumps([names[path] for path in files if path not in large]),
        "__SIZES__": json.dumps({names[path]: path.stat().st_size for path in large}),
        "__HEADERS__": json.dumps(headers()).replace("'", "\\'"),
    }
    text = (HERE / "sw.js").read_text("utf-8")
    for mark, value in filled.items():
        text = text.replace(mark, value)
    (dist / "sw.js").write_text(text, "utf-8")
    lines = [f"  {name}: {value}" for name, value in headers().items()]
    (dist / "_headers").write_text("\n".join(("/*", *lines, "")), "utf-8")


def build(dist: Path, model: str = "cleancut-nano") -> None:
    """Make ``dist`` anew, whole or not at all."""
    fresh = dist.with_name(f".{dist.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        for path in sorted(HERE.iterdir()):
            if path.suffix in OWN:
                shutil.copy(path, fresh)
        with ThreadPoolExecutor() as pool:  # one waits for the disk, the other computes
            parts = (
                pool.submit(fetch_runtime, fresh / "ort"),
                pool.submit(export_network, model, fresh / "model"),
            )
        for part in parts:
            part.result()
        seal(fresh)
        shutil.rmtree(dist, ignore_errors=True)
        fresh.rename(dist)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "dist")
    parser.add_argument("--model", default="cleancut-nano")
    given = parser.parse_args()
    build(given.output, given.model)
    size = sum(path.stat().st_size for path in given.output.rglob("*") if path.is_file())
    sys.stdout.write(
        f"{given.output}: {size / 1e6:.1f} MB; python -m http.server -d {given.output}\n"
    )
