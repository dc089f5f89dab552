"""The four tools, as plain functions of a call; every one of them asks the same ``Engine``."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.engine import Engine
from cleancut.errors import BadOption, CleancutError, OutputNotWritable
from cleancut.mcp.call import Call
from cleancut.mcp.told import error_words, facts_of, joined, preview, words_of
from cleancut.options import Options

if TYPE_CHECKING:
    from cleancut.annotation.export import Export
    from cleancut.batch.choose import Choice
    from cleancut.batch.job import Event
    from cleancut.batch.request import BatchRequest

#: A picture that was sent inside a message goes back inside one up to this size: as base64 4 MiB,
#: and makers of models take 5 MB for one picture.
MAX_ANSWER_BYTES = 3 << 20
#: So many failures of a batch are told in full; the report has all.
_MOST_FAILURES = 20
_INLINE = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool says: ``facts`` as JSON, the same in ``words``, pictures as (bytes, type)."""

    facts: dict[str, Any]
    words: str
    pictures: tuple[tuple[bytes, str], ...] = ()


class Tools:
    """The tools by name. ``pull`` lets a call download the models that it lacks."""

    def __init__(self, options: Options, *, pull: bool = False) -> None:
        self._engine = Engine(options)
        self._pull = pull
        self.by_name: dict[str, Callable[[Call], Answer]] = {
            "cutout": self.cutout,
            "inspect": self.inspect,
            "batch": self.batch,
            "models": self.models,
        }

    def cutout(self, call: Call) -> Answer:
        """Cut one picture and write it; one that was sent inside the call goes back inside."""
        source, guidance = call.source(), call.guidance()
        output, overwrite = call.text("output"), call.flag("overwrite")
        options = call.options(self._engine.options)
        if output is not None:
            options = options.with_(format=_format(output, options))
        elif isinstance(source, Path):
            kind = "mask" if options.only_mask else "cutout"
            name = f"{source.stem}.{kind}.{options.format or 'png'}"
            output = str(source.with_name(name))
        elif options.format not in (None, *_INLINE):
            raise BadOption(f"{options.format} does not go into an answer", hint="give output")
        target = None if output is None else call.roots.target(output, overwrite=overwrite)
        if target is not None and target == source:
            raise OutputNotWritable(f"{output} is the picture itself", hint="choose another name")
        self._ready(options, call)
        made = self._engine.encoded(source, guidance=guidance, options=options)
        assert made.result is not None  # there is no cache
        facts = facts_of(made.result)
        facts |= {"format": made.format, "bytes": len(made.data), "output": None}
        call.check()
        pictures = [(preview(made.result), "image/jpeg")]
        if target is not None:
            _write(target, made.data, overwrite=overwrite)
            facts["output"] = str(target)
        elif len(made.data) > MAX_ANSWER_BYTES:
            raise BadOption(
                f"the cutout has {len(made.data)} bytes, too many for an answer",
                hint="give output, or max_side_px, or format webp",
            )
        else:
            pictures.append((made.data, _INLINE[made.format]))
        return Answer(facts, words_of(facts), tuple(pictures))

    def inspect(self, call: Call) -> Answer:
        """Cut one picture and write nothing."""
        source, guidance = call.source(), call.guidance()
        options = call.options(self._engine.options)
        self._ready(options, call)
        result = self._engine.cutout(source, guidance=guidance, options=options)
        facts = facts_of(result)
        return Answer(facts, words_of(facts), ((preview(result), "image/jpeg"),))

    def batch(self, call: Call) -> Answer:
        """Cut a folder into another; what cannot be cut is told, and stops nothing."""
        from cleancut.batch.request import BatchRequest
        from cleancut.batch.run import run_batch

        folder, output = call.text("folder"), call.text("output")
        if folder is None or output is None:
            raise BadOption("give folder and output", hint="two folders")
        request = BatchRequest(
            inputs=[str(call.roots.folder(folder))],
            out=str(call.roots.inside(output)),
            retry_failed=call.flag("retry_failed"),
            overwrite=call.flag("overwrite"),
            limit=call.whole("limit"),
            export=_export(call),
            options=call.options(self._engine.options),
        )
        self._ready(request.options, call)
        _refuse_ways_out(request, call)
        heard = _Heard(call)
        summary = run_batch(request, heard, stop=call.stop)
        facts = summary.to_dict() | {"output": request.out, "failures": heard.failures}
        facts["stopped"] = None if summary.stopped is None else error_words(summary.stopped)
        return Answer(facts, _batch_words(facts))

    def models(self, call: Call) -> Answer:
        """What there is, with licences, and what is recommended."""
        from cleancut.catalog import catalog, default_models
        from cleancut.models.choose import choose, lacking
        from cleancut.weights.resolve import is_pulled

        only, use = call.flag("commercial_only"), call.text("use")
        call.finish()
        options = self._engine.options
        only = only or options.commercial_only
        options = options.with_(model="auto", recipe=None, commercial_only=only)
        defaults = {spec.id for spec in default_models()}
        rows = [
            {**spec.card(), "pulled": bool(is_pulled(spec)), "recommended": spec.id in defaults}
            for spec in catalog().values()
            if not only or spec.commercial == "yes"
        ]
        choice = choose(options)
        asked = [row.id for row in (choice.lead, choice.portrait, choice.second) if row]
        missing = [row.id for row in lacking(options)]
        facts: dict[str, Any] = {"models": rows, "auto": asked, "missing": missing}
        facts["notes"] = list(choice.notes)
        if use is not None:
            facts["advice"] = _advice(use, commercial_only=only)
        return Answer(facts, _model_words(facts))

    def _ready(self, options: Options, call: Call) -> None:
        """Download what is missing, if the user allowed it; else the engine says what is."""
        from cleancut.models.choose import lacking

        if self._pull and (rows := lacking(options)):
            from cleancut.weights.pull import pull

            pull(rows)
        call.check()


class _Heard:
    """Hears how a batch goes: counts into the call, keeps the first failures."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.failures: list[dict[str, str]] = []

    def total(self, pictures: int) -> None:
        self._call.total = pictures

    def passed(self, choice: Choice) -> None:  # noqa: ARG002
        self._call.done += 1

    def event(self, event: Event) -> None:
        from cleancut.batch.job import Finished

        if not isinstance(event, Finished):
            return
        self._call.done += 1
        error = event.outcome.error
        if error is not None and len(self.failures) < _MOST_FAILURES:
            told = {key: error.get(key, "") for key in ("code", "message", "hint")}
            self.failures.append({"picture": event.job.path or event.job.name, **told})


def _refuse_ways_out(request: BatchRequest, call: Call) -> None:
    """Raise ``PathRefused`` if a link in either folder leads outside the roots.

    A folder is read through its links, and an earlier run's output may have become one.
    """
    from cleancut.batch.inputs import resolve
    from cleancut.batch.plan import plan

    suffix = request.options.format or "png"
    for job in plan(resolve(request.inputs), request.out, suffix=suffix):
        call.check()
        call.roots.linked(job.source)
    for _ in call.roots.tree(request.out):
        call.check()


def _export(call: Call) -> Export | None:
    from cleancut.annotation.export import Export

    kind, label = call.text("export"), call.text("label")
    if kind is None:
        if label is not None:
            raise BadOption("label without export", hint="set export to coco, labelme or yolo")
        return None
    return Export(kind, label or "object")  # type: ignore[arg-type]


def _format(output: str, options: Options) -> Any:
    from cleancut.imaging.formats import format_from_suffix

    named = format_from_suffix(output)
    if options.format not in (None, named):
        raise BadOption(f"format {options.format} and the name {output} contradict each other")
    return named


def _write(target: Path, data: bytes, *, overwrite: bool) -> None:
    from cleancut.imaging.files import not_writable, write_atomic

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(target.parent, error) from error
    if not overwrite and target.exists():  # it came while the picture was cut
        raise OutputNotWritable(f"{target} is there already", hint="choose another name")
    write_atomic(target, data)


def _advice(use: str, *, commercial_only: bool) -> dict[str, Any]:
    from cleancut.compare.advice import advise
    from cleancut.compare.stored import stored

    advice = advise(stored(), use, commercial_only=commercial_only)
    picks = [
        {
            "system": pick.system,
            "title": pick.title,
            "reasons": [f"{reason.title}: {reason.told}" for reason in pick.reasons],
            "against": list(pick.against),
            "commands": list(pick.commands),
        }
        for pick in advice.picks
    ]
    return {"use": advice.use, "measured": advice.measured, "picks": picks}


def _batch_words(facts: dict[str, Any]) -> str:
    skipped = facts["skipped"]
    lines = [
        f"{facts['done']} done, {facts['failed']} failed, {skipped.get('done', 0)} done before, "
        f"{skipped.get('failed', 0)} failed before; in {facts['output']}"
    ]
    if facts["unsure"]:
        lines.append(f"{facts['unsure']} of low confidence: look at {facts['reports'][0]}")
    lines += [
        f"failed [{row['code']}] {row['picture']!r}: {row['message']}; {row['hint']}"
        for row in facts["failures"]
    ]
    if facts["failed"] or skipped.get("failed"):
        lines.append("to try those that failed again: the same call with retry_failed true")
    if facts["stopped"]:
        lines.append(f"stopped: {facts['stopped']}")
    if facts["interrupted"]:
        lines.append("interrupted: the same call goes on")
    return joined(lines)


def _model_words(facts: dict[str, Any]) -> str:
    lines = [f"auto asks: {', '.join(facts['auto'])}"]
    if facts["missing"]:
        names = " ".join(facts["missing"])
        lines.append(f"better mattes after: cleancut models pull {names} (ask the user)")
    for row in facts["models"]:
        marks = [word for word in ("pulled", "recommended") if row[word]]
        lines.append(
            f"{row['id']}: {row['title']}; weights {row['weight_licence']}; commercial use "
            f"{row['commercial']}" + (f"; {', '.join(marks)}" if marks else "")
        )
    if advice := facts.get("advice"):
        lines.append(f"for {advice['use']}: {', '.join(p['system'] for p in advice['picks'])}")
    return "\n".join(lines)


def failed(error: CleancutError) -> Answer:
    """An error as an answer."""
    told = {"code": error.code, "kind": error.kind, "message": error.message, "hint": error.hint}
    return Answer({"error": told}, error_words(error))


def packed(data: bytes) -> str:
    """Base64, as messages hold pictures."""
    return base64.b64encode(data).decode("ascii")
