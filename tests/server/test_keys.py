from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import stat
import string
from pathlib import Path

import pytest

from cleancut.errors import BadOption, SetupError
from cleancut.server import keys as module
from cleancut.server.keys import Keys, Limits, made, mistyped
from cleancut.server.settings import Settings


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    return Keys(tmp_path / "data" / "keys.json")


def test_a_key_has_256_random_bits_and_a_checksum() -> None:
    several = {made() for _ in range(200)}
    assert len(several) == 200
    assert {len(key) for key in several} == {52}
    letters = set(string.ascii_letters + string.digits)
    assert all(key.startswith("cc_") and set(key[3:]) <= letters for key in several)
    assert not any(mistyped(key) for key in several)
    key = made()
    for place in range(3, 52):
        other = "a" if key[place] != "a" else "b"
        assert mistyped(key[:place] + other + key[place + 1 :])
    assert mistyped(key[:-1])
    assert mistyped(key + "0")
    assert mistyped("cc_" + "é" * 49)
    assert not mistyped("a key of somebody else's")


def test_a_key_is_good_until_it_is_removed(keys: Keys) -> None:
    limits = Limits(requests_per_minute=5, megapixels_per_day=1.5)
    key = keys.add("shop", limits)
    caller = keys.check(key)
    assert caller is not None
    assert (caller.name, caller.limits) == ("shop", limits)
    assert keys.check(key[:-1]) is None
    assert keys.check("") is None
    assert keys.check(made()) is None
    assert keys.check("\udcff") is None
    keys.remove("shop")
    assert keys.check(key) is None
    with pytest.raises(BadOption, match="no key called"):
        keys.remove("shop")


def test_the_file_holds_no_key_and_is_the_owners_alone(keys: Keys) -> None:
    key = keys.add("shop")
    text = keys.path.read_text("utf-8")
    assert key not in text
    assert key[3:-6] not in text
    assert hashlib.sha256(key.encode()).hexdigest() in text
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in keys.path.parent.iterdir()) == ["keys.json", "keys.lock"]


def test_a_running_server_notices_changes(keys: Keys) -> None:
    assert not keys.required
    other = Keys(keys.path)
    first = other.add("first")
    assert keys.required
    assert keys.check(first) is not None
    second = other.add("second")
    other.remove("first")
    assert keys.check(first) is None
    assert keys.check(second) is not None


def test_changes_are_looked_for_no_more_than_once_a_second(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    assert not keys.required
    Keys(keys.path).add("late")
    assert not keys.required, "looked at the disk again"
    assert [record.caller.name for record in keys.listed()] == ["late"]


def test_removing_the_last_key_or_the_file_opens_nothing(keys: Keys) -> None:
    keys.add("only")
    assert keys.required
    keys.remove("only")
    assert keys.required
    keys.path.unlink()
    assert keys.required
    assert not Keys(keys.path).required, "a server that is started without keys has none"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 2, "keys": []}',
        '{"version": 1, "keys": [{}]}',
        '{"version": 1, "keys": [1]}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_damaged_file_is_refused_and_not_read_as_no_keys(keys: Keys, text: str) -> None:
    good = keys.add("shop")
    assert keys.check(good) is not None
    keys.path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for ask in (lambda: keys.required, lambda: keys.check(good), lambda: keys.add("more")):
        with pytest.raises(SetupError) as caught:
            ask()
        assert str(keys.path.parent) not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"},
        {"id": "A b"},
        {"hashes": []},
        {"hashes": [{"sha256": "abc"}]},
        {"limits": {"requests_per_minute": -1}},
        {"limits": {"requests_per_minute": True}},
        {"limits": {"unheard_of": 1}},
        {"created": None},
    ],
)
def test_a_record_that_makes_no_sense_is_refused(keys: Keys, change: dict[str, object]) -> None:
    keys.add("shop")
    document = json.loads(keys.path.read_text("utf-8"))
    document["keys"][0] |= change
    keys.path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(SetupError, match="damaged"):
        keys.listed()


def test_a_rotated_key_is_the_same_caller_and_the_old_one_ends(tmp_path: Path) -> None:
    now = [1000.0]
    keys = Keys(tmp_path / "keys.json", clock=lambda: now[0])
    old = keys.add("shop", Limits(requests_per_minute=5))
    before = keys.listed()[0].caller
    new = keys.rotate("shop", overlap_s=60)
    keys.listed()
    assert keys.check(old) == keys.check(new) == before
    now[0] += 60
    assert keys.check(old) is None
    assert keys.check(new) == before
    third = keys.rotate("shop")
    keys.listed()
    assert keys.check(new) is None
    assert keys.check(third) == before


def test_limits_change_without_a_new_key(keys: Keys) -> None:
    key = keys.add("shop")
    keys.limit("shop", Limits(megapixels_per_month=7))
    caller = keys.check(key)
    assert caller is not None
    assert caller.limits == Limits(megapixels_per_month=7)


def test_names_are_plain_and_single(keys: Keys) -> None:
    keys.add("a.b_c-d@example.com")
    for name in ("", "../x", "a b", "-x", "x" * 65, "ä", "a\n"):
        with pytest.raises(BadOption):
            keys.add(name)
    with pytest.raises(BadOption, match="already"):
        keys.add("a.b_c-d@example.com")
    for value in (0, -1, float("nan"), float("inf"), True, "5"):
        with pytest.raises(BadOption):
            Limits(megapixels_per_day=value)  # type: ignore[arg-type]
    with pytest.raises(BadOption):
        Limits(requests_per_minute=1.5)  # type: ignore[arg-type]


def _add_some(path: Path, prefix: str) -> None:
    for number in range(8):
        Keys(path).add(f"{prefix}{number}")


def test_several_writers_lose_nothing(keys: Keys) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add_some, args=(keys.path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(keys.listed()) == 24


def test_keys_come_from_a_container_secret_also(keys: Keys, tmp_path: Path) -> None:
    own, hashed = "x" * 32, made()
    secret = tmp_path / "secret"
    secret.write_text(
        f"# operators\n\nfirst {own} requests-per-minute=60 megapixels-per-day=1.5\n"
        f"second sha256:{hashlib.sha256(hashed.encode()).hexdigest()}\n",
        "utf-8",
    )
    keys = Keys(keys.path, given=secret)
    third = Keys(keys.path).add("third")
    first, second = keys.check(own), keys.check(hashed)
    assert first is not None
    assert second is not None
    assert first.limits == Limits(requests_per_minute=60, megapixels_per_day=1.5)
    assert second.name == "second"
    assert keys.check(third) is not None
    with pytest.raises(BadOption, match="keys file"):
        keys.remove("first")
    with pytest.raises(BadOption, match="already"):
        keys.add("second")
    # Another key under the same name is the same caller.
    secret.write_text(f"first {'y' * 40}\n", "utf-8")
    keys.listed()
    assert keys.check(own) is None
    again = keys.check("y" * 40)
    assert again is not None
    assert again.id == first.id


def test_a_secret_that_is_nothing_but_a_key_is_called_default(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    key = made()
    secret.write_text(f"{key}\n", "utf-8")
    caller = Keys(tmp_path / "keys.json", given=secret).check(key)
    assert caller is not None
    assert caller.name == "default"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "# nothing\n",
        "name hunter2-is-too-short",
        "hunter2-is-too-short",
        f"{'s' * 32} requests-per-minute=1",
        f"name {'s' * 32} requests-per-minute=many",
        f"name {'s' * 32} requests-per-minute=0",
        f"name {'s' * 32} favour=1",
        f"name {'s' * 257}",
        "name sha256:12",
        f"name {'s' * 32}\nname {'t' * 32}",
        "name " + "s" * 32 + "\udcff",
    ],
)
def test_a_secret_with_a_mistake_is_refused_and_not_quoted(
    tmp_path: Path, text: str | None
) -> None:
    secret = tmp_path / "secret"
    if text is not None:
        secret.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SetupError) as caught:
        Keys(tmp_path / "keys.json", given=secret).check("s" * 32)
    told = f"{caught.value} {caught.value.hint}"
    assert "hunter2" not in told
    assert "sss" not in told
    assert str(tmp_path) not in told


def test_one_name_in_both_files_is_refused(keys: Keys, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"shop {'s' * 32}", "utf-8")
    keys.add("shop")
    with pytest.raises(SetupError, match="same name"):
        Keys(keys.path, given=secret).listed()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_refused(keys: Keys) -> None:
    keys.add("shop")
    keys.path.chmod(0)
    with pytest.raises(SetupError, match="cannot be read"):
        keys.listed()


def test_every_hash_is_compared_whatever_is_presented(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [keys.add(f"key{number}") for number in range(5)]
    seen: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        seen.append(other)
        return one == other

    monkeypatch.setattr("cleancut.server.keys.hmac.compare_digest", compare)
    for presented in (several[0], several[4], "wrong"):
        seen.clear()
        keys.check(presented)
        assert len(seen) == 5


def test_the_server_looks_into_its_data_folder(tmp_path: Path) -> None:
    keys = Keys.of(Settings(data=tmp_path, keys_file=tmp_path / "secret"))
    assert (keys.path, keys.given) == (tmp_path / "keys.json", tmp_path / "secret")
