from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cleancut import Options
from cleancut.batch import remote, storage
from cleancut.batch.job import Finished, Job, Notice, Progressed
from cleancut.batch.local import LocalRunner
from cleancut.batch.videos import RunnerFarm, at_hand, ray_farm
from cleancut.batch.worker import Worker, WorkerConfig
from cleancut.errors import BadOption, Cancelled, UnreadableVideo
from cleancut.video.options import VideoOptions
from cleancut.video.order import Part, VideoOrder
from cleancut.video.parts import root_of
from cleancut.video.run import render_video
from tests.video.moving import clip, frames_of, same_frames

CONFIG = WorkerConfig(videos=True, threads=1)


def order_for(tmp_path: Path, name: str = "out.mkv") -> VideoOrder:
    source = tmp_path / "in.mp4"
    if not source.exists():
        clip(source)
    return VideoOrder(
        source=str(source),
        target=str(tmp_path / name),
        options=Options(model="echo"),
        video=VideoOptions(engine="image"),
        part_s=0.5,
    )


def job_of(order: VideoOrder, **changes: object) -> Job:
    job = Job("v1", order.source, order.target, "out.mkv", video=order.to_json())
    return replace(job, **changes)  # type: ignore[arg-type]


def test_a_worker_does_a_video_and_tells_how_far_it_is(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    words: list[str] = []
    outcome = Worker(CONFIG)(job_of(order), words.append)
    assert outcome.status == "done", outcome.error
    assert outcome.facts["frames"] == len(frames_of(order.target)) == 20
    assert outcome.written == Path(order.target).stat().st_size
    json.dumps(outcome.to_dict())
    assert words[-1].split()[:2] == ["progress", "1.0000"]


def test_the_jobs_source_and_target_win_over_the_orders(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    elsewhere = replace(order, source="/nowhere/in.mp4", target="/nowhere/out.mkv")
    job = job_of(order, video=elsewhere.to_json())
    assert Worker(CONFIG)(job).status == "done"
    assert len(frames_of(order.target)) == 20


def test_a_worker_does_one_part_into_its_own_file(tmp_path: Path) -> None:
    order = replace(order_for(tmp_path), part=Part(1, 500, 1000))
    with_base = replace(order, part=Part(1, *(int(t * 16000) for t in (0.5, 1.0))))
    job = job_of(with_base, target=str(tmp_path / "00001.mkv"))
    outcome = Worker(CONFIG)(job)
    assert outcome.status == "done", outcome.error
    assert outcome.facts["part"]["frames"] == 5
    assert (tmp_path / "00001.mkv").exists()
    assert not Path(order.target).exists()


def test_what_is_wrong_with_a_video_is_in_the_outcome(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_text("no video\n" * 100)
    outcome = Worker(CONFIG)(job_of(order_for(tmp_path)))
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error["code"] == "unreadable-video"


def test_a_child_needs_no_network_before_the_first_video(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    events = list(LocalRunner(CONFIG, workers=1).run([job_of(order)]))
    (finished,) = (event for event in events if isinstance(event, Finished))
    assert finished.outcome.status == "done", finished.outcome.error
    shares = [event.share for event in events if isinstance(event, Progressed)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_video_that_gets_on_is_not_late(tmp_path: Path) -> None:
    from cleancut.batch.shift import Shift

    shift = Shift(1)
    job = job_of(order_for(tmp_path))
    shift.give(job, told=True)
    since = shift.given["v1"].since
    (event,) = shift.hear({"progress 0.5000 9.2 120 25.10": "v1"})
    assert event == Progressed(job, 0.5, 9.2, ("0.5000", "9.2", "120", "25.10"))
    assert since is not None
    assert (shift.given["v1"].since or 0) > since
    assert list(shift.hear({"progress x": "v1", "progress 0.1 -": "other"})) == []


def test_parts_done_by_a_runner_come_out_as_here(tmp_path: Path) -> None:
    here, there = order_for(tmp_path, "here.mkv"), order_for(tmp_path, "there.mkv")
    render_video(here)
    farm = RunnerFarm(LocalRunner(CONFIG, workers=2), 2, there)
    report = render_video(there, farm=farm)
    assert (report.frames, report.parts) == (20, 4)
    assert same_frames(here.target, there.target)


def test_a_farm_that_is_called_off_leaves_what_is_done(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    answers = iter([False, False])
    farm = RunnerFarm(LocalRunner(CONFIG, workers=1), 1, order)
    with pytest.raises(Cancelled):
        render_video(order, farm=farm, cancelled=lambda: next(answers, True))
    assert list(root_of(Path(order.target)).glob("*/*.json"))
    assert render_video(order).frames_kept > 0


def test_a_part_that_fails_elsewhere_fails_here_by_the_same_name(tmp_path: Path) -> None:
    class Broken:
        def run(self, jobs: object) -> object:
            for job in jobs:  # type: ignore[attr-defined]
                yield Notice("note", "said")
                outcome = Worker(CONFIG)(replace(job, source=str(tmp_path / "text.mp4")))
                yield Finished(job, outcome)

    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    heard: list[Notice] = []
    order = order_for(tmp_path)
    farm = RunnerFarm(Broken(), 1, order, heard.append)  # type: ignore[arg-type]
    with pytest.raises(UnreadableVideo):
        render_video(order, farm=farm)
    assert [notice.code for notice in heard] == ["note"]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a store of this machine; its endpoint is in the environment."""
    pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    import s3fs

    from cleancut.batch import remote

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    remote._system.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("films")
    yield "s3://films"
    remote._system.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_video_in_an_object_store_goes_back_there(tmp_path: Path, store: str) -> None:
    here = order_for(tmp_path, "here.mkv")
    render_video(here)
    remote.send(here.source, f"{store}/in.mp4")
    asked = replace(here, source=f"{store}/in.mp4", target=f"{store}/out/there.mkv")
    farm = RunnerFarm(LocalRunner(CONFIG, workers=1), 1, asked)
    with at_hand(asked) as order:
        assert render_video(order, farm=farm).frames == 20
    remote.fetch(asked.target, str(tmp_path / "there.mkv"))
    assert same_frames(here.target, tmp_path / "there.mkv")
    assert [found.name for found in storage.walk(f"{store}/out")] == ["there.mkv"]


def test_numbered_pictures_do_not_go_to_a_store(tmp_path: Path) -> None:
    asked = replace(order_for(tmp_path), target="s3://films/out/%05d.png")
    with pytest.raises(BadOption, match="numbered"), at_hand(asked):
        pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_parts_on_a_ray_cluster_come_out_as_here(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    here, there = order_for(tmp_path, "here.mkv"), order_for(tmp_path, "there.mkv")
    render_video(here)
    farm = ray_farm(replace(there, jobs=2), None)
    assert farm.workers == 2
    report = render_video(there, farm=farm)
    assert (report.frames, report.parts) == (20, 4)
    assert same_frames(here.target, there.target)
