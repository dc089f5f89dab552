"""Which addresses the server may be sent to by somebody else: public ones, and those allowed.

The tables are IANA's registries of special-purpose addresses (RFC 6890 and its updates), read
strictly: what is not plainly an address of a host in the internet is refused. They stand here in
full, since ``ipaddress`` answers differently from one Python to the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from cleancut.errors import BadOption

Address = IPv4Address | IPv6Address

_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, reachable from every machine of theirs
        "169.254.0.0/16",  # link-local; metadata of AWS, Google, Azure, OpenStack
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
    )
)
#: All that is given to hosts; outside lie loopback, link-local, unique local, multicast, ...
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address of anybody's choice
        "3ffe::/16",  # 6bone, given back
        "3fff::/20",
    )
)
#: Where a translator takes the last four bytes for an IPv4 address (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv4-mapped or NAT64 one leads to; any other as it is."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether ``address`` is a host's in the internet, by every way of writing it."""
    if isinstance(address, IPv6Address) and address.scope_id:
        return False
    plain = unwrapped(address)
    if isinstance(plain, IPv4Address):
        return not any(plain in network for network in _REFUSED_V4)
    return plain in _GLOBAL_V6 and not any(plain in network for network in _REFUSED_V6)


def is_name(host: str) -> bool:
    """Whether ``host``, in lower case, may be the name of a host: labels of a-z, 0-9, - and _."""
    return 0 < len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.split("."))


class Allowed:
    """Hosts and networks that may be asked although they are not public.

    ``entries`` are names, addresses and networks (``"10.1.0.0/16"``). Raises ``BadOption``.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            text = str(entry).strip().lower().removesuffix(".")
            try:
                self._networks.append(ip_network(text.strip("[]"), strict=False))
                continue
            except ValueError:
                pass
            if not is_name(text) or text.rpartition(".")[2].isdigit():
                raise BadOption(
                    f"--fetch-from: {entry!r} is neither a host nor a network",
                    hint="like images.example.internal, 10.1.2.3 or 10.1.0.0/16",
                )
            self._names.add(text)

    def host(self, name: str) -> bool:
        """Whether all addresses of ``name`` are allowed."""
        return name in self._names

    def address(self, address: Address) -> bool:
        """Whether ``address`` is in a network that is allowed."""
        plain = unwrapped(address)
        return any(plain in network for network in self._networks)


def read_address(text: str) -> Address | None:
    """An address in its usual spelling; None for anything else, zone ids (``%eth0``) included."""
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None
