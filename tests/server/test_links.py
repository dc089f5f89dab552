"""Links that open one thing, for a time, and nothing else."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import pytest

from cleancut.errors import LinkExpired
from cleancut.server.links import Links, derived, secret_from

SECRET = b"s" * 32
PATH = "/v1/jobs/job_1/items/0"


def opened(links: Links, link: str, *, path: str | None = None) -> None:
    parts = urlsplit(link)
    query = parse_qs(parts.query)
    links.check(path or parts.path, query["expires"][0], query["signature"][0])


def test_a_link_opens_its_path_until_its_end() -> None:
    links = Links(SECRET)
    link = links.signed(PATH, time.time() + 60)
    opened(links, link)
    opened(Links(SECRET), link)
    with pytest.raises(LinkExpired, match="expired"):
        opened(links, links.signed(PATH, time.time() - 1))


@pytest.mark.parametrize(
    "path", [PATH + "1", "/v1/jobs/job_1/archive", "/v1/jobs/job_2/items/0", PATH + "\n"]
)
def test_a_link_opens_no_other_path(path: str) -> None:
    links = Links(SECRET)
    with pytest.raises(LinkExpired, match="not one of"):
        opened(links, links.signed(PATH, time.time() + 60), path=path)


def test_another_server_made_no_such_link() -> None:
    with pytest.raises(LinkExpired):
        opened(Links(b"t" * 32), Links(SECRET).signed(PATH, time.time() + 60))


@pytest.mark.parametrize("expires", ["", "0", "-1", "99999999999999999", "1e9", "٣", "\ud800"])
@pytest.mark.parametrize("signature", ["", "é", "\ud800", "A" * 43])
def test_what_was_made_up_is_refused(expires: str, signature: str) -> None:
    with pytest.raises(LinkExpired):
        Links(SECRET).check(PATH, expires, signature)


def test_the_end_cannot_be_moved() -> None:
    links = Links(SECRET)
    query = parse_qs(urlsplit(links.signed(PATH, time.time() - 5)).query)
    with pytest.raises(LinkExpired, match="not one of"):
        links.check(PATH, str(int(time.time()) + 60), query["signature"][0])


def test_keys_of_different_purposes_tell_nothing_of_each_other() -> None:
    assert derived(SECRET, "links") != derived(SECRET, "webhook ann")
    assert len(secret_from("words")) == len(derived(SECRET, "links")) == 32
