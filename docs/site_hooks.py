"""What MkDocs is told beyond ``mkdocs.yml``: links into the repository, a site map per language."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_OUTSIDE = re.compile(r"\]\((\.\./[^)#\s]*)")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Links that lead out of ``docs/`` go to the repository; those within stay as they are."""
    docs = Path(config.docs_dir).resolve()
    here = (docs / page.file.src_uri).parent

    def outward(match: re.Match[str]) -> str:
        target = (here / match[1]).resolve()
        if target.is_relative_to(docs) or not target.exists():
            return match[0]
        path = target.relative_to(docs.parent).as_posix()
        return f"]({config.extra['repository']}/blob/main/{path}"

    return _OUTSIDE.sub(outward, markdown)


def on_post_build(*, config: MkDocsConfig) -> None:
    """A site map for every language: the theme asks for it on each page."""
    site = Path(config.site_dir)
    for language in config.extra["alternate"]:
        beside = (site / language["link"]).parent / "sitemap.xml"
        if beside.parent != site:
            shutil.copy(site / "sitemap.xml", beside)
