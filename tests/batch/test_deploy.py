"""The manifests in deploy/: they parse, and what they call exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from cleancut import __version__
from cleancut.cli.main import build_parser
from cleancut.toml import tomllib

yaml = pytest.importorskip("yaml", reason="PyYAML comes with Ray and moto")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def manifest(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    return loaded


def parsed(command: str) -> Any:
    words = shlex.split(command)
    assert words[0] == "cleancut"
    return build_parser(words[1]).parse_args(words[1:])


def test_every_shard_of_the_job_is_one_that_exists() -> None:
    spec = manifest("kubernetes/job.yaml")["spec"]
    container = spec["template"]["spec"]["containers"][0]
    values = {entry["name"]: entry["value"] for entry in container["env"]}
    assert spec["completionMode"] == "Indexed"
    assert int(values["SHARDS"]) == spec["completions"] >= spec["parallelism"]
    assert container["command"] == ["/bin/sh", "-c"]
    (script,) = container["args"]
    shards = []
    for index in range(spec["completions"]):
        command = script.removeprefix("exec ").replace(
            "$((JOB_COMPLETION_INDEX + 1))", f"{index + 1}"
        )
        args = parsed(re.sub(r"\$(\w+)", lambda match: values[match[1]], command))
        assert (args.inputs, args.output) == ([values["IN"]], values["OUT"])
        shards.append(args.shard)
    assert shards == [f"{number}/8" for number in range(1, 9)]


def test_the_pod_may_do_no_more_than_it_needs() -> None:
    pod = manifest("kubernetes/job.yaml")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["restartPolicy"] == "Never", "needed by backoffLimitPerIndex"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["resources"]["limits"]["cpu"] == container["resources"]["requests"]["cpu"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert "AWS_SECRET_ACCESS_KEY" not in str(container["env"])


def test_exit_codes_that_are_not_tried_again_are_those_of_the_command_line() -> None:
    from cleancut.cli.main import EXIT_CODES, EXIT_SOME_FAILED

    rules = manifest("kubernetes/job.yaml")["spec"]["podFailurePolicy"]["rules"]
    values = next(rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule)
    assert values == sorted([EXIT_CODES["input"], EXIT_CODES["setup"], EXIT_SOME_FAILED])


def test_the_ray_job_asks_for_no_more_workers_than_its_nodes_hold() -> None:
    spec = manifest("ray/rayjob.yaml")["spec"]
    args = parsed(spec["entrypoint"])
    assert (args.engine, args.address) == ("ray", "auto")
    group = spec["rayClusterSpec"]["workerGroupSpecs"][0]
    container = group["template"]["spec"]["containers"][0]
    cores = int(container["resources"]["limits"]["cpu"])
    assert args.workers * args.threads == group["replicas"] * cores
    assert spec["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_images_and_versions_agree() -> None:
    ray = manifest("ray/rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"]
    image = (DEPLOY / "ray" / "Dockerfile").read_text("utf-8")
    assert f"rayproject/ray:{ray}-" in image
    assert f"ray[data]=={ray}" in image
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = next(text for text in extras["optional-dependencies"]["ray"] if text.startswith("ray"))
    assert needed == f"ray[data]>={ray[:4]}"
    files = [*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("Dockerfile"), ROOT / "compose.yaml"]
    files.append(ROOT / "docker" / "Dockerfile")
    texts = [path.read_text("utf-8") for path in files]
    tags = [tag for text in texts for tag in re.findall(r"registry\.example/[\w-]+:(\S+)", text)]
    assert tags
    assert set(tags) == {__version__}
