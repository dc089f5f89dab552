"""The Model Context Protocol around the tools: over stdio, or HTTP on this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from cleancut import __version__
from cleancut.errors import BadOption, CleancutError, SetupError
from cleancut.extras import extra
from cleancut.mcp.call import MAX_INLINE_BYTES, Call
from cleancut.mcp.roots import Roots
from cleancut.mcp.schemas import INSTRUCTIONS, schemas
from cleancut.mcp.tools import Answer, Tools, failed, packed
from cleancut.options import Options

if TYPE_CHECKING:
    from mcp.server import Server, ServerRequestContext
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, Tool

#: How often a batch tells how far it is, seconds.
_TELL_S = 0.5
#: How soon a signal is heard, and how long it waits for what is being written, seconds.
_LISTEN_S, _FINISH_S = 0.2, 5.0
#: A picture of the largest size as base64, and the call around it.
_MAX_MESSAGE_BYTES = MAX_INLINE_BYTES * 3 // 2
_READS = {"inspect", "models"}


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server is run: ``options`` are the defaults of every call, ``port`` is for HTTP."""

    roots: Roots
    options: Options
    pull: bool = False
    port: int | None = None
    #: Networks use all cores: pictures take turns, and a batch holds up no single one.
    turns: tuple[threading.Lock, threading.Lock] = field(
        default_factory=lambda: (threading.Lock(), threading.Lock())
    )


def serve(settings: Settings) -> None:
    """Serve until the client goes away. Raises ``MissingDependency`` without the extra ``mcp``."""
    with extra("mcp"):
        import anyio
        import mcp.server  # noqa: F401
    logging.getLogger("mcp").setLevel(logging.ERROR)  # stderr is the client's log
    if settings.port is None:
        try:
            anyio.run(_over_stdio, settings)
        except Exception as error:
            if not _hung_up(error):
                raise
    else:
        _over_http(settings)


async def _over_stdio(settings: Settings) -> None:
    import anyio
    from mcp.server.stdio import stdio_server

    server = create_server(settings)
    told: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _frame: told.append(number))

    async with stdio_server() as (incoming, outgoing):
        try:
            async with anyio.create_task_group() as group:

                async def end_when_told() -> None:
                    while not told:
                        await anyio.sleep(_LISTEN_S)
                    group.cancel_scope.cancel()

                group.start_soon(end_when_told)
                await server.run(incoming, outgoing, server.create_initialization_options())
                group.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():  # stdout cannot be written to any more
            _leave(settings, 0)
        if told:
            _leave(settings, 128 + told[0])


def _leave(settings: Settings, code: int) -> NoReturn:
    """End at once: the thread that reads stdin waits for a line and cannot be ended."""
    for turn in settings.turns:
        turn.acquire(timeout=_FINISH_S)
    os._exit(code)


def _hung_up(error: BaseException) -> bool:
    """Whether nothing is wrong but that the client reads no more."""
    inner = getattr(error, "exceptions", None)
    return all(map(_hung_up, inner)) if inner else isinstance(error, BrokenPipeError)


def _over_http(settings: Settings) -> None:
    """On the loopback interface only; other hosts and origins are refused by the SDK."""
    import uvicorn

    assert settings.port is not None
    app = create_server(settings).streamable_http_app(
        host="127.0.0.1", max_request_body_size=_MAX_MESSAGE_BYTES
    )
    try:
        listening = socket.create_server(("127.0.0.1", settings.port))
    except OSError as error:
        raise SetupError(
            f"port {settings.port} cannot be listened on: {error.strerror}",
            hint=f"another program may have it; try --http {settings.port % 65535 + 1}",
        ) from error
    with listening:
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def create_server(settings: Settings) -> Server[Any]:
    """The server with its four tools, not running yet."""
    from mcp.server import Server

    tools = Tools(settings.options, pull=settings.pull)

    async def on_list_tools(_context: object, _params: object) -> ListToolsResult:
        from mcp_types import ListToolsResult

        return ListToolsResult(tools=_listed())

    async def on_call_tool(
        context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult:
        call = Call(dict(params.arguments or {}), settings.roots)
        work = tools.by_name.get(params.name)
        if work is None:
            known = ", ".join(tools.by_name)
            return _result(
                failed(BadOption(f"unknown tool {params.name!r:.60}", hint=f"one of: {known}")),
                is_error=True,
            )
        async with _progress(context, call):
            return await _done(work, call, settings.turns[params.name == "batch"])

    folders = ", ".join(map(str, settings.roots.folders))
    return Server(
        "cleancut",
        version=__version__,
        title="cleancut",
        instructions=f"{INSTRUCTIONS} Allowed folders: {folders}.",
        on_list_tools=on_list_tools,
        on_call_tool=on_call_tool,
    )


async def _done(work: Callable[[Call], Answer], call: Call, turn: threading.Lock) -> CallToolResult:
    """``work`` done in a thread; its errors are results, which an agent can read and mend."""
    from anyio import get_cancelled_exc_class, to_thread

    def in_turn() -> Answer:
        with turn:  # held by the thread: one that was called off is still at work
            call.check()
            return work(call)

    try:
        return _result(await to_thread.run_sync(in_turn, abandon_on_cancel=True))
    except get_cancelled_exc_class():
        call.stop.set()  # the thread writes nothing more
        raise
    except CleancutError as error:
        return _result(failed(error), is_error=True)
    except Exception as error:
        told = f"unexpected {type(error).__name__}: {error}"
        hint = "this is a bug: try cleancut cut --debug and report it"
        return _result(failed(CleancutError(told, hint=hint)), is_error=True)


@asynccontextmanager
async def _progress(context: ServerRequestContext[Any, Any], call: Call) -> AsyncIterator[None]:
    """Tell how far ``call`` is, now and then, whenever that has changed."""
    import anyio

    async def tell() -> None:
        told = 0
        while True:
            await anyio.sleep(_TELL_S)
            if call.done > told:
                told = call.done
                of = "" if call.total is None else f" of {call.total}"
                await context.session.report_progress(told, call.total, f"{told}{of} pictures")

    async with anyio.create_task_group() as group:
        group.start_soon(tell)
        yield
        group.cancel_scope.cancel()


def _listed() -> list[Tool]:
    from mcp_types import Tool, ToolAnnotations

    return [
        Tool(
            name=name,
            title=title,
            description=about,
            input_schema=schema,
            annotations=ToolAnnotations(
                read_only_hint=name in _READS,
                destructive_hint=name not in _READS,  # `overwrite` replaces files
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )
        for name, (title, about, schema) in schemas().items()
    ]


def _result(answer: Answer, *, is_error: bool = False) -> CallToolResult:
    from mcp_types import CallToolResult, ImageContent, TextContent

    pictures = [ImageContent(data=packed(data), mime_type=kind) for data, kind in answer.pictures]
    return CallToolResult(
        content=[TextContent(text=answer.words), *pictures],
        structured_content=answer.facts,
        is_error=is_error,
    )
