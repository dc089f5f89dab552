// @ts-check
/**
 * The soft rim of a brush: solved where the picture has an edge for it, a plain fall-off elsewhere.
 *
 * On an even surface every edge is as good as any other, and a solver follows the noise.
 */

/** Differences of colour (RGB, 0..441) across the rim: below, there is no edge; above, there is. */
const NO_EDGE = 24;
const EDGE = 60;
/** Colours under less alpha than this are not worth having, of 255. */
const HIDDEN = 12;

/**
 * Evens out the answer's rim in place.
 * @param {ImageData} answer what the server made of a part of the picture
 * @param {ImageData} original the same part
 * @param {Uint8Array} before its matte before the stroke
 * @param {Uint8Array} marks as `marksOf` gives them: 1..254 is the rim, by the brush's strength
 * @param {number} rim its width in pixels
 * @param {boolean} keeps whether the brush keeps or removes
 */
export function soften(answer, original, before, marks, rim, keeps) {
  const { width, height, data } = answer;
  const evidence = edges(original, Math.max(1, Math.round(rim / 2)));
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      const mark = marks[at];
      if (mark === 0 || mark === 255) continue;
      const share = mark / 254;
      const strength = share * share * (3 - 2 * share);
      const old = before[at];
      const plain = keeps ? old + (255 - old) * strength : old * (1 - strength);
      const trust = evidence(x, y);
      const to = at * 4;
      const solved = data[to + 3];
      if (solved < HIDDEN) data.set(original.data.subarray(to, to + 3), to);
      data[to + 3] = Math.round(solved * trust + plain * (1 - trust));
    }
  }
}

/** How surely there is an edge near a pixel, 0..1, from mean colours of cells of this side. */
function edges({ width, height, data }, side) {
  const columns = Math.ceil(width / side);
  const rows = Math.ceil(height / side);
  const sums = new Float32Array(columns * rows * 4);
  for (let y = 0, from = 0; y < height; y += 1) {
    const row = Math.floor(y / side) * columns;
    for (let x = 0; x < width; x += 1, from += 4) {
      const to = (row + Math.floor(x / side)) * 4;
      sums[to] += data[from];
      sums[to + 1] += data[from + 1];
      sums[to + 2] += data[from + 2];
      sums[to + 3] += 1;
    }
  }
  const cell = (x, y) => (clamp(y, rows) * columns + clamp(x, columns)) * 4;
  const apart = (one, other) => {
    let sum = 0;
    for (let c = 0; c < 3; c += 1) {
      sum += (sums[one + c] / sums[one + 3] - sums[other + c] / sums[other + 3]) ** 2;
    }
    return Math.sqrt(sum);
  };
  const steps = new Float32Array(columns * rows);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const across = apart(cell(x - 1, y), cell(x + 1, y));
      const down = apart(cell(x, y - 1), cell(x, y + 1));
      const share = (Math.max(across, down) - NO_EDGE) / (EDGE - NO_EDGE);
      steps[y * columns + x] = Math.min(1, Math.max(0, share));
    }
  }
  const near = largest(steps, columns, rows);
  const value = (x, y) => near[clamp(y, rows) * columns + clamp(x, columns)];
  return (px, py) => {
    const [x, y] = [(px + 0.5) / side - 0.5, (py + 0.5) / side - 0.5];
    const [left, top] = [Math.floor(x), Math.floor(y)];
    const [u, v] = [x - left, y - top];
    const above = value(left, top) * (1 - u) + value(left + 1, top) * u;
    const below = value(left, top + 1) * (1 - u) + value(left + 1, top + 1) * u;
    return above * (1 - v) + below * v;
  };
}

/** The largest of each cell and its neighbours: the whole rim at an edge belongs to it. */
function largest(steps, columns, rows) {
  const out = new Float32Array(steps.length);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      let most = 0;
      for (let dy = -1; dy <= 1; dy += 1) {
        for (let dx = -1; dx <= 1; dx += 1) {
          most = Math.max(most, steps[clamp(y + dy, rows) * columns + clamp(x + dx, columns)]);
        }
      }
      out[y * columns + x] = most;
    }
  }
  return out;
}

function clamp(value, count) {
  return Math.min(count - 1, Math.max(0, value));
}
