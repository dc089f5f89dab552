// @ts-check
/** Pixels to a network's input, its small matte to a large one, colours without the background. */

/** Mattes below this, and above its opposite, are taken for nothing and for everything. */
const SURE = 0.004;
/** Longer side in pixels at which edges are looked for; the network sees 320. */
const WORK_PX = 1024;
/** Colours nearer to each other than this (0..1, squared) are one colour. */
const EPSILON = 2e-4;

/**
 * RGBA bytes at another size, as interleaved RGB floats of 0..255: areas averaged where it
 * shrinks, bilinear where it grows. Transparent pixels keep the colours that they have.
 * @param {Uint8ClampedArray} pixels
 * @param {number} width @param {number} height
 * @param {number} w @param {number} h
 */
export function resized(pixels, width, height, w, h) {
  const out = new Float32Array(w * h * 3);
  const [across, down] = [spans(width, w), spans(height, h)];
  for (let y = 0; y < h; y++)
    for (let j = 0; j < down.count; j++) {
      const wy = down.weights[y * down.count + j];
      if (wy) addRow(pixels, (down.first[y] + j) * width, across, wy, out, y * w * 3, w);
    }
  return out;
}

/** One row of the source, as much as it counts, to one of the target. */
function addRow(pixels, row, { first, weights, count }, wy, out, to, w) {
  for (let x = 0; x < w; x++, to += 3) {
    let r = 0, g = 0, b = 0, at = (row + first[x]) * 4;
    for (let i = x * count; i < (x + 1) * count; i++, at += 4) {
      const weight = weights[i];
      if (weight === 0) break;
      r += pixels[at] * weight;
      g += pixels[at + 1] * weight;
      b += pixels[at + 2] * weight;
    }
    out[to] += r * wy;
    out[to + 1] += g * wy;
    out[to + 2] += b * wy;
  }
}

/**
 * For each of `target` pixels the first of `source` pixels that make it up, and `count` weights.
 * @param {number} source @param {number} target
 */
function spans(source, target) {
  const scale = source / target;
  const count = scale < 1 ? 2 : Math.ceil(scale) + 1;
  const first = new Int32Array(target), weights = new Float32Array(target * count);
  for (let i = 0; i < target; i++) {
    const [start, end] = [i * scale, (i + 1) * scale];
    if (scale < 1) {
      const at = Math.min(Math.max((i + 0.5) * scale - 0.5, 0), source - 1);
      first[i] = Math.floor(at);
      weights.set([1 - (at - first[i]), at - first[i]], i * 2);
      continue;
    }
    first[i] = Math.floor(start + 1e-9);
    for (let at = first[i]; at < Math.min(end - 1e-9, source); at++)
      weights[i * count + at - first[i]] = (Math.min(end, at + 1) - Math.max(start, at)) / scale;
  }
  return { first, weights, count };
}

/**
 * The network's input (1, 3, h, w), as its card says.
 * @param {Float32Array} rgb interleaved, 0..255, of the input's size
 * @param {{divide_by: string, mean: number[], std: number[]}} normalise
 */
export function planes(rgb, { divide_by, mean, std }) {
  const count = rgb.length / 3;
  let top = divide_by === "1" ? 1 : 255;
  if (divide_by === "max") top = rgb.reduce((most, value) => Math.max(most, value), 1e-3);
  const out = new Float32Array(rgb.length);
  for (let c = 0; c < 3; c++)
    // Rounded as the engine's small pictures are, which stay bytes.
    for (let i = 0; i < count; i++) out[c * count + i] = (rounded(rgb[i * 3 + c]) / top - mean[c]) / std[c];
  return out;
}

/** Halves to even, as OpenCV does: a step of 1/255 moves some pixels of a matte by a twentieth. */
function rounded(value) {
  const whole = Math.round(value);
  return whole - value === 0.5 && whole % 2 ? whole - 1 : whole;
}

/**
 * Mean over windows of (2r + 1) squared, cut off at the rim: running sums, rows then columns.
 * @param {Float32Array} plane @param {number} w @param {number} h @param {number} r
 */
export function box(plane, w, h, r) {
  return columnsOf(rowsOf(plane, w, h, r), w, h, r);
}

function rowsOf(plane, w, h, r) {
  const out = new Float32Array(plane.length);
  for (let y = 0; y < h; y++) {
    const row = y * w;
    let sum = 0;
    for (let x = 0; x < Math.min(r, w); x++) sum += plane[row + x];
    for (let x = 0; x < w; x++) {
      if (x + r < w) sum += plane[row + x + r];
      if (x - r - 1 >= 0) sum -= plane[row + x - r - 1];
      out[row + x] = sum / (Math.min(x + r, w - 1) - Math.max(x - r, 0) + 1);
    }
  }
  return out;
}

function columnsOf(plane, w, h, r) {
  const out = new Float32Array(plane.length);
  const sums = new Float64Array(w);
  for (let y = 0; y < Math.min(r, h); y++) for (let x = 0; x < w; x++) sums[x] += plane[y * w + x];
  for (let y = 0; y < h; y++) {
    const [into, from] = [(y + r) * w, (y - r - 1) * w];
    const count = Math.min(y + r, h - 1) - Math.max(y - r, 0) + 1;
    for (let x = 0; x < w; x++) {
      if (y + r < h) sums[x] += plane[into + x];
      if (from >= 0) sums[x] -= plane[from + x];
      out[y * w + x] = sums[x] / count;
    }
  }
  return out;
}

/** @param {Float32Array} plane @param {number} w @param {number} h @param {number} x @param {number} y */
function sampled(plane, w, h, x, y) {
  const x0 = Math.max(0, Math.min(w - 1, x)), y0 = Math.max(0, Math.min(h - 1, y));
  const left = Math.floor(x0), top = Math.floor(y0), fx = x0 - left, fy = y0 - top;
  const right = Math.min(left + 1, w - 1), down = Math.min(top + 1, h - 1);
  const above = plane[top * w + left] * (1 - fx) + plane[top * w + right] * fx;
  return above * (1 - fy) + (plane[down * w + left] * (1 - fx) + plane[down * w + right] * fx) * fy;
}

/** @param {Float32Array} plane @param {number} w0 @param {number} h0 @param {number} w @param {number} h */
function scaled(plane, w0, h0, w, h) {
  const out = new Float32Array(w * h);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++)
      out[y * w + x] = sampled(plane, w0, h0, ((x + 0.5) * w0) / w - 0.5, ((y + 0.5) * h0) / h - 0.5);
  return out;
}

/** Products of two planes. @param {Float32Array} a @param {Float32Array} b */
function times(a, b) {
  const out = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) out[i] = a[i] * b[i];
  return out;
}

/**
 * Around each pixel the matte as an affine function of colour: He and Sun, "Fast Guided Filter",
 * arXiv 1505.00996, with the three channels of colour.
 * @param {Float32Array[]} rgb 0..1 @param {Float32Array} alpha
 * @param {number} w @param {number} h @param {number} r
 * @returns {Float32Array[]} three factors and what is added
 */
function affine(rgb, alpha, w, h, r) {
  const mean = (plane) => box(plane, w, h, r);
  const mu = rgb.map(mean);
  const level = mean(alpha);
  const joint = rgb.map((plane) => mean(times(plane, alpha)));
  const pair = (i, j) => mean(times(rgb[i], rgb[j]));
  const [rr, rg, rb, gg, gb, bb] = [pair(0, 0), pair(0, 1), pair(0, 2), pair(1, 1), pair(1, 2), pair(2, 2)];
  const found = [0, 1, 2, 3].map(() => new Float32Array(w * h));
  for (let i = 0; i < w * h; i++) {
    const [x, y, z] = [mu[0][i], mu[1][i], mu[2][i]];
    const a = rr[i] - x * x + EPSILON, b = rg[i] - x * y, c = rb[i] - x * z;
    const d = gg[i] - y * y + EPSILON, e = gb[i] - y * z, f = bb[i] - z * z + EPSILON;
    const [p, q, s] = [joint[0][i] - x * level[i], joint[1][i] - y * level[i], joint[2][i] - z * level[i]];
    const [A, B, C] = [d * f - e * e, c * e - b * f, b * e - c * d];
    const over = 1 / (a * A + b * B + c * C);
    const k0 = (A * p + B * q + C * s) * over;
    const k1 = (B * p + (a * f - c * c) * q + (b * c - a * e) * s) * over;
    const k2 = (C * p + (b * c - a * e) * q + (a * d - b * b) * s) * over;
    found[0][i] = k0;
    found[1][i] = k1;
    found[2][i] = k2;
    found[3][i] = level[i] - k0 * x - k1 * y - k2 * z;
  }
  return found.map(mean);
}

/**
 * What subject and background look like around each pixel: means weighted by the matte.
 * @param {Float32Array[]} rgb @param {Float32Array} alpha
 * @param {number} w @param {number} h @param {number} r
 */
function surroundings(rgb, alpha, w, h, r) {
  const by = (weight) => {
    const total = box(weight, w, h, r);
    return rgb.map((plane) => {
      const sum = box(times(plane, weight), w, h, r);
      for (let i = 0; i < sum.length; i++) sum[i] /= total[i] + 1e-5;
      return sum;
    });
  };
  const sixth = (value) => (value * value * value) ** 2;
  const near = Float32Array.from(alpha), far = Float32Array.from(alpha);
  for (let i = 0; i < alpha.length; i++) {
    near[i] = sixth(alpha[i]);
    far[i] = sixth(1 - alpha[i]);
  }
  return { inside: by(near), outside: by(far) };
}

/**
 * The matte of a picture at its own size, and its colours freed of the old background, written
 * into `pixels`: only along edges, where the small matte wavers, is anything computed.
 * @param {Uint8ClampedArray} pixels RGBA, changed @param {number} width @param {number} height
 * @param {Float32Array} small @param {number} sw @param {number} sh
 */
export function cutOut(pixels, width, height, small, sw, sh) {
  const scale = Math.min(1, WORK_PX / Math.max(width, height));
  const w = Math.max(1, Math.round(width * scale)), h = Math.max(1, Math.round(height * scale));
  const guide = resized(pixels, width, height, w, h);
  const rgb = [0, 1, 2].map(() => new Float32Array(w * h));
  for (let i = 0; i < guide.length; i++) rgb[i % 3][(i / 3) | 0] = guide[i] / 255;
  const coarse = scaled(small, sw, sh, w, h);
  const r = Math.max(2, Math.round((1.5 * Math.max(w, h)) / Math.max(sw, sh)));
  const model = affine(rgb, coarse, w, h, r);
  const level = box(coarse, w, h, r);
  const fine = coarse.map((value, i) =>
    within(model[0][i] * rgb[0][i] + model[1][i] * rgb[1][i] + model[2][i] * rgb[2][i] + model[3][i]));
  const { inside, outside } = surroundings(rgb, fine, w, h, 3 * r);
  for (let y = 0; y < height; y++) {
    const v = ((y + 0.5) * h) / height - 0.5;
    const row = Math.min(h - 1, Math.floor(((y + 0.5) * h) / height)) * w;
    for (let x = 0; x < width; x++) {
      const u = ((x + 0.5) * w) / width - 0.5;
      const near = level[row + Math.min(w - 1, Math.floor(((x + 0.5) * w) / width))];
      const at = (y * width + x) * 4;
      if (near < SURE) pixels[at + 3] = 0;
      else if (near <= 1 - SURE) edge(pixels, at, (plane) => sampled(plane, w, h, u, v), model, inside, outside);
    }
  }
}

/** One pixel of an edge: its alpha, then the colour that explains it best (blur fusion). */
function edge(pixels, at, sample, model, inside, outside) {
  const colour = [pixels[at] / 255, pixels[at + 1] / 255, pixels[at + 2] / 255];
  let alpha = sample(model[3]);
  for (let c = 0; c < 3; c++) alpha += sample(model[c]) * colour[c];
  alpha = within((alpha - 0.02) / 0.96);
  pixels[at + 3] = Math.round(pixels[at + 3] * alpha);
  if (alpha === 0 || alpha === 1) return;
  for (let c = 0; c < 3; c++) {
    const [front, back] = [sample(inside[c]), sample(outside[c])];
    const left = colour[c] - alpha * front - (1 - alpha) * back;
    pixels[at + c] = Math.round(255 * within(front + alpha * left));
  }
}

/** @param {number} value */
const within = (value) => (value < 0 ? 0 : value > 1 ? 1 : value);
