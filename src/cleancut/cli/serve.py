"""``cleancut serve``: the HTTP server."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.cli.cache import add_cache_flags, cache_place
from cleancut.cli.flags import add_option_flags
from cleancut.cli.keys import data_folder
from cleancut.errors import BadOption
from cleancut.extras import extra
from cleancut.options import Options
from cleancut.server.settings import Settings, given, variable

if TYPE_CHECKING:
    from cleancut.server.services import Services

EPILOG = """\
examples:
  cleancut serve                                  http://127.0.0.1:7000, for this machine only
  cleancut serve --open                           and its page in the browser
  cleancut serve --model isnet --queue 64 --memory-limit 2GB
  cleancut serve --device gpu --gpus 0,1
  cleancut keys add shop && cleancut serve --host 0.0.0.0
  cleancut serve --redis redis://cache.lan:6379/0 --data /srv/cleancut

  curl -F image=@photo.jpg http://127.0.0.1:7000/v1/cutouts -o cutout.png
  curl -F image=@photo.jpg -F crop=true -F format=webp http://127.0.0.1:7000/v1/cutouts -o a.webp
  curl -F image_file=@photo.jpg -F size=auto http://127.0.0.1:7000/v1.0/removebg -o cutout.png
  curl -F file=@photo.jpg http://127.0.0.1:7000/api/remove -o cutout.png

The page is at /, the APIs are described at /docs and /openapi.json. Every flag can also be set in
the environment: --max-body is CLEANCUT_SERVER_MAX_BODY, --model CLEANCUT_SERVER_MODEL; a flag wins.
SIGTERM or Ctrl-C ends the server after what it accepted, a second one at once.
"""


def _whole(text: str) -> int:
    if not text.strip().isdecimal():
        raise ValueError(text)
    return int(text)


def _size(text: str) -> int:
    from cleancut.cache.place import parse_size

    if text.strip().isdecimal() and int(text) < 1024:  # meant as megabytes, and bytes else
        raise BadOption("bytes", hint=f"with a unit, like {text.strip()}MB")
    return parse_size(text)


def _time(text: str) -> float:
    """Seconds of "90", "90s", "15m", "24h" or "7d"."""
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}.get(text.strip()[-1:].lower())
    return float(text.strip()[:-1]) * unit if unit else float(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace(",", " ").split())


def _yes(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    return words[text.strip().lower()]


#: Flag, how its text is read, what stands for the text in the help, what it is about.
_Row = tuple[str, Callable[[str], Any], str, str]
_NETWORK: tuple[_Row, ...] = (
    ("host", str, "ADDRESS", "address to listen on (127.0.0.1); another needs an API key"),
    ("port", _whole, "N", "port to listen on (7000); 0 for a free one"),
    ("public_url", str, "URL", "what links to this server begin with (as the client asked)"),
    ("cors", _names, "ORIGIN", "web pages that may ask, like https://shop.example; * for all"),
    ("trust_proxy", _names, "ADDRESS", "proxies whose X-Forwarded-For is believed"),
)
_LIMITS: tuple[_Row, ...] = (
    ("queue", _whole, "N", "pictures that may wait (32); beyond it clients get 429"),
    ("workers", _whole, "N", "pictures in work at once (the processors and one more)"),
    ("threads", _whole, "N", "threads of one network (the processors)"),
    ("gpus", str, "WHICH", "NVIDIA GPUs: all (where one is used), a number of them, or 0,1"),
    ("memory_limit", _size, "SIZE", "of the working processes, like 2GB (a share of what is free)"),
    ("max_body", _size, "SIZE", "of one picture as it is sent (22MiB)"),
    ("max_job_body", _size, "SIZE", "of all pictures of one job (512MiB)"),
    ("max_job_items", _whole, "N", "pictures of one job (1000)"),
    ("job_storage", _size, "SIZE", "of pictures and results of all jobs (16GiB)"),
    ("max_video", _size, "SIZE", "of one video as it is sent (2000MiB)"),
    ("max_video_minutes", float, "N", "of what is cut out of one video (60)"),
    ("video_jobs", _whole, "N", "videos in work at once (1)"),
    ("webhook_retries", _whole, "N", "tries more of a callback that is not heard (7)"),
    ("timeout_s", _time, "TIME", "for one picture (120s)"),
    ("body_timeout_s", _time, "TIME", "for a request to arrive (60s)"),
    ("header_timeout_s", _time, "TIME", "for a request's head to arrive (10s)"),
    ("grace_s", _time, "TIME", "for what was accepted when the server ends (30s)"),
    ("keep_s", _time, "TIME", "for which a job's results can be fetched (24h)"),
)
_PLACES: tuple[_Row, ...] = (
    ("data", Path, "DIR", "jobs, keys and usage (a folder of your own); one server a folder"),
    ("keys_file", Path, "FILE", "more API keys, as container secrets are mounted"),
    ("redis", str, "URL", "redis:// that several servers share for jobs and quotas"),
    ("models", _names, "NAME", "models that clients may name (every one that is pulled)"),
    ("fetch_from", _names, "HOST", "private hosts or networks that image_url may name"),
    ("log_format", str, "FORMAT", "json or text (json)"),
)
_SWITCHES = {
    "insecure": "listen on any address without an API key",
    "improve": "keep pictures that clients send to /v1.0/improve",
    "fetch": "let clients name pictures by URL",
    "page": "serve the web page, only the APIs",
    "video": "take videos",
}
#: Switches that are on unless told otherwise.
_ON = frozenset({"fetch", "page", "video"})
_FLAGS = {"log_format": "--log"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``serve``; those that are not given leave no trace."""
    parser.epilog = EPILOG
    for title, rows in (("network", _NETWORK), ("limits", _LIMITS), ("places", _PLACES)):
        group = parser.add_argument_group(title)
        for name, _, metavar, about in rows:
            several = {"action": "append"} if metavar in ("ORIGIN", "HOST", "NAME") else {}
            group.add_argument(
                flag_of(name),
                dest=f"serve_{name}",
                metavar=metavar,
                default=argparse.SUPPRESS,
                help=about,
                **several,  # type: ignore[arg-type]
            )
    group = parser.add_argument_group("switches")
    for name, about in _SWITCHES.items():
        group.add_argument(
            f"--no-{name}" if name in _ON else flag_of(name),
            dest=f"serve_{name}",
            action="store_const",
            const="no" if name in _ON else "yes",
            default=argparse.SUPPRESS,
            help=f"do not {about}" if name in _ON else about,
        )
    group.add_argument(
        "--open", action="store_true", help="open the page in the browser when ready"
    )
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--ssl-certfile", type=Path, metavar="FILE", help="certificate, PEM")
    tls.add_argument("--ssl-keyfile", type=Path, metavar="FILE", help="its key, PEM")
    add_cache_flags(parser)
    add_option_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until told to end."""
    settings = settings_from(args, os.environ)
    certificate, key = tls_from(args)
    with extra("server"):
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    from cleancut.models.choose import check
    from cleancut.server.services import Services
    from cleancut.server.telemetry import set_up_logs

    check(settings.defaults)
    for name in settings.models:
        check(settings.defaults.with_(model=name, recipe=None))
    services = Services.open(settings)
    write_logs = set_up_logs(settings.log_format)
    try:
        return _serve(services, certificate, key, look=args.open and settings.page)
    finally:
        services.stop(0.0)  # what was accepted is finished by now, unless nobody wants to wait
        write_logs()


def _serve(services: Services, certificate: Path | None, key: Path | None, *, look: bool) -> int:
    services.start()  # the network is loaded while the routes are made
    from cleancut.models.choose import choose
    from cleancut.server.app import create_app
    from cleancut.server.listen import Listener

    def tell(address: str) -> None:
        print(f"cleancut: ready at {address} (API: {address}/docs)", flush=True)
        for note in choose(services.settings.defaults).notes:
            print(
                f"cleancut: note [{note.partition(': ')[0]}] {note.partition(': ')[2]}", flush=True
            )
        if look:
            import webbrowser

            webbrowser.open(address)

    listener = Listener(
        create_app(services), services, certificate=certificate, key=key, on_ready=tell
    )
    return listener.run()


def flag_of(name: str) -> str:
    """The flag of a setting."""
    return _FLAGS.get(name, "--" + name.removesuffix("_s").replace("_", "-"))


def settings_from(args: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """What flags and environment ask for; a flag wins. Raises ``BadOption``."""
    values: dict[str, Any] = {"data": data_folder(None, environ)}
    texts = given(environ)
    for name, read in _readers().items():
        text: Any = getattr(args, f"serve_{name}", texts.get(name))
        if text is None:
            continue
        if isinstance(text, list):
            text = ",".join(text)
        where = flag_of(name) if hasattr(args, f"serve_{name}") else variable(name)
        values[name] = _read(where, text, read)
    options = options_for(args, environ)
    values["options"] = options
    if options.max_megapixels != Options().max_megapixels:
        values["max_megapixels"] = options.max_megapixels
    if args.cache is None and texts.get("cache"):
        args.cache = texts["cache"]
    if args.cache_size is None and texts.get("cache_bytes"):
        args.cache_size = texts["cache_bytes"]
    values["cache"], values["cache_bytes"] = cache_place(args, environ)
    for place in ("data", "keys_file"):
        if values.get(place) is not None:
            values[place] = Path(values[place]).expanduser().absolute()
    if values.get("log_format", "json") not in ("json", "text"):
        raise BadOption(f"--log: {values['log_format']!r} is not a choice", hint="json or text")
    if text := environ.get(variable("secret")):
        values["secret"] = text
    known = set(Settings.names())
    return Settings(**{name: value for name, value in values.items() if name in known})


def options_for(args: argparse.Namespace, environ: Mapping[str, str]) -> Options:
    """The defaults of every request, from flags and environment."""
    from cleancut.cli.flags import options_from
    from cleancut.server.form import value_of

    flags = {f.name: getattr(args, f.name) for f in fields(Options) if hasattr(args, f.name)}
    values = {
        field.name: value_of(field.name, text)
        for field in fields(Options)
        if (text := environ.get(variable(field.name))) and field.name not in flags
    }
    return replace(options_from(args, environ), **values) if values else options_from(args, environ)


def tls_from(args: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Certificate and key, both or neither. Raises ``BadOption``."""
    certificate, key = args.ssl_certfile, args.ssl_keyfile
    if (certificate is None) != (key is None):
        raise BadOption("--ssl-certfile and --ssl-keyfile go together", hint="give both")
    for name, path in (("--ssl-certfile", certificate), ("--ssl-keyfile", key)):
        if path is not None and not path.is_file():
            raise BadOption(f"{name}: no such file: {path}", hint="check the path")
    return certificate, key


def _readers() -> dict[str, Callable[[str], Any]]:
    known = set(Settings.names())
    found = {name: read for rows in (_NETWORK, _LIMITS, _PLACES) for name, read, _, _ in rows}
    found |= dict.fromkeys(_SWITCHES, _yes)
    return {name: read for name, read in found.items() if name in known}


def _read(where: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except BadOption as error:
        raise BadOption(f"{where}: {text[:40]!r} is not understood", hint=error.hint) from error
    except (ValueError, KeyError) as error:
        raise BadOption(
            f"{where}: {text[:40]!r} is not understood", hint="run: cleancut serve --help"
        ) from error
