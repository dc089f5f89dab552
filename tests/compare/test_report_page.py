"""The page: self-contained, safe with hostile names, and saying what it must."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import cv2
import numpy as np

from cleancut.compare.dimensions import main_systems
from cleancut.compare.gallery import Exhibit, Gallery, Tile
from cleancut.compare.page import to_html
from cleancut.compare.tables import of_set, overview
from tests.compare.comparisons import HOSTILE, hostile, made_up, without_truth

#: Elements of HTML that have no end.
_VOID = {"meta", "img", "input", "br", "link", "hr"}


class Outline(HTMLParser):
    """What a browser would make of a page: tags, attributes, and whether everything is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID and not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def webp(value: int = 128) -> bytes:
    return cv2.imencode(".webp", np.full((8, 8, 4), value, np.uint8))[1].tobytes()


def small_gallery(name: str = "set/one", system: str = "modnet") -> Gallery:
    tile = Tile(system, webp(), webp(), webp(), {"mad": 3.25, "hair": 41.0})
    exhibit = Exhibit(
        name=name,
        group="people",
        why="systems differ most on it",
        size=(8, 8),
        whole=webp(),
        crop=webp(),
        truth_whole=webp(),
        truth_crop=webp(),
        tiles=(tile,),
        missing=("isnet",),
    )
    return Gallery((exhibit,), ("set/two: it is no picture",))


@cache
def usual() -> str:
    return to_html(made_up(), small_gallery())


def test_page_is_well_formed_and_loads_nothing_from_elsewhere() -> None:
    page = usual()
    outline = Outline(page)
    assert not outline.crossed
    assert not outline.open
    for tag, attributes in outline.tags:
        assert tag not in ("link", "iframe", "object", "embed")
        assert "style" not in attributes, f"the policy forbids a style on {tag}"
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/webp;base64,")), value


def test_policy_names_the_very_style_and_script_of_the_page() -> None:
    page = usual()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    for tag in ("style", "script"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert body
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1]


def test_hostile_names_stay_text() -> None:
    page = to_html(hostile(), small_gallery(HOSTILE, HOSTILE))
    outline = Outline(page)
    assert not outline.crossed
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert "<script>alert" not in page
    assert HOSTILE in "".join(outline.text)  # said, not lost


def test_ids_on_the_page_are_unique_and_every_link_has_its_target() -> None:
    outline = Outline(usual())
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"] for tag, a in outline.tags if tag == "a" and a.get("href")]
    assert {str(link)[1:] for link in links} <= set(ids)


def test_charts_and_pictures_say_their_message_in_words() -> None:
    outline = Outline(usual())
    drawings = [a for tag, a in outline.tags if tag == "svg"]
    assert len(drawings) > 8
    for attributes in drawings:
        assert attributes["role"] == "img"
        assert re.search(r"\d", attributes["aria-label"] or "")
    assert all(a.get("alt") for tag, a in outline.tags if tag == "img")


def test_everything_left_out_is_said() -> None:
    text = "".join(Outline(usual()).text)
    for system in made_up().systems:
        if system.reason:
            assert system.reason in text
    assert made_up().skipped[0] in text
    assert "set/two: it is no picture" in text
    assert "No answer: isnet" in text
    assert "interrupted" not in text


def test_an_interrupted_run_says_so() -> None:
    nothing = replace(made_up(), complete=False, systems=(), scores=(), speed=(), resources=())
    assert "was interrupted" in to_html(nothing)


def test_without_truth_the_page_shows_agreement_and_claims_no_accuracy() -> None:
    page = to_html(without_truth())
    assert "agreement" in page
    assert "scatter-all" not in page
    assert 'id="generality"' not in page


def test_an_empty_comparison_still_makes_a_page() -> None:
    nothing = replace(
        made_up(), systems=(), sets=(), scores=(), pictures=(), speed=(), resources=(),
        deployment=(), video=(), repeats=None, skipped=(), commands=(), software={},
    )  # fmt: skip
    outline = Outline(to_html(nothing))
    assert not outline.crossed
    assert "nothing measured fits" in "".join(outline.text)
    assert "nobody took part" in "".join(outline.text)


def test_best_of_a_column_is_marked_where_less_is_better_and_where_more_is() -> None:
    comparison = made_up()
    facts = next(one for one in comparison.sets if one.name == "davis_stills")
    made = of_set(comparison, facts)
    titles = [column.title for column in made.columns]
    for title in ("MAD", "IoU"):
        best = [row.system for row in made.rows if row.cells[titles.index(title)].best]
        assert best == ["auto"]
    assert "hair" not in titles, "a yes-or-no truth has no hair"


def test_means_over_different_sets_do_not_stand_side_by_side() -> None:
    comparison = made_up()
    fewer = tuple(s for s in comparison.scores if (s.system, s.set) != ("auto", "ccp_people"))
    made = overview(replace(comparison, scores=fewer))
    cells = {row.system: row.cells for row in made.rows}
    people = [column.title for column in made.columns].index("error, people")
    assert cells["auto"][people].text == "–"
    assert cells["modnet"][people].best


def test_what_a_cache_saved_is_shown_without_any_resources() -> None:
    assert "What a cache of results saves" in to_html(replace(made_up(), resources=()))


def test_other_tools_are_among_all_five_at_once() -> None:
    assert "rembg:u2netp" in {system.id for system in main_systems(made_up())}
    articles = [system for system in made_up().ran if not system.raw and system.kind == "ours"]
    assert len(articles) + 2 == len(main_systems(made_up()))


def test_a_set_says_that_edges_are_judged_on_fewer_pictures() -> None:
    notes = {facts.name: of_set(made_up(), facts).note for facts in made_up().sets}
    assert notes["composite_people"].endswith("over those of them that show such edges.")
    assert notes["ccp_people"].endswith("those that every system answered.")


def test_without_truth_the_page_says_where_an_answer_is() -> None:
    text = "".join(Outline(to_html(without_truth())).text)
    assert "have no true mattes: their figures say who is fast" in text
    assert "nothing measured fits" not in text, "said once is enough"
    assert "no true mattes" not in "".join(Outline(to_html(made_up())).text)


def test_agreement_is_explained_only_where_it_is_known() -> None:
    own = without_truth()
    assert "who stands alone" in to_html(own)
    few = replace(own, pictures=tuple(replace(row, agreement=None) for row in own.pictures))
    page = to_html(few)
    assert "who stands alone" not in page
    assert "needs four networks that differ" in page
