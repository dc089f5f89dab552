"""What a click or a scribble is meant to change: the wrong object that it lies on, as a whole.

Each mark is followed along the paths of a picture divided into cells (``matting.cells``), against
the cells that the network is sure of. How likely a cell belongs to what was marked is a logistic
decision on 15 features, fitted to simulated clicks on the errors of three networks and tried on
pictures that it was not fitted to; docs/guidance.md has the figures. Of the nested regions around
a mark that one is changed for which there is the most evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb, full_scale
from cleancut.matting.cells import FAR, cells_of, lowest_pass, shortest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb
    from cleancut.matting.cells import Cells, Floats, Mask

#: Every path costs at least this a cell, so that distance counts where nothing else does.
COLOUR_FLOOR, ALPHA_FLOOR = 0.1, 0.005
#: Beside a mark colours are not evidence for the other side: this many times its depth.
NEAR = 1.5
#: Cells this far (in depths of the mark), this deep (of the deepest) and of the same label as the
#: mark's surroundings are what the mark does not mean.
ANCHOR_FAR, ANCHOR_DEEP = 3.0, 0.6
#: Width of a colour, in CIELAB units.
COLOUR_SIGMA = 8.0
#: Cells past this alpha (or below its complement) are already as the mark wants them.
DONE = 0.8
#: The logistic decision: what each feature adds to the log odds of a cell being meant.
WEIGHTS = {
    "colour_path": 0.575,  # from the mark, by least change of colour
    "colour_pass": 1.866,  # largest change of colour that cannot be avoided on the way
    "alpha_path": 0.446,
    "edge_pass": -2.943,  # largest edge of colour and matte that cannot be avoided
    "unlike": -0.297,  # in colour, from the cells under the mark
    "other_alpha": -1.090,
    "need": 9.764,  # how much alpha would have to change
    "need_squared": -10.190,
    "away": -0.138,  # in depths of the mark
    "likely": 1.330,  # by colour, among cells as wanted against the rest
    "neck": -0.296,  # width of the widest way to the mark
    "depth": -0.592,
    "nearer_rival": -3.401,  # share of the way to what the mark does not mean
    "mark_need": -0.390,
    "one": 2.225,
}
#: No single cell counts more than this for or against a region, in log odds.
MOST_ODDS = 3.0
#: Log odds at which nested regions are cut out.
LEVELS = np.arange(-2, 2.01, 0.5)
#: A stroke shows by itself how far it goes: its odds are lower by this, times the log of its cells.
STROKE_ODDS = 0.2
#: Where the evidence speaks for nothing but the mark, the even area around it is taken if the step
#: at its rim (10 CIELAB, or half the range of alpha) is this large and this many times the largest
#: one inside, which counts as at least ``EVEN``, and if it is no more than this of the picture.
RIM_STEP, RIM_RATIO, EVEN, MOST_SHARE = 1.0, 3.0, 0.3, 0.5
#: Holes in a region are filled up to this share of it.
MOST_HOLES = 0.2
#: A click to remove one of several separate pieces means the whole piece, if at least this share
#: of the subject is left without it.
LEAST_REST = 0.65
#: More separate marks of one kind than this are followed as one.
MOST_MARKS = 16
#: Edges of a changed region are placed at this size (longer side, pixels), within this distance;
#: soft rims beside what is done are as wide as this.
EDGE_SIDE_PX, EDGE_PX, RIM_PX = 800, 5, 3
#: Contrast across an edge below which its place is left to the cells, in units of full scale.
EDGE_CONTRAST = 0.08


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One click or stroke: the cells under it, its small pixels, and whether it says keep."""

    cells: Mask
    pixels: Mask
    keep: bool


def follow(rgb: Rgb, alpha: Alpha, keep: Mask, remove: Mask) -> Alpha:
    """``alpha`` with what the marks lie on brought back (``keep``) or taken out (``remove``).

    All (H, W) but ``rgb``; marks are True where the user drew. Whole objects change, up to their
    edges; where no mark reaches, the result is ``alpha`` to the bit. Raises ``BadArray``.
    """
    check_rgb(rgb)
    check_alpha(alpha)
    result = alpha.copy()
    if not (keep.any() or remove.any()):
        return result
    cells = cells_of(rgb, alpha)
    for target, region in zip((1.0, 0.0), _regions(cells, keep, remove), strict=True):
        if region.any():
            _blend(result, rgb, alpha, region[cells.ids], np.float32(target))
    return result


def _regions(cells: Cells, keep: Mask, remove: Mask) -> tuple[Mask, Mask]:
    """The cells (N) to bring back and those to take out."""
    small_keep, small_remove = _shrunk(keep, cells), _shrunk(remove, cells)
    changes, distances = [], []
    for pixels, other, keeps in (
        (small_keep, small_remove, True),
        (small_remove, small_keep, False),
    ):
        region = np.zeros(cells.count, np.bool_)
        under = _cells_under(cells, pixels)
        for mark in _marks(cells, pixels, keeps):
            region |= changed_by(cells, mark, _cells_under(cells, other))
        changes.append(region)
        steps = np.stack([cells.colour_step + 2 * cells.alpha_step + COLOUR_FLOOR])
        distances.append(shortest(cells, steps, under)[0])
    # A cell that is nearer to a mark of the other kind follows that one.
    return changes[0] & (distances[0] < distances[1]), changes[1] & (distances[1] < distances[0])


def _shrunk(mask: Mask, cells: Cells) -> Mask:
    small = np.zeros(cells.ids.shape, np.bool_)
    y, x = np.nonzero(mask)[:2]
    height, width = mask.shape
    rows, columns = cells.matte.shape
    small[(2 * y + 1) * rows // (2 * height), (2 * x + 1) * columns // (2 * width)] = True
    return small


def _cells_under(cells: Cells, pixels: Mask) -> Mask:
    under = np.zeros(cells.count, np.bool_)
    under[cells.ids[pixels]] = True
    return under


def _marks(cells: Cells, pixels: Mask, keep: bool) -> list[Mark]:
    """The separate marks, as far as they lie on something that is not as they want it."""
    count, labels = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=8)
    want = cells.alpha if keep else 1 - cells.alpha
    marks = []
    for number in range(1, min(count, MOST_MARKS + 1)):
        last = number == MOST_MARKS
        own = labels >= number if last else labels == number
        wrong = own & (want < 0.5)[cells.ids]
        if wrong.any():
            marks.append(Mark(_cells_under(cells, wrong), wrong, keep))
    return marks


def changed_by(cells: Cells, mark: Mark, others: Mask | None = None) -> Mask:
    """(N,) the cells that ``mark`` means; ``others`` are cells under marks of the other kind."""
    columns, possible = features(cells, mark, others)
    length = int(mark.cells.sum())
    odds = columns @ np.array(list(WEIGHTS.values()), np.float32) - STROKE_ODDS * np.log(length)
    odds = np.where(possible, odds, -2 * MOST_ODDS)
    evidence = np.clip(odds, -MOST_ODDS, MOST_ODDS) * cells.size
    best, most = mark.cells, float(evidence[mark.cells].sum())
    for level in LEVELS:
        region = _connected(cells, (odds > level) | mark.cells, mark.cells)
        total = float(evidence[region].sum())
        if total > most:
            best, most = region, total
    if not mark.keep and (island := _island(cells, mark)) is not None:
        return _filled(cells, best | island, possible)
    if most < 0 or not (best & ~mark.cells).any():
        return _even_area(cells, mark, possible)
    return _filled(cells, best, possible)


def _island(cells: Cells, mark: Mark) -> Mask | None:
    """The piece of the subject under ``mark``, where other pieces are left; None otherwise.

    Whoever clicks on one of several separate things means that thing, however sure a network is.
    """
    kept = cells.alpha >= 0.5
    if not (kept & mark.cells).any():
        return None
    piece = _connected(cells, kept, mark.cells)
    total, own = cells.size[kept].sum(), cells.size[piece & kept].sum()
    return piece if total - own >= LEAST_REST * total else None


def _filled(cells: Cells, region: Mask, possible: Mask) -> Mask:
    """``region`` with the holes in it, if they are small beside it."""
    frame = np.zeros(cells.count, np.bool_)
    for line in (cells.ids[0], cells.ids[-1], cells.ids[:, 0], cells.ids[:, -1]):
        frame[line] = True
    outside = _connected(cells, ~region, ~region & (frame | ~possible))
    holes = ~region & ~outside
    small = cells.size[holes].sum() <= MOST_HOLES * cells.size[region].sum()
    return region | holes if small else region


def _even_area(cells: Cells, mark: Mark, possible: Mask) -> Mask:
    """The cells around ``mark`` that a step of colour or matte sets off from all others."""
    steps = (cells.colour_step + 2 * cells.alpha_step)[None]
    height = lowest_pass(cells, steps, mark.cells)[0]
    order = np.flatnonzero(height < FAR)
    order = order[np.argsort(height[order], kind="stable")]
    below, above = height[order[:-1]], height[order[1:]]
    share = np.cumsum(cells.size[order[:-1]]) / cells.ids.size
    ratio = above / (below + EVEN) * ((above >= RIM_STEP) & (share <= MOST_SHARE))
    if ratio.size == 0 or ratio.max() < RIM_RATIO:
        return mark.cells
    region: Mask = mark.cells | (possible & (height <= below[ratio.argmax()]))
    return region


def _connected(cells: Cells, allowed: Mask, start: Mask) -> Mask:
    reached = np.append(start, False)
    while True:
        grown = reached.copy()
        grown[:-1] |= allowed & reached[cells.neighbours].any(axis=0)
        if np.array_equal(grown, reached):
            return reached[:-1]
        reached = grown


def features(cells: Cells, mark: Mark, others: Mask | None = None) -> tuple[Floats, Mask]:
    """(N, 15) features, as in ``WEIGHTS``, and which cells the mark could change at all.

    ``others`` are cells under marks of the other kind.
    """
    want = cells.alpha if mark.keep else 1 - cells.alpha  # 1: as the mark wants it already
    current = want < 0.5
    under = np.flatnonzero(mark.cells)
    colour = cells.colour_step
    both = colour + 2 * cells.alpha_step
    steps = np.stack([colour + COLOUR_FLOOR, cells.alpha_step + ALPHA_FLOOR])
    length = shortest(cells, steps, mark.cells)
    deep = np.append(np.where(current, cells.cell_depth, 0), np.float32(0))
    passage = np.minimum(deep[cells.neighbours], deep[:-1])
    narrow = np.where(cells.neighbours == cells.count, FAR, 1e3 - passage).astype(np.float32)
    highest = lowest_pass(cells, np.stack([colour, both, narrow]), mark.cells)
    depth = max(2.0, float(cells.depth[mark.pixels].max()))
    away = _distance(cells, mark)
    neck = np.clip(1e3 - highest[2], 0, 1e3) / np.maximum(1, np.minimum(depth, cells.cell_depth))
    neck[mark.cells] = 3
    unlike = np.linalg.norm(cells.lab[:, None] - cells.lab[under][None], axis=2).min(axis=1) / 10
    likely = _likelihood(cells, want, away > NEAR * depth)
    rival = current & (away > ANCHOR_FAR * depth)
    rival &= cells.cell_depth >= ANCHOR_DEEP * cells.cell_depth[current].max(initial=0)
    if others is not None:
        rival = (rival | others) & ~mark.cells
    nearer = np.full(cells.count, 0.3, np.float32)
    if rival.any():
        toward = shortest(cells, steps[:1], rival)[0]
        nearer = length[0] / (length[0] + toward + 0.1)
    level, need = float(cells.alpha[under].mean()), 1 - want
    columns = {
        "colour_path": np.log1p(length[0]),
        "colour_pass": np.log1p(highest[0]),
        "alpha_path": np.log1p(5 * np.minimum(length[1], 50)),
        "edge_pass": np.log1p(highest[1]),
        "unlike": np.log1p(unlike),
        "other_alpha": np.abs(cells.alpha - level),
        "need": need,
        "need_squared": need**2,
        "away": np.log1p(away / depth),
        "likely": likely / 3,
        "neck": np.clip(neck, 0, 3),
        "depth": np.log1p(cells.cell_depth) / 3,
        "nearer_rival": nearer,
        "mark_need": np.full(cells.count, 1 - float(want[under].mean())),
        "one": np.ones(cells.count),
    }
    stacked = np.stack([columns[name] for name in WEIGHTS], axis=1).astype(np.float32)
    return stacked, (want < DONE) | mark.cells


def _distance(cells: Cells, mark: Mark) -> Floats:
    """(N,) small pixels between each cell's middle and the mark."""
    spots = np.argwhere(mark.pixels)
    if len(spots) > 24:
        spots = spots[np.linspace(0, len(spots) - 1, 24).astype(int)]
    apart = np.linalg.norm(cells.place[:, None] - spots[None].astype(np.float32), axis=2)
    nearest: Floats = apart.min(axis=1)
    return nearest


def _likelihood(cells: Cells, want: Floats, far: Mask) -> Floats:
    """(N,) log of how much likelier a colour is among cells as wanted than among the rest."""
    square = (cells.lab**2).sum(axis=1)
    apart = square[:, None] + square[None] - 2 * cells.lab @ cells.lab.T
    alike = np.exp(-np.maximum(apart, 0) / (2 * COLOUR_SIGMA**2))
    wanted = cells.size * want * (want > 0.8)
    unwanted = cells.size * (1 - want) * (want < 0.2) * far
    ratio = np.zeros(cells.count, np.float32)
    for sign, weight in ((1, wanted), (-1, unwanted)):
        total = float(weight.sum())
        ratio += sign * np.log((alike @ weight + 1e-3 * total + 1) / (total + 100))
    return np.clip(ratio, -5, 5)


def _blend(result: Alpha, rgb: Rgb, alpha: Alpha, region: Mask, target: np.float32) -> None:
    """Move ``result`` towards ``target`` inside ``region`` (small pixels), up to its edges."""
    height, width = alpha.shape
    scale = min(1.0, EDGE_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    view = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    view = np.nan_to_num(view / np.float32(full_scale(rgb)))
    coarse: Floats = np.asarray(cv2.resize(region.astype(np.float32), size), np.float32)
    share = _snapped(view, coarse)
    # Over the soft rim, into what is as wanted already: nothing of the old edge stays between.
    done = np.abs(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) - target) < 1 - DONE
    rim = cv2.dilate(done.astype(np.uint8), _disc(RIM_PX)) > 0
    share = np.where(rim, np.maximum(share, cv2.dilate(share, _disc(EDGE_PX))), share)
    full = np.clip(cv2.resize(share, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    result += full * (target - result)


def _disc(radius: int) -> NDArray[np.uint8]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return disc.astype(np.uint8)


def _snapped(view: Floats, coarse: Floats) -> Floats:
    """``coarse`` (h, w) with its border moved to where the colours of the two sides meet.

    Within ``EDGE_PX`` of the border each pixel is un-mixed between the mean colours on either side
    nearby; where these are alike the border stays.
    """
    inside = (coarse >= 0.5).astype(np.uint8)
    sure_in, sure_out = (cv2.erode(side, _disc(EDGE_PX)) for side in (inside, 1 - inside))
    window = (6 * EDGE_PX + 1,) * 2

    def mean(mask: Floats) -> tuple[Floats, Floats]:
        weight = np.asarray(cv2.boxFilter(mask, -1, window, normalize=False), np.float32)
        total = cv2.boxFilter(view * mask[..., None], -1, window, normalize=False)
        return np.asarray(total / np.maximum(weight, 1e-3)[..., None], np.float32), weight

    near, near_weight = mean(sure_in.astype(np.float32))
    far, far_weight = mean(sure_out.astype(np.float32))
    axis = near - far
    contrast = (axis**2).sum(axis=2)
    share = ((view - far) * axis).sum(axis=2) / np.maximum(contrast, 1e-6)
    trust = contrast / (contrast + np.float32(EDGE_CONTRAST**2))
    trust *= (near_weight >= 4) & (far_weight >= 4)
    soft = cv2.GaussianBlur(coarse, (0, 0), 1.0)
    mixed = trust * np.clip(1.25 * (share - 0.5) + 0.5, 0, 1) + (1 - trust) * soft
    return np.where(sure_in > 0, 1, np.where(sure_out > 0, 0, mixed)).astype(np.float32)
