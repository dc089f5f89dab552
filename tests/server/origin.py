"""A web server that says exactly the bytes it is told to, on a loopback port."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: Says something on a connection whose request has been read.
Say = Callable[[socket.socket], None]


def plain(body: bytes = b"picture", *lines: str, status: str = "200 OK") -> bytes:
    """An answer with its length declared, and further header ``lines``."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def moved(location: str, status: int = 302) -> bytes:
    """A redirect."""
    return plain(b"", f"Location: {location}", status=f"{status} Moved")


class Origin:
    """Answers each connection with the next of ``answers``; the last one goes on.

    ``requests`` are what was sent, head and body.
    """

    def __init__(self, answers: list[bytes | Say], context: ssl.SSLContext | None) -> None:
        self.answers = answers
        self.requests: list[bytes] = []
        self.context = context
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []

    def serve(self) -> None:
        """Take connections until the socket is closed."""
        count = 0
        with suppress(OSError):
            while True:
                sock, _ = self.socket.accept()
                answer = self.answers[min(count, len(self.answers) - 1)]
                count += 1
                thread = threading.Thread(target=self.answer, args=(sock, answer))
                thread.start()
                self.threads.append(thread)

    def answer(self, sock: socket.socket, answer: bytes | Say) -> None:
        """Read one request and say ``answer``."""
        try:
            sock.settimeout(5)
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
            self.requests.append(_request(sock))
            if callable(answer):
                answer(sock)
            else:
                sock.sendall(answer)
        except OSError:
            pass
        finally:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def _request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(4096)
        if not part or part[:1] == b"\x16":  # gone, or wants to speak TLS
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += sock.recv(4096)
    return head + b"\r\n\r\n" + body


@contextmanager
def origin(*answers: bytes | Say, context: ssl.SSLContext | None = None) -> Iterator[Origin]:
    """A running ``Origin``."""
    server = Origin(list(answers), context)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        with suppress(OSError):
            server.socket.shutdown(socket.SHUT_RDWR)
        server.socket.close()
        thread.join(5)
        for one in server.threads:
            one.join(5)
