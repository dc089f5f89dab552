from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from cleancut.errors import (
    BadOption,
    QuotaSpent,
    RateLimited,
    SetupError,
    StorageFailed,
)
from cleancut.server import quota as module
from cleancut.server.keys import ANONYMOUS, Caller, Limits
from cleancut.server.quota import Quota
from cleancut.server.settings import Settings
from cleancut.server.usage import RedisUsage, SqliteUsage, Used, read_usage
from tests.cache.conftest import redis_url  # noqa: F401


class Clock:
    """Both clocks, moved by hand."""

    def __init__(self, when: str = "2026-11-22T12:00:00") -> None:
        self.wall = datetime.fromisoformat(when).replace(tzinfo=timezone.utc).timestamp()
        self.ticks = 0.0

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


def caller(name: str = "shop", **limits: float) -> Caller:
    return Caller(id=f"k{name}", name=name, limits=Limits(**limits))  # type: ignore[arg-type]


def opened(settings: Settings, clock: Clock) -> Quota:
    return Quota(settings, wall=lambda: clock.wall, clock=lambda: clock.ticks)


@pytest.fixture(params=["sqlite", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return Settings(data=tmp_path / "data")
    url: str = request.getfixturevalue("redis_url")
    RedisUsage(url)._client.flushall()
    return Settings(data=tmp_path / "data", redis=url)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quota(settings: Settings, clock: Clock) -> Iterator[Quota]:
    quota = opened(settings, clock)
    yield quota
    quota.stop()


def flushed(quota: Quota) -> None:
    quota._flush()
    assert quota._pending == {}
    assert quota._batch is None


def test_requests_beyond_the_rate_are_refused_with_a_time(quota: Quota) -> None:
    shop = caller(requests_per_minute=3)
    assert [quota.admit(shop).remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(RateLimited) as caught:
        quota.admit(shop)
    assert caught.value.retry_after_s is not None
    assert 15 < caught.value.retry_after_s <= 20
    assert quota.admit(caller("other", requests_per_minute=3)).remaining == 2
    assert quota.admit(caller("free")).limit is None


def test_servers_share_a_rate_through_redis(redis_url: str, tmp_path: Path) -> None:  # noqa: F811
    settings = Settings(data=tmp_path, redis=redis_url)
    RedisUsage(redis_url)._client.flushall()
    one, other = Quota(settings), Quota(settings)
    shop = caller(requests_per_minute=4)
    left = [quota.admit(shop).remaining for quota in (one, other, one, other)]
    assert left == [3, 2, 1, 0]
    for quota in (one, other):
        with pytest.raises(RateLimited):
            quota.admit(shop)
        quota.stop()


def test_megapixels_are_spent_by_the_day_and_come_back_at_midnight(
    quota: Quota, clock: Clock
) -> None:
    shop = caller(megapixels_per_day=10)
    quota.check(shop)
    quota.charge(shop, 6)
    quota.check(shop)
    assert quota.account(shop).megapixels_left == 4
    quota.charge(shop, 6)
    assert quota.account(shop).megapixels_left == 0
    for flush in (False, True):
        if flush:
            flushed(quota)
        with pytest.raises(QuotaSpent, match="10 megapixels of this day") as caught:
            quota.check(shop)
        assert "2026-11-23 00:00 UTC" in caught.value.hint
        assert caught.value.retry_after_s == 12 * 3600
    clock.go(12 * 3600 - 1)
    with pytest.raises(QuotaSpent):
        quota.check(shop)
    clock.go(1)
    quota.check(shop)
    assert quota.account(shop).today == Used()
    assert quota.account(shop).month == Used(12, 2)


def test_months_end_where_they_end(quota: Quota, clock: Clock) -> None:
    shop = caller(megapixels_per_month=1)
    clock.go(9 * 86400)  # the first of December
    quota.charge(shop, 1)
    with pytest.raises(QuotaSpent, match="month") as caught:
        quota.check(shop)
    assert "2027-01-01" in caught.value.hint
    clock.go(31 * 86400)
    quota.check(shop)


def test_setting_the_clock_back_gives_nothing_away(quota: Quota, clock: Clock) -> None:
    shop = caller(megapixels_per_day=1, requests_per_minute=1)
    quota.charge(shop, 1)
    quota.admit(shop)
    clock.wall += 3 * 86400
    quota.check(shop)
    quota.charge(shop, 0.5)
    clock.wall -= 3 * 86400
    with pytest.raises(QuotaSpent):
        quota.check(shop)
    with pytest.raises(RateLimited):
        quota.admit(shop)


def test_what_was_used_outlives_a_restart(settings: Settings, clock: Clock) -> None:
    shop = caller(megapixels_per_day=10)
    quota = opened(settings, clock)
    quota.start()
    quota.charge(shop, 2.5)
    quota.stop()
    again = opened(settings, clock)
    assert again.account(shop).today == Used(2.5, 1)
    again.charge(shop, 1)
    assert again.account(shop).today == Used(3.5, 2)
    flushed(again)
    assert again.account(shop).today == Used(3.5, 2)
    clock.go(5)
    assert again.account(shop).today == Used(3.5, 2), "read back, and counted once"
    again.stop()


def test_nobody_counts_what_anonymous_callers_use(settings: Settings, clock: Clock) -> None:
    quota = opened(settings, clock)
    quota.check(ANONYMOUS)
    assert quota.admit(ANONYMOUS).limit is None
    quota.charge(ANONYMOUS, 5)
    assert quota.account(ANONYMOUS).megapixels_left is None
    quota.stop()
    assert not settings.data.exists()


def test_a_batch_that_is_sent_twice_counts_once(settings: Settings, quota: Quota) -> None:
    quota.start()
    store = quota._store
    assert store is not None
    for _ in range(3):
        store.add("one", {("k", "2026-11"): Used(1, 1)})
    store.add("two", {("k", "2026-11"): Used(1, 1)})
    assert store.read("k", ["2026-11", "2026-12"]) == {"2026-11": Used(2, 2), "2026-12": Used()}


def test_many_threads_lose_no_charge(settings: Settings) -> None:
    quota = Quota(settings)
    shop = caller(megapixels_per_day=1e9)

    def work() -> None:
        for _ in range(200):
            quota.charge(shop, 0.5)
            quota.check(shop)
            quota.account(shop)
            quota._flush()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quota.account(shop).today == Used(400, 800)
    quota.stop()
    again = Quota(settings)
    assert again.account(shop).today == Used(400, 800)
    again.stop()


def test_a_store_that_fails_loses_no_charge_and_says_so(
    settings: Settings, quota: Quota, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota.start()
    shop = caller(megapixels_per_day=3, requests_per_minute=2)
    quota.charge(shop, 1)
    flushed(quota)
    store = quota._store
    assert store is not None
    asked = []

    def fail(*args: object) -> None:
        asked.append(args)
        raise StorageFailed("it is gone")

    with monkeypatch.context() as broken:
        for name in ("read", "add", "take"):
            broken.setattr(store, name, fail)
        quota.charge(shop, 1)
        quota._flush()
        trouble = quota.trouble()
        assert trouble is not None
        assert "gone" in str(trouble)
        quota.check(shop)
        quota.charge(shop, 1)
        with pytest.raises(QuotaSpent):
            quota.check(shop)
        quota.admit(shop)
        quota.admit(shop)
        with pytest.raises(RateLimited):
            quota.admit(shop)
        assert len(asked) == 1, "left alone for a while"
    clock.go(module.PAUSE_S)
    # What failed is sent first, under its own name; the next flush sends the rest.
    quota._flush()
    flushed(quota)
    assert quota.trouble() is None
    assert store.read(shop.id, ["2026-11-22"]) == {"2026-11-22": Used(3, 3)}


CHARGE = """
import sys, time
from pathlib import Path
from cleancut.server.keys import Caller, Limits
from cleancut.server.quota import Quota
from cleancut.server.settings import Settings
quota = Quota(Settings(data=Path(sys.argv[1])))
quota.start()
for number in range(1000000):
    quota.charge(Caller(id="kshop", name="shop", limits=Limits()), 1)
    print(number + 1, time.monotonic(), flush=True)
    time.sleep(0.01)
"""


def test_a_killed_server_forgets_no_more_than_a_second(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CHARGE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(120)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    told = [
        tuple(map(float, line.split())) for line in [*lines, *rest.splitlines()] if line.strip()
    ]
    month = time.strftime("%Y-%m", time.gmtime())
    kept = read_usage(tmp_path / "usage.sqlite", [month])[("kshop", month)].pictures
    forgotten = [when for number, when in told if number > kept]
    assert kept > 0
    assert not forgotten or forgotten[-1] - forgotten[0] < 1.0


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "usage.sqlite").write_bytes(b"junk" * 1000)
    with pytest.raises(SetupError, match=r"usage\.sqlite") as caught:
        Quota(Settings(data=tmp_path)).start()
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(SetupError):
        read_usage(tmp_path / "usage.sqlite", ["2026-11"])
    assert read_usage(tmp_path / "none.sqlite", ["2026-11"]) == {}
    assert not (tmp_path / "none.sqlite").exists()


def test_an_address_that_is_none_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(BadOption) as caught:
        Quota(Settings(data=tmp_path, redis="http://:hidden-word@h/")).start()
    assert "hidden" not in f"{caught.value} {caught.value.hint}"


def test_a_redis_that_is_gone_leaves_requests_to_this_server_alone(tmp_path: Path) -> None:
    quota = Quota(Settings(data=tmp_path, redis="redis://:hidden-word@127.0.0.1:1/0"))
    shop = caller(requests_per_minute=1, megapixels_per_day=1)
    assert quota.admit(shop).remaining == 0
    with pytest.raises(RateLimited):
        quota.admit(shop)
    quota.check(shop)
    trouble = quota.trouble()
    assert trouble is not None
    assert "hidden" not in f"{trouble} {trouble.hint}"
    quota.stop()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_usage_is_the_owners_alone(tmp_path: Path) -> None:
    quota = Quota(Settings(data=tmp_path / "data"))
    quota.charge(caller(), 1)
    quota.stop()
    assert (tmp_path / "data" / "usage.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_nobody_else_may_read_what_was_used(tmp_path: Path) -> None:
    """Also where the data folder was made by somebody who lets others look into it."""
    before = os.umask(0o022)
    try:
        store = SqliteUsage(tmp_path / "usage.sqlite")
        store.add("a", {("shop", "2026-11-22"): Used(1.0, 1)})
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}
