"""Names to addresses, once and within a time; and connections to addresses, never to names."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleancut.server.addresses import Address
    from cleancut.server.wire import Deadline

#: Seconds for one connection; a lookup and a TLS handshake may take twice as long.
CONNECT_S = 5.0
#: How many addresses of a host are tried, and how many names are looked up at the same time.
TRIES = 4
LOOKUPS = 16

#: Looks up the addresses of a name, as text; raises ``OSError`` where there are none.
Resolve = Callable[[str, int], list[str]]


def look_up(name: str, port: int) -> list[str]:
    """All addresses of ``name`` as the system knows them; raises ``OSError``, ``UnicodeError``."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookups:
    """Looks names up, each in a thread of its own: the system's lookup knows no time limit."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._free = threading.BoundedSemaphore(LOOKUPS)

    def of(self, name: str, port: int, deadline: Deadline) -> list[str]:
        """All addresses of ``name``; raises ``OSError``, a ``TimeoutError`` if it takes long."""
        if not self._free.acquire(timeout=deadline.left(CONNECT_S)):
            raise TimeoutError("too many lookups")
        answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                answers.put(self._resolve(name, port))
            except Exception as error:
                answers.put(error)
            finally:
                self._free.release()

        try:
            threading.Thread(target=work, name="lookup", daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise OSError("no thread for a lookup") from error
        try:
            answer = answers.get(timeout=deadline.left(2 * CONNECT_S))
        except queue.Empty:
            raise TimeoutError("the name did not resolve in time") from None
        if isinstance(answer, UnicodeError):
            raise socket.gaierror(socket.EAI_NONAME, "not a name") from answer
        if isinstance(answer, Exception):
            raise answer
        return answer


def connected(addresses: list[Address], port: int, deadline: Deadline) -> socket.socket:
    """A connection to the first of ``addresses`` that answers; no name is looked up.

    Of both families in turn, so that a broken one does not use up all tries.
    """
    kinds = [[a for a in addresses if a.version == v] for v in (6, 4)]
    if addresses and addresses[0].version == 4:
        kinds.reverse()
    turns = [a for pair in zip_longest(*kinds) for a in pair if a is not None]
    last: OSError = OSError("no address")
    for address in turns[:TRIES]:
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            last = error
            continue
        try:
            sock.settimeout(deadline.left(CONNECT_S))
            sock.connect((str(address), port))
        except OSError as error:
            sock.close()
            last = error
            continue
        except BaseException:
            sock.close()
            raise
        return sock
    raise last
