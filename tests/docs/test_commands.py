"""Every command that the documentation says to type is typed, or stands in ``NOT_TYPED``.

What cannot be typed in a test is still read by our own argument parser, so that no flag is wrong.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import SubprocessError

import pytest

from cleancut.errors import BadOption
from cleancut.server.keys import Keys
from tests.docs import scene
from tests.docs.fences import PAGES, ROOT, commands
from tests.docs.typed import Desk, environment, parse, segments
from tests.server.process import Running, ended

#: What is not typed here -> why. A row that no command needs is a failure, too.
NOT_TYPED = {
    r"^(pip|python3? -m pip|python3? -m venv|uv|pipx|npm|npx) ": "installs packages",
    r"^(docker|gh|claude|uvx) ": "programs of others",
    r"-m http\.server": "serves a folder of the repository until it is stopped",
    r"^make ": "the repository's own targets; the README's two are tested in test_repo.py",
    r"^cleancut models (pull|import)": "downloads weights: tests/weights does it",
    r"^cleancut models export": "minutes, and TensorFlow: tests/cli/test_models_export.py does it",
    r"^cleancut models optimize": "minutes, and the extra's packages: tests/optimize does it",
    r"^cleancut demo": "downloads two photographs and three models",
    r"^cleancut bench": "minutes to hours, other tools and data sets: tests/bench, tests/compare",
    r"^cleancut recommend .*mine\.json": "needs the figures of a comparison of an hour",
    r"^cleancut distill": "minutes to days of training: tests/distill trains",
    r"^torchrun ": "two processes of training",
    r"mine\.onnx": "the network that training makes",
    r"(s3|gs|az)://": "an object store: tests/batch/test_s3.py has one",
    r"redis://": "a Redis elsewhere: tests/cache and tests/server have one",
    r"--cluster|--engine ray": "a Ray cluster: tests/batch/test_cluster.py has one",
    r"--device gpu|--gpus": "a GPU",
    r"camera:0": "a camera and a driver for a virtual one",
    r"--device gpu": "an NVIDIA GPU: tests/batch/test_gpus.py makes some up",
    r"--precision int8": "a copy that `models optimize` makes in minutes",
    r"--model (selfie|rvm|u2net)\b": "weights that no test of the documentation pulls",
    r"(shop|cut|shop\.partner)\.example|https://example\.com": "a server of somebody else",
    r"^time cleancut batch sample": "two hundred pictures",
    r"--data /srv": "a folder that only the administrator may make",
    r"^CLEANCUT_FUZZ_SECONDS": "ten minutes of attacks: tests/server/fuzz runs them in seconds",
}
#: Names of models that are pulled for other tests as well.
PULLED = re.compile(r"(--model|-m) (isnet|modnet|u2netp)\b|^cleancut (models info|batch .*isnet)")


def reason_for(command: str) -> str | None:
    """Why ``command`` is not typed, or None."""
    return next((why for row, why in NOT_TYPED.items() if re.search(row, command)), None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scene.build(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measured backends and kept results, for all pages."""
    return tmp_path_factory.mktemp("cache")


class Served:
    """The servers of all curl lines, one that wants a key; each started when it is first asked."""

    def __init__(self, folder: Path, measured: Path, stack: ExitStack) -> None:
        self._folder, self._measured, self._stack = folder, measured, stack
        self._live: dict[bool, tuple[str, str]] = {}

    def __call__(self, *, keyed: bool) -> tuple[str, str]:
        """The address, and the key if one is wanted."""
        if keyed not in self._live:
            self._live[keyed] = self._started(self._folder / ("keyed" if keyed else "open"), keyed)
        return self._live[keyed]

    def _started(self, folder: Path, keyed: bool) -> tuple[str, str]:
        folder.mkdir()
        live = Running(
            folder / "server",
            ("--model", "cleancut-nano"),
            environment(folder, self._measured),
        )
        key = Keys(live.data / "keys.json").add("docs") if keyed else ""
        self._stack.enter_context(ended(live))
        live.start()
        return live.url, key


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, measured: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(tmp_path_factory.mktemp("served"), measured, stack)


@pytest.fixture
def desk(
    built: Path,
    measured: Path,
    server: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Desk:
    """Where one page's commands are typed, with the files that they name (else with all)."""
    typed = TYPED[request.param] if hasattr(request, "param") else []
    words = " ".join(command for _, command in typed)
    folder = scene.copied(built, tmp_path / "page", words)
    env = environment(folder, measured)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return Desk(folder, dict(os.environ), server)


#: Belong together with those before and after them on their page.
_IN_ORDER = re.compile(r"cleancut keys|/v1/jobs")


def _first() -> dict[Path, list[tuple[str, str]]]:
    """What is typed of each page: a command that an earlier page has is not typed again."""
    seen: set[str] = set()
    found: dict[Path, list[tuple[str, str]]] = {}
    for page in PAGES:
        for place, command in commands(page):
            if reason_for(command) is None and not PULLED.search(command) and command not in seen:
                found.setdefault(page, []).append((place, command))
                if not _IN_ORDER.search(command):
                    seen.add(command)
    return found


TYPED = _first()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_understood(page: Path) -> None:
    for place, command in commands(page):
        try:
            parse(command)
        except BadOption as error:
            pytest.fail(f"{place}: {command}\n{error.message}; {error.hint}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("page", "desk"),
    [(page, page) for page in TYPED],
    indirect=["desk"],
    ids=[str(page.relative_to(ROOT)) for page in TYPED],
)
def test_every_command_works(page: Path, desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    for place, command in TYPED[page]:
        try:
            desk.type(command)
        except (AssertionError, OSError, SubprocessError) as error:
            told = capfd.readouterr()
            pytest.fail(f"{place}: {command}\n{error}\n{told.out[-600:]}\n{told.err[-1200:]}")


@pytest.mark.weights
@pytest.mark.timeout(600)
def test_commands_that_name_a_model_work(
    desk: Desk, pulled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of all pages that name a model of `models pull`, each once."""
    monkeypatch.setenv("CLEANCUT_HOME", str(pulled))
    monkeypatch.setenv("CLEANCUT_CACHE", str(pulled / "cache"))
    named = {
        command: place
        for page in PAGES
        for place, command in commands(page)
        if PULLED.search(command) and reason_for(command) is None
    }
    assert named
    desk.env = dict(os.environ)
    for command, place in named.items():
        try:
            desk.type(command)
        except (AssertionError, OSError, SubprocessError) as error:
            pytest.fail(f"{place}: {command}\n{error}")


def test_no_row_is_left_over() -> None:
    all_commands = [command for page in PAGES for _, command in commands(page)]
    for row in NOT_TYPED:
        assert any(re.search(row, command) for command in all_commands), f"nothing needs {row}"


def test_a_wrong_flag_is_found() -> None:
    with pytest.raises(AssertionError):
        parse("cleancut cut photo.jpg --no-such-flag")
    with pytest.raises(BadOption):
        parse("cat photo.jpg | cleancut cut - --refine slow > cutout.png")
    assert segments("a 'b;c' | d -e > f && g") == [["a", "b;c"], ["d", "-e"], ["g"]]
