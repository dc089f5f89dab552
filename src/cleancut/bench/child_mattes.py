"""Cut a list of pictures with rembg in one process and keep the mattes; a script.

Runs under the peer's interpreter. ``jobs`` is a JSON file: a list of [picture, matte] paths. Beside
each matte stands a text file with the seconds that rembg took for it, decoding and encoding left
out; where a picture failed it holds the reason instead, and there is no matte.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(model: str, jobs: str) -> None:
    """Print {"done": pictures cut, "failed": pictures not cut}."""
    from PIL import Image

    from rembg import new_session, remove

    session = new_session(model)
    remove(Image.new("RGB", (64, 64)), session=session)  # the first one is slower
    done = failed = 0
    for picture, matte in json.loads(Path(jobs).read_text("utf-8")):
        target = Path(matte)
        try:
            with Image.open(picture) as opened:
                opened.load()
                started = time.perf_counter()
                cut = remove(opened, session=session)
                seconds = time.perf_counter() - started
        except Exception as error:  # one picture must not end the others
            target.with_suffix(".txt").write_text(f"{type(error).__name__}: {error}", "utf-8")
            failed += 1
            continue
        part = target.with_suffix(".part")
        cut.getchannel("A").save(part, format="png", compress_level=1)
        target.with_suffix(".txt").write_text(f"{seconds:.4f}", "utf-8")
        part.replace(target)
        done += 1
    print(json.dumps({"done": done, "failed": failed}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
