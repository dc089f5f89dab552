"""Make the recipes' pictures with the recipes' own commands: ``make docs-picture``.

``python docs/recipe_pictures.py NAME ...`` makes those of some recipes only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(1, str(HERE.parent))

from picture import checkerboard  # noqa: E402
from recipe_sources import CLIP_SIZE, font, put_clip, put_sources  # noqa: E402

RECIPES = HERE / "recipes"
WIDTH_PX = 900
GAP_PX = 8
LIMIT_BYTES = 60_000
COLUMNS = 92


@dataclass(frozen=True)
class Sheet:
    """A recipe's picture: its commands, and which files are shown beside each other.

    ``panels`` are files, or ``$`` for what the last command printed. ``part`` is the share of the
    picture that is shown: left, top, right, bottom.
    """

    recipe: str
    commands: tuple[str, ...]
    panels: tuple[str, ...] = ("$",)
    part: tuple[float, float, float, float] = (0, 0, 1, 1)


SHEETS = {
    "one-photo": Sheet("one-photo", ("cleancut cut photo.jpg",), ("photo.jpg", "photo.cutout.png")),
    "shop": Sheet(
        "shop",
        ("cleancut cut cup.jpg --preset amazon -o cup.shop.jpg",),
        ("cup.jpg", "cup.shop.jpg"),
    ),
    "id-photo": Sheet(
        "id-photo", ("cleancut cut me.jpg --preset icao -o id.jpg",), ("me.jpg", "id.jpg")
    ),
    "id-sheet": Sheet(
        "id-photo", ("cleancut cut me.jpg --preset icao+10x15cm -o print.jpg",), ("print.jpg",)
    ),
    "hair": Sheet(
        "hair",
        (
            "cleancut cut photo.jpg --refine best",
            "cleancut cut photo.jpg --refine best --background '#2a9d8f' -o hair.png",
        ),
        ("photo.jpg", "photo.cutout.png", "hair.png"),
        (0.26, 0, 0.66, 0.36),
    ),
    "animals": Sheet("animals", ("cleancut cut cat.jpg -o cat.png",), ("cat.jpg", "cat.png")),
    "graphics": Sheet(
        "graphics",
        ("cleancut cut logo.png -o logo.cutout.png",),
        ("logo.png", "logo.cutout.png"),
    ),
    "background": Sheet(
        "background",
        (
            "cleancut cut photo.jpg --background '#2a9d8f' -o colour.jpg",
            "cleancut cut photo.jpg --background beach.jpg -o beach-photo.jpg",
            "cleancut cut photo.jpg --background blur:20 -o blurred.jpg",
        ),
        ("colour.jpg", "beach-photo.jpg", "blurred.jpg"),
    ),
    "shadow": Sheet(
        "shadow",
        ("cleancut cut cup.jpg --shadow drop:45,120,3% --background white -o cup.drop.jpg",),
        ("cup.jpg", "cup.drop.jpg"),
    ),
    "retouch": Sheet(
        "retouch",
        ("cleancut cut photo.jpg --remove-points '76%,82%;84%,72%;97%,82%' -o without.png",),
        ("photo.jpg", "photo.cutout.png", "without.png"),
    ),
    "quality": Sheet(
        "quality",
        ("cleancut cut rocket.jpg --json",),
        ("rocket.jpg", "rocket.cutout.png"),
    ),
    "folder": Sheet(
        "folder", ("cleancut batch photos -o out",), ("out/cleancut-report.html",), (0, 0, 1, 0.8)
    ),
    "watch": Sheet("watch", ("cleancut batch inbox -o out --watch --move-done archive",)),
    "s3": Sheet(
        "s3", ("cleancut batch s3://shop/in -o s3://shop/out --preset amazon --format jpg",)
    ),
    "video": Sheet(
        "video",
        (
            "cleancut video clip.mp4 -o clip.webm",
            "cleancut video clip.mp4 -o 'frames/%05d.png'",
            "cleancut video clip.mp4 -o green.mp4 -b '#00b140'",
        ),
        ("clip.mp4", "frames/00013.png", "green.mp4"),
    ),
    "camera": Sheet(
        "camera",
        ("cat frames.rgb | cleancut video --pipe rgb24 --size 480x360 -b '#00b140' > cut.rgb",),
        ("frames.rgb", "cut.rgb"),
    ),
    "server": Sheet("server", ("cleancut serve",), ("page",)),
    "keys": Sheet("keys", ("cleancut keys list",)),
    "jobs": Sheet(
        "jobs",
        (
            "curl -F image=@photo.jpg -F image=@cup.jpg -F format=webp http://127.0.0.1:7000/v1/jobs",
        ),
    ),
    "cache": Sheet(
        "cache",
        (
            "cleancut cut photo.jpg -o once.png",
            "cleancut cut photo.jpg -o again.png",
            "cleancut cache",
        ),
    ),
    "offline": Sheet("offline", ("cleancut cut photo.jpg",)),
    "small": Sheet(
        "small",
        (
            "cleancut cut photo.jpg --model cleancut-nano -o nano.png",
            "cleancut cut photo.jpg --model selfie -o selfie.png",
        ),
        ("photo.jpg", "nano.png", "selfie.png"),
    ),
}


def main() -> int:
    """Run the commands in a scratch folder with the sources, and put the panels together."""
    wanted = sys.argv[1:] or list(SHEETS)
    with tempfile.TemporaryDirectory() as place:
        os.environ["CLEANCUT_SERVER_DATA"] = f"{place}/server"
        os.environ["COLUMNS"] = str(COLUMNS)
        sources = Path(place) / "sources"
        sources.mkdir()
        put_sources(sources)
        run("cleancut cut photo.jpg --cache off", sources)
        put_clip(sources)
        for name in wanted:
            folder = Path(place) / name
            shutil.copytree(sources, folder)
            os.environ["CLEANCUT_RESULT_CACHE"] = f"{place}/results-{name}"
            with ExitStack() as stack:
                make(name, SHEETS[name], folder, stack)
    return 0


def make(name: str, sheet: Sheet, folder: Path, stack: ExitStack) -> None:
    """One recipe's picture; its commands must stand in the recipe."""
    page = (RECIPES / f"{sheet.recipe}.md").read_text("utf-8")
    for command in sheet.commands:
        assert command in page, f"{sheet.recipe}.md does not say: {command}"
    prepare = PREPARED.get(name)
    if prepare is not None:
        prepare(folder, stack)
    told = [(command, run(command, folder)) for command in sheet.commands]
    panels = [
        terminal(told) if panel == "$" else cropped(shown(folder, panel), sheet.part)
        for panel in sheet.panels
    ]
    target = RECIPES / "images" / f"{name}.webp"
    write_small(beside(panels), target)
    print(f"{target.name}: {target.stat().st_size} bytes")


def run(command: str, folder: Path) -> str:
    """What ``command`` prints, stdout and stderr together."""
    if command == "cleancut serve":
        return ""
    # Into a pipe curl would also draw its progress, which nobody sees at a terminal.
    words = command.replace("curl ", "curl -sS ", 1)
    for program in ("cleancut ", "| cleancut "):
        words = words.replace(program, program.replace("cleancut", f"{sys.executable} -m cleancut"))
    endless = "--watch" in command
    # `exec` hands the interrupt to the command itself, not to the shell around it.
    process = subprocess.Popen(
        f"exec {words}" if endless else words,
        shell=True,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if endless:
        while not list((folder / "archive").glob("cup.jpg")):
            time.sleep(0.5)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=600)
    if process.returncode not in (0, 130):
        raise SystemExit(f"{command}\n{told}")
    return told.replace(str(folder), "~").replace(str(folder.parent), "~").strip()


def terminal(told: list[tuple[str, str]]) -> Image.Image:
    """Commands and what they printed, as a terminal shows them."""
    lines: list[tuple[str, str]] = []
    for command, answer in told:
        for row in textwrap.wrap(f"$ {command}", COLUMNS, subsequent_indent="    "):
            lines.append((row, "#8bd5ca"))
        for line in answer.splitlines():
            rows = [line[i : i + COLUMNS] for i in range(0, len(line), COLUMNS)] or [""]
            lines += [(row, "#e6e6e6") for row in rows]
    face = font(15, "DejaVuSansMono")
    height = 20
    image = Image.new("RGB", (WIDTH_PX, 24 + height * len(lines)), "#1d2430")
    draw = ImageDraw.Draw(image)
    for number, (line, colour) in enumerate(lines):
        draw.text((16, 12 + height * number), line, font=face, fill=colour)
    return image


def shown(folder: Path, name: str) -> Image.Image:
    """A file as a picture: a frame of a video, a page in the browser, a cutout on squares."""
    if name.endswith(".html"):
        return page_shot((folder / name).as_uri())
    if name == "page":
        with Image.open(HERE / "images" / "page-compare.jpg") as shot:
            return shot.convert("RGB")
    if name.endswith(".rgb"):
        size = CLIP_SIZE[0] * CLIP_SIZE[1] * 3
        data = (folder / name).read_bytes()[12 * size : 13 * size]
        return Image.frombytes("RGB", CLIP_SIZE, data)
    if name.endswith(".mp4"):
        import av

        with av.open(str(folder / name)) as file:
            return [frame.to_image() for frame in file.decode(video=0)][12]
    with Image.open(folder / name) as picture:
        image = picture.convert("RGBA")
    page = checkerboard(*image.size)
    page.alpha_composite(image)
    return page.convert("RGB")


def page_shot(url: str) -> Image.Image:
    """A page in Chromium, as large as a small window."""
    from playwright.sync_api import sync_playwright
    from tests.page.conftest import ARGUMENTS, chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS])
        page = browser.new_page(viewport={"width": 1000, "height": 620})
        page.goto(url)
        page.wait_for_timeout(800)
        shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    return shot


def cropped(image: Image.Image, part: tuple[float, float, float, float]) -> Image.Image:
    """The share of ``image`` that is shown."""
    sides = (image.width, image.height) * 2
    return image.crop(tuple(round(share * side) for share, side in zip(part, sides, strict=True)))


def beside(panels: list[Image.Image]) -> Image.Image:
    """Panels of one height side by side, together as wide as the column of text."""
    room = WIDTH_PX - GAP_PX * (len(panels) - 1)
    height = round(room / sum(panel.width / panel.height for panel in panels))
    height = min(height, 460)
    scaled = [
        panel.resize((round(panel.width * height / panel.height), height), Image.Resampling.LANCZOS)
        for panel in panels
    ]
    width = sum(panel.width for panel in scaled) + GAP_PX * (len(scaled) - 1)
    sheet = Image.new("RGB", (width, height), "white")
    left = 0
    for panel in scaled:
        sheet.paste(panel, (left, 0))
        left += panel.width + GAP_PX
    return sheet


def write_small(image: Image.Image, target: Path) -> None:
    """As good a WebP as stays under the limit."""
    for quality in (88, 82, 75, 68, 60, 50):
        image.save(target, quality=quality, method=6)
        if target.stat().st_size < LIMIT_BYTES:
            return
    raise SystemExit(f"{target} cannot be made small enough")


def _bucket(folder: Path, stack: ExitStack) -> None:
    """A bucket on a store of this machine, with two pictures."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    stack.callback(server.stop)
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    system = s3fs.S3FileSystem()
    system.mkdir("shop")
    for name in ("cup.jpg", "cat.jpg"):
        system.put(str(folder / name), f"shop/in/{name}")


def _clients(folder: Path, _: ExitStack) -> None:
    run("cleancut keys add shop --requests-per-minute 120 --megapixels-per-day 5000", folder)


def _server(folder: Path, stack: ExitStack) -> None:
    """The server of the recipe, on the port that the recipe names."""
    from tests.server.process import Running, ended

    live = Running(folder.parent / "live", ("--model", "auto"), port=7000)
    stack.enter_context(ended(live))
    live.start()


def _anew(folder: Path, _: ExitStack) -> None:
    run("cleancut cache clear", folder)


def _alone(folder: Path, stack: ExitStack) -> None:
    """A machine on which nothing was pulled."""
    before = os.environ.get("CLEANCUT_HOME")
    os.environ["CLEANCUT_HOME"] = str(folder.parent / "empty")

    def restore() -> None:
        del os.environ["CLEANCUT_HOME"]
        if before is not None:
            os.environ["CLEANCUT_HOME"] = before

    stack.callback(restore)


PREPARED: dict[str, Callable[[Path, ExitStack], None]] = {
    "s3": _bucket,
    "keys": _clients,
    "jobs": _server,
    "cache": _anew,
    "offline": _alone,
}


if __name__ == "__main__":
    sys.exit(main())
