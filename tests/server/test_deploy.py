"""The server's image and manifests: they parse, and what they name exists."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cleancut.catalog import find
from cleancut.cli import serve
from cleancut.cli.main import build_parser
from cleancut.server import health
from cleancut.server.settings import Settings, variable

yaml = pytest.importorskip("yaml", reason="PyYAML comes with Ray and moto")

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, continued lines joined, comments left out."""
    lines = [
        line
        for line in (ROOT / "docker" / "Dockerfile").read_text("utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    found = [line.split(None, 1) for line in "\n".join(lines).replace("\\\n", "").splitlines()]
    return [(name, rest.strip()) for name, rest in found]


def stage(name: str) -> list[tuple[str, str]]:
    """The instructions of one stage and of those that it stands on."""
    inside: list[tuple[str, str]] = []
    source = ""
    current = ""
    for instruction, rest in instructions():
        if instruction == "FROM":
            source_, _, current = rest.split()
            source = source_ if current == name else source
        elif current == name:
            inside.append((instruction, rest))
    return (stage(source) if source and "python:" not in source else []) + inside


def environment(name: str) -> dict[str, str]:
    words = [word for kind, rest in stage(name) if kind == "ENV" for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def kubernetes() -> dict[str, Any]:
    text = (ROOT / "deploy" / "kubernetes" / "server.yaml").read_text("utf-8")
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def settings(words: list[str], environ: dict[str, str]) -> Settings:
    args = build_parser(words[0]).parse_args(words)
    assert isinstance(args, argparse.Namespace)
    return serve.settings_from(args, {"CLEANCUT_HOME": "/h", "CLEANCUT_CACHE": "/c", **environ})


def variables_of_the_server(environ: dict[str, str]) -> None:
    known = {variable(name) for name in Settings.names()}
    given = {name for name in environ if name.startswith("CLEANCUT_SERVER_")}
    assert given <= known, "a setting that does not exist"


def test_the_image_starts_a_server_that_nobody_uses_without_a_key() -> None:
    last = dict(stage("server"))
    assert [rest for kind, rest in instructions() if kind == "FROM"][-1].endswith("AS server")
    environ = environment("server")
    variables_of_the_server(environ)
    words = json.loads(last["CMD"])
    assert json.loads(last["ENTRYPOINT"]) == ["cleancut"]
    found = settings(words, environ)
    assert (found.host, found.port, found.data) == ("0.0.0.0", 7000, Path("/data"))
    assert not found.insecure
    assert last["EXPOSE"] == str(found.port)
    assert last["VOLUME"] == str(found.data)
    assert environ["CLEANCUT_CACHE"].startswith("/data/")


@pytest.mark.parametrize("target", ["server", "batch"])
def test_the_images_run_as_nobody_in_particular(target: str) -> None:
    rest = dict(stage(target))
    assert rest["USER"] == "10001:10001"
    assert json.loads(rest["ENTRYPOINT"]) == ["cleancut"]
    assert [line for kind, line in stage(target) if kind == "USER"] == ["10001:10001"]


def test_the_images_name_their_base_by_tag_and_only_extras_and_models_that_exist() -> None:
    from cleancut.toml import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    known = set(extras["optional-dependencies"])
    arguments = [rest.split("=", 1) for kind, rest in instructions() if kind == "ARG"]
    assert re.fullmatch(r"3\.\d+-slim-\w+", dict(arguments)["PYTHON"])
    for name, value in arguments:
        if name == "EXTRAS":
            assert set(value.split(",")) <= known
        if name == "MODELS":
            assert [find(model).id for model in value.strip('"').split()] == [
                "isnet",
                "u2netp",
                "modnet",
            ]
    for kind, rest in instructions():
        if kind == "RUN" and (pulled := re.search(r"cleancut (models .*?) \$", rest)):
            build_parser("models").parse_args([*pulled[1].split(), "isnet"])


def test_nothing_goes_into_an_image_that_is_not_named() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = [
        rest.split()[:-1]
        for kind, rest in instructions()
        if kind == "COPY" and not rest.startswith("--from")
    ]
    assert {name for names in copied for name in names} == allowed
    assert all((ROOT / name).exists() for name in allowed)


class Answer(BaseHTTPRequestHandler):
    status = 200
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        Answer.asked.append(self.path)
        self.send_response(Answer.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return


def test_the_health_check_asks_the_server_and_believes_it() -> None:
    check = next(rest for kind, rest in stage("server") if kind == "HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[0] == "python"
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environ = {**os.environ, "CLEANCUT_SERVER_PORT": str(server.server_address[1])}

        def healthy() -> bool:
            command[0] = sys.executable
            return subprocess.run(command, env=environ, stderr=subprocess.DEVNULL).returncode == 0

        assert healthy()
        Answer.status = 503
        assert not healthy()
        server.shutdown()
    assert not healthy()
    assert set(Answer.asked) == {"/healthz"}
    assert "/healthz" in paths()


def paths() -> set[str]:
    return {getattr(route, "path", "") for route in health.router.routes}


def test_compose_starts_a_server_with_keys_beside_a_redis() -> None:
    document = read("compose.yaml")
    server = document["services"]["server"]
    environ = {**environment("server"), **server["environment"]}
    variables_of_the_server(environ)
    found = settings(["serve"], environ)
    assert found.keys_file == Path("/run/secrets") / server["secrets"][0]
    assert found.redis == "redis://redis:6379/0"
    assert server["build"]["target"] == "server"
    assert (ROOT / server["build"]["dockerfile"]).is_file()
    assert server["ports"] == ["127.0.0.1:7000:7000"], "TLS ends in front of it"
    assert int(server["stop_grace_period"].removesuffix("s")) > found.grace_s
    memory = int(server["mem_limit"].removesuffix("g")) << 30
    assert found.memory_limit is not None
    assert found.memory_limit < memory
    redis = document["services"]["redis"]["command"]
    held = int(redis[redis.index("--maxmemory") + 1].removesuffix("mb")) << 20
    assert found.job_storage < held, "an accepted job would not fit"
    assert redis[redis.index("--maxmemory-policy") + 1] == "noeviction"
    models = document["services"]["models"]
    words = [*models["entrypoint"][1:], *models["command"]]
    build_parser(words[0]).parse_args(words)


def test_every_service_may_do_no_more_than_it_needs() -> None:
    document = read("compose.yaml")
    for name, service in document["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not str(service["user"]).startswith(("0", "root")), name
        assert "privileged" not in service, name
        assert ":" in service["image"], name
    assert document["services"]["redis"]["networks"] == ["inside"]
    assert "ports" not in document["services"]["redis"]
    assert document["networks"]["inside"]["internal"] is True
    written = [
        volume for volume in document["services"]["server"]["volumes"] if ":ro" not in volume
    ]
    assert written == ["data:/data"]


def test_kubernetes_starts_the_same_server() -> None:
    pod = kubernetes()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environ = {
        **environment("server"),
        **{entry["name"]: entry.get("value", "redis://r/0") for entry in container["env"]},
    }
    variables_of_the_server(environ)
    found = settings(container["args"], environ)
    assert found.port == container["ports"][0]["containerPort"]
    (mount,) = [m for m in container["volumeMounts"] if m["name"] == "keys"]
    (keys,) = [volume for volume in pod["volumes"] if volume["name"] == "keys"]
    assert found.keys_file == Path(mount["mountPath"]) / keys["secret"]["items"][0]["path"]
    assert found.secret, (
        "replicas that sign with secrets of their own do not know each other's links"
    )
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > found.grace_s + pause
    assert found.memory_limit is not None
    assert found.memory_limit < int(container["resources"]["limits"]["memory"][:-2]) << 30
    probes = {container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")}
    assert probes == {"/healthz"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {"/healthz", "/readyz"} <= paths()


def test_the_servers_pod_may_do_no_more_than_it_needs() -> None:
    documents = kubernetes()
    pod = documents["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"data", "tmp", "keys"} == {mount["name"] for mount in container["volumeMounts"]}
    labels = documents["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert documents["Service"]["spec"]["selector"] == labels
    for kind in ("PodDisruptionBudget",):
        assert documents[kind]["spec"]["selector"]["matchLabels"] == labels
    assert documents["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    (public,) = [
        to["ipBlock"]
        for rule in documents["NetworkPolicy"]["spec"]["egress"]
        for to in rule["to"]
        if "ipBlock" in to
    ]
    assert {"10.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8"} <= set(public["except"])


@pytest.mark.parametrize("name", ["compose.yaml", "deploy/kubernetes/server.yaml"])
def test_no_manifest_holds_a_secret(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"\bcc_[0-9A-Za-z]{20}", text)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert not re.search(r"(?i)password|:[^/\s]+@", "\n".join(lines))
