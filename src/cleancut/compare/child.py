"""Cut a list of pictures in one process, with cleancut or another tool; started as a script.

    child.py TOOL MODEL OPTIONS JOBS

TOOL is "cleancut", "rembg", "backgroundremover" or "transparent-background", whose interpreter runs
this, so it imports nothing but that tool. OPTIONS is a JSON object, for cleancut that of
``Options``. JOBS is a JSON file: {"pictures": [[picture, target.png], ...], "repeat": n,
"processors": k or null, "watched": true if the end of stdin is the end of this process}.

Every picture is cut ``repeat`` times in turn; what counts is from pixels to 8-bit RGBA, reading and
writing are left out. Each target gets the tool's own colours and matte, and beside it STEM.json
with {"times", "confidence", "notes", "model"} or {"error"}. A line {"at": number} goes before each
picture; the last line is {"load_s", "first_s", "done", "failed", "calls", "cpu_s", "runs_on"}, or
{"error"} if the tool could not be loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Longest reason that is kept.
_REASON = 300


@dataclass
class Cutter:
    """A loaded tool: ``read`` a file, ``cut`` it (this is timed), ``facts`` about the answer.

    ``cut`` gives an 8-bit RGBA image of PIL and whatever ``facts`` wants to know. ``runs_on`` is
    asked after the first picture.
    """

    read: Callable[[str], Any]
    cut: Callable[[Any], tuple[Any, Any]]
    runs_on: Callable[[], str]
    facts: Callable[[Any], dict[str, Any]]


def with_cleancut(model: str, options: Mapping[str, Any]) -> Cutter:
    """Ours, with every network that may be asked loaded."""
    from cleancut.engine import Engine
    from cleancut.options import Options

    engine = Engine(Options.from_mapping({"model": model, **options}), max_models=4)
    panel, notes = engine.panel_for(engine.options)
    for member in (panel.lead, panel.portrait, panel.glance, panel.second):
        if member is not None:
            member()
    placement = str(panel.lead().placement)

    def cut(picture: Any) -> tuple[Any, Any]:
        result = engine.cutout(picture)
        return result.image, result

    def facts(result: Any) -> dict[str, Any]:
        own = [note for note in result.notes if note not in notes]
        return {"confidence": result.confidence, "notes": own, "model": result.model}

    return Cutter(engine.read, cut, lambda: placement, facts)


def with_rembg(model: str, _: Mapping[str, Any]) -> Cutter:
    """rembg's ``remove`` with one session, as its documentation recommends for many pictures."""
    rembg: Any = importlib.import_module("rembg")
    session = rembg.new_session(model)

    def cut(picture: Any) -> tuple[Any, Any]:
        return rembg.remove(picture, session=session).convert("RGBA"), None

    runs_on = session.inner_session.get_providers
    return Cutter(opened, cut, lambda: str(runs_on()[0]), lambda _: {"model": model})


def with_backgroundremover(model: str, _: Mapping[str, Any]) -> Cutter:
    """backgroundremover's ``remove``: it loads its network in each call and answers with PNG."""
    tool: Any = importlib.import_module("backgroundremover.bg")
    numpy: Any = importlib.import_module("numpy")
    image: Any = importlib.import_module("PIL.Image")
    turned: Any = importlib.import_module("PIL.ImageOps").exif_transpose

    def cut(pixels: Any) -> tuple[Any, Any]:
        answer = image.open(io.BytesIO(tool.remove(pixels, model_name=model)))
        return answer.convert("RGBA"), None

    def read(path: str) -> Any:
        return numpy.asarray(turned(opened(path)).convert("RGB"))

    return Cutter(read, cut, lambda: str(tool.DEVICE), lambda _: {"model": model})


def with_transparent_background(model: str, _: Mapping[str, Any]) -> Cutter:
    """transparent-background's ``Remover``; like its command it does not look at EXIF."""
    tool: Any = importlib.import_module("transparent_background")
    remover = tool.Remover(mode=model)

    def cut(picture: Any) -> tuple[Any, Any]:
        return remover.process(picture, type="rgba").convert("RGBA"), None

    def read(path: str) -> Any:
        return opened(path).convert("RGB")

    return Cutter(read, cut, lambda: str(remover.device), lambda _: {"model": model})


TOOLS: dict[str, Callable[[str, Mapping[str, Any]], Cutter]] = {
    "cleancut": with_cleancut,
    "rembg": with_rembg,
    "backgroundremover": with_backgroundremover,
    "transparent-background": with_transparent_background,
}


def opened(path: str) -> Any:
    """The picture as PIL decodes it."""
    image: Any = importlib.import_module("PIL.Image")
    with image.open(path) as file:
        file.load()
        return file


@dataclass
class Work:
    """What is to be done, and what has been; ``spoken`` takes the lines for whoever started us."""

    cutter: Cutter
    pictures: list[tuple[str, Path]]
    spoken: TextIO
    times: dict[Path, list[float]] = field(default_factory=dict)
    failed: set[Path] = field(default_factory=set)
    cpu_s: float = 0.0

    def say(self, **values: Any) -> None:
        """One line of JSON."""
        print(json.dumps(values), file=self.spoken, flush=True)

    def warm_up(self) -> float | None:
        """Seconds of the first call, which is slower than those after it."""
        self.say(at=0)
        try:
            picture = self.cutter.read(self.pictures[0][0])
            started = time.perf_counter()
            self.cutter.cut(picture)
            return time.perf_counter() - started
        except Exception:  # it will be met again, and told then
            return None

    def cut(self, number: int) -> None:
        """Cut one picture once more; its first answer is kept."""
        source, target = self.pictures[number]
        if target in self.failed:
            return
        self.say(at=number)
        try:
            picture = self.cutter.read(source)
            cpu, started = time.process_time(), time.perf_counter()
            image, answer = self.cutter.cut(picture)
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            if not self.times.get(target):
                kept = without_metadata(image)
                replaced(target, lambda part: kept.save(part, format="png", compress_level=1))
        except Exception as error:  # one picture must not end the others
            self.failed.add(target)
            keep(target, {"error": reason(error)})
            return
        self.cpu_s += cpu
        times = self.times.setdefault(target, [])
        times.append(round(seconds, 5))
        keep(target, {"times": times, **self.cutter.facts(answer)})


def without_metadata(image: Any) -> Any:
    """The pixels alone: profiles, sizes in print and cameras are no part of an answer."""
    image = image.copy()
    image.info.clear()
    return image


def keep(target: Path, facts: Mapping[str, Any]) -> None:
    """Write what is known about ``target`` beside it; this is what makes it count."""
    text = json.dumps(facts)
    with contextlib.suppress(OSError):  # a full disk: nothing is kept, and the parent says so
        replaced(target.with_suffix(".json"), lambda part: part.write_text(text, "utf-8"))


def replaced(target: Path, write: Callable[[Path], object]) -> None:
    """``write`` to another name first, so that ``target`` is there whole or not at all."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    named = hasattr(error, "hint") or type(error).__name__ in text
    return (text if named else f"{type(error).__name__}: {text}")[:_REASON]


def limit(processors: int | None) -> None:
    """Let this process have so many processors; before anything counts them."""
    if processors is None:
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])
    os.environ.update(dict.fromkeys(_THREADS, str(processors)))


def end_with_parent() -> None:
    """End this process when the one that started it is gone: then its end of stdin is closed."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def own_stdout() -> TextIO:
    """Where lines go; whatever the tools print goes to stderr instead."""
    spoken = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return spoken


def main(tool: str, model: str, options: str, jobs: str) -> int:
    """0 if the tool was loaded, whatever became of the pictures."""
    asked = json.loads(Path(jobs).read_text("utf-8"))
    spoken = own_stdout()
    if asked.get("watched"):
        end_with_parent()
    limit(asked.get("processors"))
    with contextlib.suppress(OSError):  # Linux: where memory ends, this ends, not who started it
        Path("/proc/self/oom_score_adj").write_text("1000")
    started = time.perf_counter()
    try:
        cutter = TOOLS[tool](model, json.loads(options))
    except BaseException as error:  # some tools end the process where something is missing
        if isinstance(error, KeyboardInterrupt):
            raise
        print(json.dumps({"error": reason(error)}), file=spoken, flush=True)
        sys.stderr.write(f"{reason(error)}\n")
        return 1
    load_s = time.perf_counter() - started
    pictures = [(source, Path(target)) for source, target in asked["pictures"]]
    work = Work(cutter, pictures, spoken)
    first_s = work.warm_up() if pictures else None
    for _ in range(asked.get("repeat") or 1):
        for number in range(len(pictures)):
            work.cut(number)
    work.say(
        load_s=load_s,
        first_s=first_s,
        done=len(work.times) - len(work.failed & set(work.times)),
        failed=len(work.failed),
        calls=sum(map(len, work.times.values())),
        cpu_s=work.cpu_s,
        runs_on=cutter.runs_on(),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
