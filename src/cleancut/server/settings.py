"""What an operator decides about the server, in one frozen dataclass; nothing else is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from cleancut.errors import BadOption
from cleancut.options import Options

MIB = 1 << 20

#: Options that a client may not choose: they name files and hardware, or are the server's limits.
OPERATOR_ONLY = frozenset({"recipe", "backend", "device", "max_megapixels"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the server is run. Sizes are in bytes, times in seconds.

    ``data`` is the folder of everything that survives a restart: jobs, keys, usage; and of the
    spool, which does not. ``keys_file`` holds further API keys, as container secrets are mounted.
    ``options`` are the defaults of every request; ``models`` those that a client may name, empty
    for every one that is pulled. ``cache`` is a place for ``open_cache``. ``redis`` is a redis://
    URL that replicas share for jobs and quotas, None for one server alone. ``queue`` pictures wait
    at most, those in work not counted. ``workers`` pictures are in work at once (None: the cores
    and one more), ``threads`` are those of one network. ``gpus`` are the NVIDIA GPUs to work on,
    None for all where networks run on one. ``memory_limit`` is for the working processes together.
    ``max_body`` limits one picture as a client sends it, ``max_job_body`` all those of one job,
    ``job_storage`` pictures and results of all jobs. A callback is told ``webhook_retries`` times
    more when it does not hear. ``timeout_s`` is for one picture, ``body_timeout_s`` for a whole
    request to arrive, ``header_timeout_s`` for its head, ``grace_s`` for what was accepted when the
    server ends. ``keep_s`` is how long a job's results can be fetched. ``secret`` signs links and
    webhooks; without one, one is made in ``data``. ``public_url`` is what links begin with.
    ``improve`` keeps pictures that clients send for review. ``fetch`` lets clients name URLs,
    ``fetch_from`` are hosts or networks that may be asked although they are private. ``page``
    serves the web page beside the APIs. ``video`` takes videos as jobs where the extra ``video`` is
    installed: ``max_video`` limits one as it is sent, ``max_video_minutes`` what is cut out of it,
    and ``video_jobs`` are in work at once, each in a process of its own.
    """

    host: str = "127.0.0.1"
    port: int = 7000
    insecure: bool = False
    data: Path = Path("cleancut-server")
    keys_file: Path | None = None
    options: Options = Options()
    models: tuple[str, ...] = ()
    cache: str | None = None
    cache_bytes: int | None = None
    redis: str | None = None
    queue: int = 32
    workers: int | None = None
    threads: int | None = None
    gpus: str | None = None
    memory_limit: int | None = None
    max_body: int = 22 * MIB
    max_job_body: int = 512 * MIB
    max_megapixels: float = 50.0
    max_job_items: int = 1000
    job_storage: int = 16 << 30
    webhook_retries: int = 7
    timeout_s: float = 120.0
    body_timeout_s: float = 60.0
    header_timeout_s: float = 10.0
    grace_s: float = 30.0
    keep_s: float = 24 * 3600.0
    secret: str | None = None
    public_url: str | None = None
    cors: tuple[str, ...] = ()
    trust_proxy: tuple[str, ...] = ()
    improve: bool = False
    fetch: bool = True
    fetch_from: tuple[str, ...] = ()
    log_format: str = "json"
    page: bool = True
    video: bool = True
    max_video: int = 2000 * MIB
    max_video_minutes: float = 60.0
    video_jobs: int = 1

    def __post_init__(self) -> None:
        for name in ("queue", "max_body", "max_job_body", "max_job_items", "job_storage"):
            if getattr(self, name) < 1:
                raise BadOption(f"{_flag(name)}: {getattr(self, name)} is not enough")
        for name in ("workers", "threads", "memory_limit", "max_video", "video_jobs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadOption(f"{_flag(name)}: {value} is not enough")
        for name in (
            "timeout_s",
            "body_timeout_s",
            "header_timeout_s",
            "keep_s",
            "max_megapixels",
            "max_video_minutes",
        ):
            if not getattr(self, name) > 0:
                raise BadOption(f"{_flag(name)}: {getattr(self, name):g} is not enough")
        if not 0 <= self.port <= 65535:
            raise BadOption(f"--port: {self.port} is not a port", hint="0 to 65535")
        _check_places(self)

    @property
    def spool(self) -> Path:
        """Folder of uploads and results on their way; emptied at every start."""
        return self.data / "spool"

    @property
    def defaults(self) -> Options:
        """``options`` under the server's own limits."""
        return self.options.with_(
            max_megapixels=min(self.max_megapixels, self.options.max_megapixels)
        )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """All settings by name."""
        return tuple(field.name for field in fields(cls))


def _check_places(settings: Settings) -> None:
    """Raise ``BadOption`` for an address that could never be the one of a proxy or a page."""
    for text, flag, like in (
        *((origin, "--cors", "https://shop.example") for origin in settings.cors if origin != "*"),
        (settings.public_url or "http://-", "--public-url", "https://cut.example"),
    ):
        parts = urlsplit(text)
        tail = parts.query or parts.fragment or (parts.path if flag == "--cors" else "")
        if parts.scheme not in ("http", "https") or not parts.hostname or tail:
            raise BadOption(f"{flag}: {text[:60]!r} is not understood", hint=f"like {like}")
    for text in settings.trust_proxy:
        try:
            ip_network(text, strict=False)
        except ValueError:
            if text != "*":
                raise BadOption(
                    f"--trust-proxy: {text[:60]!r} is no address",
                    hint="like 127.0.0.1 or 10.0.0.0/8",
                ) from None


def variable(name: str) -> str:
    """The environment variable of a setting: ``max_body`` is ``CLEANCUT_SERVER_MAX_BODY``."""
    return f"CLEANCUT_SERVER_{name.upper()}"


def _flag(name: str) -> str:
    return "--" + name.removesuffix("_s").replace("_", "-")


def given(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that ``environ`` holds, as text, by name."""
    return {
        name: environ[variable(name)] for name in Settings.names() if environ.get(variable(name))
    }
