"""The OpenAPI schema as one plain HTML page: no script, nothing from another host."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2.5rem 0 .5rem; }
code, pre { font: 14px/1.5 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 6px; }
article { border: 1px solid var(--line); border-radius: 8px; padding: .75rem 1rem; margin: 1rem 0; }
article h3 { margin: 0; font-size: 1.05rem; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left;
  vertical-align: top; }
summary { cursor: pointer; margin-top: .5rem; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
#: The page's Content-Security-Policy: its own style and nothing else.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def page(schema: dict[str, Any]) -> str:
    """``schema`` as HTML."""
    info = schema["info"]
    about = {tag["name"]: tag.get("description", "") for tag in schema.get("tags", [])}
    groups: dict[str, list[str]] = {name: [] for name in about}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append(_operation(path, method, operation))
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{escape(info['title'])} API</title><style>{STYLE}</style>",
        f"<h1>{escape(info['title'])}</h1>",
        f"<p>Version {escape(info['version'])}. The schema itself: "
        "<a href='/openapi.json'>/openapi.json</a>.</p>",
        _prose(info.get("description", "")),
    ]
    for name, operations in groups.items():
        if operations:
            parts.append(f"<h2>{escape(name)}</h2><p>{escape(about.get(name, ''))}</p>")
            parts += operations
    return "\n".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f"<article><h3><span class=method>{escape(method.upper())}</span> "
        f"<code>{escape(path)}</code></h3>",
        f"<p><b>{escape(operation.get('summary', ''))}</b></p>",
        _prose(operation.get("description", "")),
    ]
    samples = operation.get("x-codeSamples", [])
    if samples:
        parts.append("<pre>" + escape("\n".join(s["source"] for s in samples)) + "</pre>")
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in body)
        parts.append(f"<p>Body: {kinds}.</p>")
    fields = _fields(operation, body)
    if fields:
        parts.append(
            f"<details><summary>Fields ({len(fields)})</summary><table>"
            "<tr><th>name<th>what it may be<th>about</tr>" + "".join(fields) + "</table></details>"
        )
    answers = operation.get("responses", {})
    rows = "".join(
        f"<tr><td>{escape(status)}<td>{_inline(answer.get('description', ''))}</tr>"
        for status, answer in answers.items()
    )
    parts.append(f"<details><summary>Answers</summary><table>{rows}</table></details></article>")
    return "\n".join(parts)


def _fields(operation: dict[str, Any], body: dict[str, Any]) -> list[str]:
    found: dict[str, dict[str, Any]] = {}
    for parameter in operation.get("parameters", []):
        schema = {"description": parameter.get("description", ""), **parameter.get("schema", {})}
        found[parameter["name"]] = schema
    for content in body.values():
        for name, schema in content.get("schema", {}).get("properties", {}).items():
            found.setdefault(name, schema)
    return [
        f"<tr><td><code>{escape(name)}</code><td>{escape(_kind(schema))}"
        f"<td>{_inline(schema.get('description', ''))}</tr>"
        for name, schema in found.items()
    ]


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return _kind(schema["anyOf"][0])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"] if value != "")
    if schema.get("format") == "binary":
        return "file"
    kind = schema.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    """Escaped, with `code` as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
