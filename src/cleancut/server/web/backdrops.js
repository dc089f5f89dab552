// @ts-check
/** What the cutout stands on, as it will be in the download. */

/** Side of the squares of the chequerboard, in CSS pixels. */
const SQUARE = 8;
/** The server's own blur: this share of the longer side is one standard deviation. */
const BLUR = 0.02;
/** A blur of this standard deviation loses nothing when it is enlarged. */
const SIGMA = 3;
/** A soft pixel shows the subject too, and counts as background by its clearness to this power. */
const CLEAR_POWER = 6;
/** With less background than this around, colours come from farther away. */
const ENOUGH = 0.02;

/** Paints backgrounds, and keeps the ones that take time. */
export class Backdrops {
  /** @param {() => void} ready called when a photo can be painted */
  constructor(ready) {
    this.ready = ready;
    /** @type {{blob: Blob, image: ImageBitmap | null} | null} */
    this.photo = null;
    /** @type {{of: any, sheet: OffscreenCanvas} | null} */
    this.blur = null;
  }

  /**
   * @param {CanvasRenderingContext2D} ctx
   * @param {import("./view.js").View} view
   * @param {import("./settings.js").Background} background
   * @param {{original: import("./tiles.js").Tiles, cutout: import("./tiles.js").Tiles}} pictures
   */
  paint(ctx, view, background, pictures) {
    const { left, top, width, height } = view.box;
    ctx.imageSmoothingEnabled = true;
    if (background.kind === "colour") {
      ctx.fillStyle = background.value;
      ctx.fillRect(left, top, width, height);
    } else if (background.kind === "photo" && this.#photoOf(background.value)) {
      this.#cover(ctx, view.box, this.#photoOf(background.value));
    } else if (background.kind === "blur" && pictures.original) {
      ctx.drawImage(this.#blurOf(pictures), left, top, width, height);
    } else {
      paintChecker(ctx, view.box);
    }
  }

  /** The photo as it can be painted; null until it can. */
  #photoOf(blob) {
    if (this.photo?.blob !== blob) {
      const photo = { blob, image: null };
      this.photo = photo;
      createImageBitmap(blob).then(
        (image) => {
          /** @type {any} */ (photo).image = image;
          this.ready();
        },
        () => {},
      );
    }
    return this.photo?.image ?? null;
  }

  /** Scaled to cover the box, cut around its middle. */
  #cover(ctx, { left, top, width, height }, image) {
    const scale = Math.max(width / image.width, height / image.height);
    const [wide, high] = [width / scale, height / scale];
    const [x, y] = [(image.width - wide) / 2, (image.height - high) / 2];
    ctx.drawImage(image, x, y, wide, high, left, top, width, height);
  }

  #blurOf({ original, cutout }) {
    if (this.blur?.of !== cutout) this.blur = { of: cutout, sheet: blurred(original, cutout) };
    return this.blur.sheet;
  }
}

/**
 * The sign for "nothing here"; its squares do not grow with the picture.
 * @param {CanvasRenderingContext2D} ctx
 * @param {{left: number, top: number, width: number, height: number}} box
 */
export function paintChecker(ctx, { left, top, width, height }) {
  const side = Math.round(SQUARE * devicePixelRatio);
  const styles = getComputedStyle(/** @type {Element} */ (ctx.canvas));
  const tile = new OffscreenCanvas(2 * side, 2 * side);
  const pen = /** @type {any} */ (tile.getContext("2d"));
  pen.fillStyle = styles.color;
  pen.fillRect(0, 0, 2 * side, 2 * side);
  pen.fillStyle = styles.outlineColor;
  pen.fillRect(0, 0, side, side);
  pen.fillRect(side, side, side, side);
  ctx.save();
  ctx.fillStyle = /** @type {any} */ (ctx.createPattern(/** @type {any} */ (tile), "repeat"));
  ctx.translate(left, top);
  ctx.fillRect(0, 0, width, height);
  ctx.restore();
}

/**
 * The picture's own background out of focus, weighted so that the subject does not leak into it
 * (Knutsson and Westin, 1993); small, since a blur needs few pixels.
 */
function blurred(original, cutout) {
  const share = SIGMA / (BLUR * Math.max(original.width, original.height));
  const scale = Math.min(1, share);
  const wide = Math.max(1, Math.round(original.width * scale));
  const high = Math.max(1, Math.round(original.height * scale));
  const view = { scale: wide / original.width, x: 0, y: 0, wide, high };
  const [colours, matte] = [original, cutout].map((tiles) => {
    const pen = /** @type {any} */ (new OffscreenCanvas(wide, high).getContext("2d"));
    tiles.draw(pen, view);
    return pen.getImageData(0, 0, wide, high).data;
  });
  const layer = new Float32Array(wide * high * 4);
  for (let at = 0; at < layer.length; at += 4) {
    const weight = (1 - matte[at + 3] / 255) ** CLEAR_POWER + 1e-6;
    for (let c = 0; c < 3; c += 1) layer[at + c] = colours[at + c] * weight;
    layer[at + 3] = weight;
  }
  const near = gauss(layer, wide, high, SIGMA);
  const wider = [4, 16].map((times) => gauss(layer, wide, high, SIGMA * times));
  const out = new ImageData(wide, high);
  for (let at = 0; at < near.length; at += 4) {
    const from = [near, ...wider].find((blur) => blur[at + 3] > ENOUGH) ?? wider[1];
    for (let c = 0; c < 3; c += 1) out.data[at + c] = from[at + c] / from[at + 3];
    out.data[at + 3] = 255;
  }
  const sheet = new OffscreenCanvas(wide, high);
  /** @type {any} */ (sheet.getContext("2d")).putImageData(out, 0, 0);
  return sheet;
}

/** Three running means of each direction, which come near a Gaussian. */
function gauss(layer, wide, high, sigma) {
  const reach = Math.max(1, Math.round((Math.sqrt(4 * sigma * sigma + 1) - 1) / 2));
  let out = layer;
  for (let times = 0; times < 3; times += 1) {
    out = mean(out, wide, high, 4, wide * 4, reach);
    out = mean(out, high, wide, wide * 4, 4, reach);
  }
  return out;
}

/** Running mean along lines of `length` with this `step`, beginning every `next`. */
function mean(from, length, lines, step, next, reach) {
  const out = new Float32Array(from.length);
  const at = (index) => Math.min(length - 1, Math.max(0, index)) * step;
  for (let line = 0; line < lines; line += 1) {
    for (let c = 0; c < 4; c += 1) {
      const start = line * next + c;
      let sum = 0;
      for (let index = -reach; index <= reach; index += 1) sum += from[start + at(index)];
      for (let index = 0; index < length; index += 1) {
        out[start + index * step] = sum / (2 * reach + 1);
        sum += from[start + at(index + reach + 1)] - from[start + at(index - reach)];
      }
    }
  }
  return out;
}
