"""Import one package in a fresh process and print what that loaded, as JSON; a script.

Runs under the interpreter of either side, so it imports nothing of the package by itself.
"""

from __future__ import annotations

import importlib
import json
import sys
import time


def third_party(before: set[str], after: set[str], package: str) -> list[str]:
    """Top-level modules that came with ``package``: not the standard library, not its own."""
    own = {package, "__main__", "__mp_main__"}
    tops = {name.partition(".")[0] for name in after} - {name.partition(".")[0] for name in before}
    return sorted(tops - own - set(sys.stdlib_module_names))


def main(package: str) -> None:
    """Print {"seconds", "modules"} of importing ``package``."""
    before = set(sys.modules)
    started = time.perf_counter()
    importlib.import_module(package)
    seconds = time.perf_counter() - started
    modules = third_party(before, set(sys.modules), package)
    print(json.dumps({"seconds": seconds, "modules": modules}))


if __name__ == "__main__":
    main(sys.argv[1])
