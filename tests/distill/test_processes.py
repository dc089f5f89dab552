from __future__ import annotations

import pytest
import torch

from cleancut.distill.processes import ALONE, Processes
from cleancut.errors import BackendUnavailable, BadOption


def test_without_torchrun_there_is_one_process() -> None:
    assert Processes.of({}) == ALONE
    assert Processes.of({"RANK": "1"}) == ALONE
    assert ALONE.first


def test_torchrun_says_which_of_them_this_is() -> None:
    environ = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert Processes.of(environ) == Processes(3, 4, 1)
    assert not Processes.of(environ).first


@pytest.mark.parametrize("rank", ["4", "-1", "first"])
def test_an_impossible_rank_is_refused(rank: str) -> None:
    with pytest.raises(BadOption):
        Processes.of({"RANK": rank, "WORLD_SIZE": "4"})


def test_devices_by_name() -> None:
    assert ALONE.device("cpu") == torch.device("cpu")
    for name in ("gpu", "cuda:", "cuda:x", "cpu:1", ""):
        with pytest.raises(BadOption):
            ALONE.device(name)


def test_a_gpu_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert ALONE.device("auto") == torch.device("cpu")
    with pytest.raises(BackendUnavailable) as caught:
        ALONE.device("cuda")
    assert "--device cpu" in caught.value.hint


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Processes(3, 4, 1).device("auto") == torch.device("cuda", 1)
    assert Processes(3, 4, 1).device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(BackendUnavailable):
        Processes(2, 4, 2).device("auto")


def test_one_process_means_and_asks_itself() -> None:
    values = torch.tensor([1.0, 2.0])
    assert torch.equal(ALONE.mean(values), values)
    assert ALONE.any(True, torch.device("cpu"))
    assert not ALONE.any(False, torch.device("cpu"))
