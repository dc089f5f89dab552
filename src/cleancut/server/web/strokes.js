// @ts-check
/** Strokes of a brush: their outlines, and the marks that the server reads. */

/**
 * @typedef {"keep" | "erase" | "edge"} Brush
 * @typedef {{brush: Brush, radius: number, softness: number, points: [number, number][]}} Stroke
 *   radius in pixels of the picture; softness 0..1 is the share of it that is solved, not decided
 * @typedef {{x: number, y: number, width: number, height: number}} Area whole pixels
 */

/** Marks: 0 says nothing, the core is the brush's own word, its soft rim says "solve this". */
const RIM = 1;
const CORE = 2;

const COLOURS = { keep: [0, 255, 0], erase: [255, 0, 0], edge: [0, 0, 255] };
/** A brush always decides something. */
const LEAST_CORE = 0.1;
/** The centre of the nearest pixel is never farther than this. */
const LEAST_RADIUS = 0.71;
/** Solved in one go up to this side; the rest of a longer stroke follows. */
const BLOCK = 1600;
/** The server sees so much around the marks, in pixels; nothing beyond has a say there. */
const MARGIN = 100;

/** The radius inside which a stroke decides. @param {Stroke} stroke */
export function coreRadius({ brush, radius, softness }) {
  return brush === "edge" ? radius : radius * Math.max(LEAST_CORE, 1 - softness);
}

/**
 * Where a stroke leaves marks, inside a picture of this size; null where it misses it.
 * @param {Stroke} stroke @param {number} width @param {number} height @returns {Area | null}
 */
export function boundsOf({ points, radius }, width, height) {
  const reach = Math.max(radius, LEAST_RADIUS);
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x);
    bottom = Math.max(bottom, y);
  }
  left = Math.max(0, Math.floor(left - reach));
  top = Math.max(0, Math.floor(top - reach));
  right = Math.min(width, Math.ceil(right + reach));
  bottom = Math.min(height, Math.ceil(bottom + reach));
  if (right <= left || bottom <= top) return null;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** An area in blocks that are solved one after the other. @param {Area} area @returns {Area[]} */
export function blocksOf(area) {
  const [columns, rows] = [Math.ceil(area.width / BLOCK), Math.ceil(area.height / BLOCK)];
  const [wide, high] = [Math.ceil(area.width / columns), Math.ceil(area.height / rows)];
  const blocks = [];
  for (let y = area.y; y < area.y + area.height; y += high) {
    for (let x = area.x; x < area.x + area.width; x += wide) {
      const width = Math.min(wide, area.x + area.width - x);
      blocks.push({ x, y, width, height: Math.min(high, area.y + area.height - y) });
    }
  }
  return blocks;
}

/**
 * A block with what the server should see around it.
 * @param {Area} block @param {number} width @param {number} height
 * @returns {Area}
 */
export function surroundings(block, width, height) {
  const x = Math.max(0, block.x - MARGIN);
  const y = Math.max(0, block.y - MARGIN);
  return {
    x,
    y,
    width: Math.min(width, block.x + block.width + MARGIN) - x,
    height: Math.min(height, block.y + block.height + MARGIN) - y,
  };
}

/**
 * The marks of a stroke in an area, a byte a pixel: 0, RIM or CORE.
 * @param {Stroke} stroke @param {Area} area @returns {Uint8Array}
 */
export function marksOf(stroke, area) {
  const marks = new Uint8Array(area.width * area.height);
  const radius = Math.max(stroke.radius, LEAST_RADIUS);
  const core = Math.max(coreRadius(stroke), LEAST_RADIUS);
  const points = simplified(stroke.points, radius / 50);
  points.forEach((to, index) => {
    const from = points[Math.max(0, index - 1)];
    if (index > 0 || points.length === 1) capsule(marks, area, from, to, radius, core);
  });
  return marks;
}

/** Marks what is no farther than `radius` from a line. */
function capsule(marks, area, [ax, ay], [bx, by], radius, core) {
  const left = Math.max(area.x, Math.floor(Math.min(ax, bx) - radius));
  const right = Math.min(area.x + area.width, Math.ceil(Math.max(ax, bx) + radius));
  const top = Math.max(area.y, Math.floor(Math.min(ay, by) - radius));
  const bottom = Math.min(area.y + area.height, Math.ceil(Math.max(ay, by) + radius));
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  for (let y = top; y < bottom; y += 1) {
    const py = y + 0.5 - ay;
    let at = (y - area.y) * area.width + left - area.x;
    for (let x = left; x < right; x += 1, at += 1) {
      if (marks[at] === CORE) continue;
      const px = x + 0.5 - ax;
      const share = length ? Math.max(0, Math.min(1, (px * dx + py * dy) / length)) : 0;
      const [qx, qy] = [px - share * dx, py - share * dy];
      const away = qx * qx + qy * qy;
      if (away <= core * core) marks[at] = CORE;
      else if (away < radius * radius) marks[at] = RIM;
    }
  }
}

/** Marks as the picture that the server reads, RGB. @returns {Uint8Array} */
export function scribblesOf(marks, brush) {
  const out = new Uint8Array(marks.length * 3);
  for (let at = 0; at < marks.length; at += 1) {
    if (marks[at]) out.set(marks[at] === CORE ? COLOURS[brush] : COLOURS.edge, at * 3);
  }
  return out;
}

/**
 * Fewer points on nearly the same line (Douglas and Peucker, 1973).
 * @param {[number, number][]} points @param {number} tolerance pixels
 */
function simplified(points, tolerance) {
  if (points.length < 3) return points;
  const keeps = new Uint8Array(points.length);
  keeps[0] = keeps[points.length - 1] = 1;
  const spans = [[0, points.length - 1]];
  while (spans.length) {
    const [first, last] = /** @type {number[]} */ (spans.pop());
    let [worst, far] = [0, tolerance];
    for (let at = first + 1; at < last; at += 1) {
      const away = distance(points[at], points[first], points[last]);
      if (away > far) [worst, far] = [at, away];
    }
    if (worst) {
      keeps[worst] = 1;
      spans.push([first, worst], [worst, last]);
    }
  }
  return points.filter((_, at) => keeps[at]);
}

function distance([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const share = length ? Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}

/**
 * Strokes a canvas path along a stroke, in the colour and mode that are set.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Stroke} stroke
 * @param {{scale: number, x: number, y: number}} view
 * @param {number} radius in pixels of the picture
 */
export function trace(ctx, { points }, { scale, x, y }, radius) {
  ctx.beginPath();
  ctx.lineWidth = Math.max(1, 2 * radius * scale);
  ctx.lineCap = ctx.lineJoin = "round";
  for (const [px, py] of points) ctx.lineTo(x + px * scale, y + py * scale);
  if (points.length === 1) ctx.lineTo(x + points[0][0] * scale + 0.01, y + points[0][1] * scale);
  ctx.stroke();
}
