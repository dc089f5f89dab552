"""Two references made from the code: the HTTP API's from its OpenAPI schema, Python's from names.

Signatures stand in fences called ``py``, which are shown; those called ``python`` a test runs.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

WIDTH = 88


def http_page() -> str:
    """Every path of the server, by its groups."""
    schema = _schema()
    about = {tag["name"]: tag["description"] for tag in schema.get("tags", [])}
    groups: dict[str, list[str]] = {name: [] for name in about}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append(_operation(path, method, operation))
    text = "# HTTP reference\n\n" + _prose(schema["info"].get("description", "")) + "\n\n"
    text += "`cleancut serve` has the same at `/docs`, and the schema at `/openapi.json`, both of "
    text += "the server that is asked. How it is used and run: [the server](server.md).\n"
    for name, operations in groups.items():
        if operations:
            text += f"\n## {name[0].upper()}{name[1:]}\n\n{about.get(name, '')}".rstrip() + "\n"
            text += "".join(operations)
    return text


def _schema() -> dict[str, Any]:
    """The schema of a server with default settings that is never started."""
    from cleancut.server.app import create_app
    from cleancut.server.services import Services
    from cleancut.server.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        services = Services.open(Settings(data=Path(folder), cache="off"))
        try:
            return create_app(services).openapi()
        finally:
            services.stop(0)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    text = f"\n### {method.upper()} {path}\n\n**{operation.get('summary', '')}.**\n\n"
    text += _prose(operation.get("description", "")) + "\n\n"
    if samples := operation.get("x-codeSamples"):
        text += "```\n" + "\n".join(sample["source"] for sample in samples) + "\n```\n\n"
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        text += "Body: " + ", ".join(f"`{kind}`" for kind in body) + ".\n\n"
    if fields := _fields(operation, body):
        text += "| field | may be | about |\n|---|---|---|\n" + "".join(fields) + "\n"
    text += "| answer | |\n|---|---|\n"
    for status, answer in operation.get("responses", {}).items():
        text += f"| {status} | {_cell(answer.get('description', ''))} |\n"
    return re.sub(r"\n{3,}", "\n\n", text)


def _fields(operation: dict[str, Any], body: dict[str, Any]) -> list[str]:
    found: dict[str, dict[str, Any]] = {}
    for parameter in operation.get("parameters", []):
        schema = {"description": parameter.get("description", ""), **parameter.get("schema", {})}
        found[parameter["name"]] = schema
    for content in body.values():
        for name, schema in content.get("schema", {}).get("properties", {}).items():
            found.setdefault(name, schema)
    return [
        f"| `{name}` | {_cell(_kind(schema))} | {_cell(schema.get('description', ''))} |\n"
        for name, schema in found.items()
    ]


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return _kind(schema["anyOf"][0])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value != "")
    if schema.get("format") == "binary":
        return "file"
    kind = schema.get("type", "")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{text}, {low} to {high}" if low is not None and high is not None else text


def _prose(text: str) -> str:
    return text.strip()


def _cell(text: str) -> str:
    """One line of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def python_page() -> str:
    """Every public name: its signature and what its docstring says."""
    import cleancut

    text = "# Python reference\n\nEvery public name. How they are used is told in "
    text += "[library](library.md), [guidance](guidance.md) and "
    text += "[video](video.md#frame-by-frame-in-python).\n"
    text += "\n## cleancut\n"
    for name in cleancut.__all__:
        value = getattr(cleancut, name)
        if not isinstance(value, ModuleType | str):
            text += _name(name, value)
    text += "\n## cleancut.video\n\nNeeds `pip install 'cleancut[video]'`.\n"
    for name in cleancut.video.__all__:
        text += _name(name, getattr(cleancut.video, name))
    return text


def _name(name: str, value: Any) -> str:
    text = f"\n### {name}\n\n{_signature(name, value)}{_told(value)}\n"
    if inspect.isclass(value):
        for member, about in _members(value):
            text += f"\n#### {name}.{member}\n\n{about}\n"
    return text


def _members(cls: type) -> Iterator[tuple[str, str]]:
    """Public methods and properties that the class itself has and explains."""
    for name, value in vars(cls).items():
        if name.startswith("_"):
            continue
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if isinstance(plain, property) and plain.__doc__:
            yield name, _told(plain)
        elif inspect.isfunction(plain) and plain.__doc__:
            yield name, _signature(name, plain) + _told(plain)


def _signature(name: str, value: Any) -> str:
    """The signature as Python writes it, without the quotes of late annotations."""
    if inspect.isclass(value) and issubclass(value, Exception):
        return ""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    if is_dataclass(value) and len(signature.parameters) > 20:
        return ""  # Options: its table is in library.md
    text = f"{name}{signature}"
    if len(text) > WIDTH:
        rows, lone = [], False
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and not lone:
                rows.append("    *,")
                lone = True
            rows.append(f"    {parameter},")
        back = signature.return_annotation
        tail = "" if back is inspect.Signature.empty else f" -> {back}"
        text = f"{name}(\n" + "\n".join(rows) + f"\n){tail}"
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    text = re.sub(r"<(?:built-in )?function (\w+)[^>]*>", r"\1", text)
    text = re.sub(r"\((\n    )?self(, |,(?=\n)|(?=\)))", "(", text)
    return f"```py\n{text}\n```\n\n"


def _told(value: Any) -> str:
    """The docstring as Markdown: double backticks are code there."""
    text = inspect.cleandoc(value.__doc__ or "").replace("``", "`")
    return re.sub(r"^>>>.*$", "", text, flags=re.MULTILINE).strip()
