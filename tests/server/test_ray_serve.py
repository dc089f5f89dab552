"""The deployment for Ray Serve, on a cluster of one machine."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cleancut.errors import BadOption
from tests.cache.conftest import redis_url  # noqa: F401

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "ray"

_SCRIPT = """
import io, json, os, sys, time
import httpx, ray
from PIL import Image, ImageDraw
from ray import serve
from serve_cleancut import build

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1",
         _temp_dir=sys.argv[1])
port = int(sys.argv[2])
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(build({"replicas": "2", "cpus": "1", "model": "echo"}))
picture = Image.new("RGB", (120, 90))
ImageDraw.Draw(picture).ellipse((30, 20, 90, 70), fill="white")
file = io.BytesIO()
picture.save(file, "PNG")
key = {"X-API-Key": os.environ["KEY"]}
with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=key, timeout=30) as client:
    while client.get("/readyz").status_code != 200:
        time.sleep(0.2)
    cut = client.post("/v1/cutouts", files={"image": ("a.png", file.getvalue(), "image/png")})
    refused = httpx.post(f"http://127.0.0.1:{port}/v1/cutouts", content=b"x").status_code
    sent = [("image", (f"{n}.png", file.getvalue(), "image/png")) for n in range(6)]
    job = client.post("/v1/jobs", files=sent).json()
    while job["status"] in ("queued", "running"):
        job = client.get(f"/v1/jobs/{job['id']}?wait=5").json()
    result = client.get(job["items"][5]["result"].partition(str(port))[2])
    alpha = Image.open(io.BytesIO(result.content)).getchannel("A")
    told = json.dumps({
        "cut": cut.status_code, "refused": refused, "job": job["status"],
        "done": job["progress"]["done"], "result": result.status_code, "box": alpha.getbbox(),
        "same": result.content == cut.content,
    })
    open(sys.argv[3], "w").write(told)
serve.shutdown()
ray.shutdown()
"""


@pytest.fixture
def module() -> ModuleType:
    pytest.importorskip("ray.serve", reason="needs the package ray[serve]")
    spec = importlib.util.spec_from_file_location("serve_cleancut", DEPLOY / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_replicas_without_a_redis_are_refused(module: ModuleType) -> None:
    with pytest.raises(BadOption, match="Redis"):
        module.settings_of({}, cpus=1, model="echo")
    settings = module.settings_of(
        {"CLEANCUT_SERVER_REDIS": "redis://h", "CLEANCUT_SERVER_QUEUE": "7"}, cpus=2, model="echo"
    )
    assert (settings.redis, settings.queue, settings.threads) == ("redis://h", 7, 2)
    assert settings.options.model == "echo"
    with pytest.raises(BadOption, match="nodes"):
        module.build({"nodes": "3"})


def test_the_manifest_starts_what_is_there(module: ModuleType) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with Ray")
    spec = yaml.safe_load((DEPLOY / "rayservice.yaml").read_text("utf-8"))["spec"]
    (application,) = yaml.safe_load(spec["serveConfigV2"])["applications"]
    image = (DEPLOY / "Dockerfile").read_text("utf-8")
    name, _, function = application["import_path"].partition(":")
    assert f"deploy/ray/serve.py /home/ray/{name}.py" in image
    assert callable(getattr(module, function))
    assert set(application["args"]) <= set(module._KNOWN)
    assert all(isinstance(value, str) for value in application["args"].values())
    config = spec["rayClusterConfig"]
    assert f"rayproject/ray:{config['rayVersion']}-" in image
    (group,) = config["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    wanted = int(application["args"]["replicas"]) * int(application["args"]["cpus"])
    assert wanted <= group["replicas"] * int(container["resources"]["limits"]["cpu"])
    for head_or_worker in (config["headGroupSpec"], group):
        (container,) = head_or_worker["template"]["spec"]["containers"]
        assert {entry["name"] for entry in container["env"]} >= {
            "CLEANCUT_SERVER_REDIS",
            "CLEANCUT_SERVER_KEYS_FILE",
        }


@pytest.mark.slow
def test_two_replicas_cut_one_job(redis_url: str, tmp_path: Path) -> None:  # noqa: F811
    pytest.importorskip("ray.serve", reason="needs the package ray[serve]")
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "serve_cleancut.py").write_text((DEPLOY / "serve.py").read_text("utf-8"), "utf-8")
    secret = "an-operators-own-secret-of-forty-characters"
    (tmp_path / "keys").write_text(f"shop {secret}\n", "utf-8")
    (tmp_path / "keys").chmod(0o600)
    environ = {
        **os.environ,
        "CLEANCUT_SERVER_REDIS": redis_url,
        "CLEANCUT_SERVER_KEYS_FILE": str(tmp_path / "keys"),
        "KEY": secret,
        "PYTHONPATH": str(tmp_path),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    folder = Path("/tmp") / f"cc-ray-{os.getpid()}"  # socket names must be short
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(folder), str(port), str(tmp_path / "told")],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=150,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "told").read_text("utf-8"))
    assert told == {
        "cut": 200,
        "refused": 401,
        "job": "done",
        "done": 6,
        "result": 200,
        "box": told["box"],
        "same": True,
    }
    assert told["box"] == [30, 20, 91, 71]
