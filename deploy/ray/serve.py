"""cleancut's HTTP server on a Ray cluster: replicas that share jobs and quotas through one Redis.

    CLEANCUT_SERVER_REDIS=redis://redis.lan:6379/0 CLEANCUT_SERVER_KEYS_FILE=/run/secrets/keys \\
        serve run cleancut_serve:build replicas=4 cpus=4 model=isnet

The image of deploy/ray/Dockerfile has this file as `cleancut_serve`; rayservice.yaml starts it on
Kubernetes. Settings are the environment of the server, CLEANCUT_SERVER_..., on every node:
`cleancut serve --help` lists them. `replicas` are servers, each with `cpus` processors and a
working process of its own; a job that one of them accepted is done by whichever has time, and
finished by the others if its node is lost. Any replica answers for any job.

Ray's own proxy listens, so the limits on heads and idle connections are its own, not cleancut's:
have a load balancer with TLS in front. Bodies, rates, quotas and pictures are bounded as
everywhere.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import serve

from cleancut.errors import BadOption

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

    from cleancut.server.settings import Settings

_KNOWN = ("replicas", "cpus", "model")


def build(args: dict[str, str]) -> Application:
    """The application for ``serve run``; ``args`` are its NAME=VALUE words."""
    if unknown := sorted(set(args) - set(_KNOWN)):
        raise BadOption(f"{unknown[0]}: not known", hint=f"known: {', '.join(_KNOWN)}")
    replicas, cpus = int(args.get("replicas", "1")), int(args.get("cpus", "1"))
    model = args.get("model", "auto")
    environ = {name: text for name, text in os.environ.items() if name.startswith("CLEANCUT_")}
    settings = settings_of(environ, cpus=cpus, model=model)  # refuse here, not on every node

    def app() -> FastAPI:
        return replica(settings)

    server = serve.deployment(
        name="cleancut",
        num_replicas=replicas,
        ray_actor_options={"num_cpus": cpus, "runtime_env": {"env_vars": environ}},
        # Beyond the queue the server itself says 429, with when to come back.
        max_ongoing_requests=settings.queue + 64,
        health_check_period_s=10,
        graceful_shutdown_timeout_s=settings.grace_s + 5,
    )(serve.ingress(app)())
    return server.bind()


def settings_of(environ: Mapping[str, str], *, cpus: int, model: str) -> Settings:
    """What the environment asks for. Raises ``BadOption`` without a Redis."""
    import argparse

    from cleancut.cli.serve import add_arguments, settings_from

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["--host", "0.0.0.0", "--workers", str(cpus + 1), "--threads", str(cpus)]
    settings = settings_from(parser.parse_args([*words, "--model", model]), environ)
    if settings.redis is None:
        raise BadOption(
            "replicas need a Redis to share their jobs",
            hint="set CLEANCUT_SERVER_REDIS=redis://host:6379/0 on every node",
        )
    return settings


def replica(settings: Settings) -> FastAPI:
    """One server, with a folder of its own for what is on its way."""
    from cleancut.server.app import create_app
    from cleancut.server.services import Services

    folder: Any = tempfile.TemporaryDirectory(prefix="cleancut-", ignore_cleanup_errors=True)
    services = Services.open(dataclasses.replace(settings, data=Path(folder.name)))
    app = create_app(services)
    app.state.folder = folder  # goes with the application
    return app
