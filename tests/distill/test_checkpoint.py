from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from cleancut.distill import checkpoint
from cleancut.distill.checkpoint import State
from cleancut.errors import BadOption, Busy, OutputNotWritable, WeightsCorrupt
from tests.distill.small import Small, config_with


class _Planted:
    """Makes a folder when it is unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def _state() -> State:
    net = Small()
    average = torch.optim.swa_utils.AveragedModel(net)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    net(torch.rand(1, 3, 8, 8)).mean().backward()
    optimizer.step()
    return State(net, average, optimizer, torch.amp.GradScaler("cpu", enabled=False), step=7)


def test_a_checkpoint_brings_everything_back(tmp_path: Path) -> None:
    before, after = _state(), _state()
    before.skipped, before.failing = 3, 1
    checkpoint.save(tmp_path, before)
    drawn = torch.rand(3)
    checkpoint.resume(tmp_path, after)
    assert torch.equal(torch.rand(3), drawn)
    assert (after.step, after.skipped, after.failing) == (7, 3, 1)
    for name, values in before.net.state_dict().items():
        assert torch.equal(values, after.net.state_dict()[name])
    old, new = (state.optimizer.state_dict()["state"] for state in (before, after))
    assert torch.equal(old[0]["exp_avg_sq"], new[0]["exp_avg_sq"])


def test_the_first_checkpoints_of_all_are_still_read(tmp_path: Path) -> None:
    before, after = _state(), _state()
    checkpoint.save(tmp_path, before)
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for name in ("scaler", "skipped", "failing", "rng"):
        del kept[name]
    torch.save(kept, tmp_path / "checkpoint.pt")
    checkpoint.resume(tmp_path, after)
    assert after.step == 7


@pytest.mark.parametrize("damage", [b"", b"no zip file", None])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: bytes | None) -> None:
    checkpoint.save(tmp_path, _state())
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-500] if damage is None else damage)
    with pytest.raises(WeightsCorrupt) as caught:
        checkpoint.resume(tmp_path, _state())
    assert "begin anew" in caught.value.hint


def test_a_checkpoint_of_code_that_runs_is_not_run(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(print))
    with pytest.raises(WeightsCorrupt):
        checkpoint.resume(tmp_path, _state())


def test_a_full_disk_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, _state())
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(kept: object, file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputNotWritable, match="the disk is full"):
        checkpoint.save(tmp_path, _state())
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_folder_has_one_owner_who_clears_up(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt.123.part").write_bytes(b"half")
    (tmp_path / "mine.part").write_bytes(b"not ours")
    with checkpoint.owned(tmp_path):
        assert not (tmp_path / "checkpoint.pt.123.part").exists()
        assert (tmp_path / "mine.part").exists()
        with pytest.raises(Busy), checkpoint.owned(tmp_path):
            pass
    with checkpoint.owned(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputNotWritable), checkpoint.owned(tmp_path / "file" / "run"):
        pass


def test_another_configuration_is_refused_by_what_differs(tmp_path: Path) -> None:
    checkpoint.keep_config(tmp_path, config_with())
    checkpoint.save(tmp_path, _state())
    checkpoint.keep_config(tmp_path, config_with())
    with pytest.raises(BadOption, match=r"rate = 0\.5"):
        checkpoint.keep_config(tmp_path, config_with(rate=0.5))


def test_a_configuration_from_before_an_option_existed_is_the_same(tmp_path: Path) -> None:
    checkpoint.keep_config(tmp_path, config_with())
    checkpoint.save(tmp_path, _state())
    path = tmp_path / "config.toml"
    lines = [line for line in path.read_text("utf-8").splitlines() if "subject" not in line]
    path.write_text("\n".join(lines), "utf-8")
    checkpoint.keep_config(tmp_path, config_with())


def test_a_configuration_that_could_not_be_started_is_no_run(tmp_path: Path) -> None:
    checkpoint.keep_config(tmp_path, config_with(start="nosuch"))
    checkpoint.keep_config(tmp_path, config_with())
    checkpoint.same_config(tmp_path, config_with())


@pytest.mark.parametrize("old_form", [False, True])
def test_code_in_a_checkpoint_is_named_and_not_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], old_form: bool
) -> None:
    import pickle

    path = tmp_path / "checkpoint.pt"
    planted = {"step": 1, "model": _Planted(tmp_path / "ran")}
    if old_form:
        path.write_bytes(pickle.dumps(planted))
    else:
        torch.save(planted, path)
    with pytest.raises(WeightsCorrupt, match="other things than weights"):
        checkpoint.resume(tmp_path, _state())
    assert not (tmp_path / "ran").exists()
    assert capfd.readouterr() == ("", "")
