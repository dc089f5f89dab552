"""Optional packages: ``with extra("video"): import av`` gives the module or the pip line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cleancut.errors import MissingDependency


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn an ImportError inside the block into ``MissingDependency`` with the exact pip line.

    ``name`` is the extra in ``pyproject.toml``. The import stays a real import statement, so type
    checkers and import linters see it.
    """
    try:
        yield
    except ImportError as error:
        package = error.name or str(error)
        raise MissingDependency(
            f"the package {package!r} is not installed",
            hint=f"run: pip install 'cleancut[{name}]'",
        ) from error
