"""Import one package in a fresh process and print what that loaded, as JSON; a script.

Runs under the interpreter of either side, so it imports nothing of the package by itself.
"""

from __future__ import annotations

import importlib
import json
import sys
import time


def third_party(before: set[str], package: str) -> list[str]:
    """Top-level modules loaded since ``before``: not the standard library's, not ``package``.

    Private names are left out: they are parts of packages that count already.
    """
    loaded = {
        name
        for name, module in sys.modules.copy().items()
        if "." not in name and name[0] != "_" and getattr(module, "__spec__", None) is not None
    }
    return sorted(loaded - before - {package} - sys.stdlib_module_names)


def main(package: str) -> None:
    """Print {"seconds", "modules"} of importing ``package``."""
    before = set(sys.modules)
    started = time.perf_counter()
    importlib.import_module(package)
    seconds = time.perf_counter() - started
    modules = third_party(before, package)
    print(json.dumps({"seconds": seconds, "modules": modules}))


if __name__ == "__main__":
    main(sys.argv[1])
