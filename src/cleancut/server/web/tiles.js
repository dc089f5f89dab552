/**
 * A picture in tiles, with halves of itself for the view from afar.
 *
 * One canvas of 50 megapixels is copied or uploaded as a whole after every change; a tile is not.
 */

const SIDE = 1024;
/** A picture is halved for the view from afar until it is this small. */
const SMALL = 256;
/** From this magnification on pixels are shown as squares. */
const PIXELS_FROM = 4;

/** Pixels of a picture (RGBA), drawn at any scale and changed in places. */
export class Tiles {
  /** @param {number} width @param {number} height in pixels */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.columns = Math.ceil(width / SIDE);
    this.rows = Math.ceil(height / SIDE);
    /** @type {CanvasRenderingContext2D[]} */
    this.tiles = [];
    for (let row = 0; row < this.rows; row += 1) {
      for (let column = 0; column < this.columns; column += 1) {
        const canvas = document.createElement("canvas");
        canvas.width = Math.min(SIDE, width - column * SIDE);
        canvas.height = Math.min(SIDE, height - row * SIDE);
        this.tiles.push(canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" }));
      }
    }
    /** @type {Tiles | null} */
    this.smaller = null;
  }

  /** The tiles of a decoded picture. @param {ImageBitmap} image @returns {Tiles} */
  static of(image) {
    const tiles = new Tiles(image.width, image.height);
    tiles.#each(0, 0, image.width, image.height, (ctx, x, y) => ctx.drawImage(image, -x, -y));
    return tiles;
  }

  /**
   * Draws what a view shows.
   * @param {CanvasRenderingContext2D} ctx
   * @param {{scale: number, x: number, y: number, wide: number, high: number}} view
   */
  draw(ctx, { scale, x, y, wide, high }) {
    const half = scale <= 0.5 ? this.half() : null;
    if (half) {
      half.draw(ctx, { scale: scale * 2, x, y, wide, high });
      return;
    }
    ctx.imageSmoothingEnabled = scale < PIXELS_FROM;
    ctx.imageSmoothingQuality = "low";
    this.tiles.forEach((tile, index) => {
      const column = index % this.columns;
      const row = Math.floor(index / this.columns);
      const left = Math.round(x + column * SIDE * scale);
      const top = Math.round(y + row * SIDE * scale);
      const right = Math.round(x + (column * SIDE + tile.canvas.width) * scale);
      const bottom = Math.round(y + (row * SIDE + tile.canvas.height) * scale);
      if (right > 0 && bottom > 0 && left < wide && top < high) {
        ctx.drawImage(tile.canvas, left, top, right - left, bottom - top);
      }
    });
  }

  /** The same picture at half its size; null when it is small already. @returns {Tiles | null} */
  half() {
    if (!this.smaller && Math.min(this.width, this.height) > SMALL) {
      this.smaller = new Tiles(Math.ceil(this.width / 2), Math.ceil(this.height / 2));
      this.#halve(0, 0, this.width, this.height);
    }
    return this.smaller;
  }

  /** The smallest of its halves, for work that needs no detail. @returns {Tiles} */
  smallest() {
    return this.half()?.smallest() ?? this;
  }

  /** Pixels of a rectangle inside the picture. @returns {ImageData} */
  read(x, y, width, height) {
    if (this.tiles.length === 1) return this.tiles[0].getImageData(x, y, width, height);
    const out = new ImageData(width, height);
    this.#each(x, y, width, height, (tile, left, top) => {
      const x0 = Math.max(x, left);
      const y0 = Math.max(y, top);
      const wide = Math.min(x + width, left + tile.canvas.width) - x0;
      const high = Math.min(y + height, top + tile.canvas.height) - y0;
      const part = tile.getImageData(x0 - left, y0 - top, wide, high);
      for (let row = 0; row < high; row += 1) {
        const line = part.data.subarray(row * wide * 4, (row + 1) * wide * 4);
        out.data.set(line, ((y0 - y + row) * width + x0 - x) * 4);
      }
    });
    return out;
  }

  /**
   * Puts pixels in the place of others; `refresh` has to follow for the views from afar.
   * @param {number} x @param {number} y @param {ImageData} pixels
   */
  write(x, y, pixels) {
    this.#each(x, y, pixels.width, pixels.height, (tile, left, top) => {
      tile.putImageData(pixels, x - left, y - top);
    });
  }

  /** Brings the smaller copies up to date in one place. @param {import("./strokes.js").Area} area */
  refresh({ x, y, width, height }) {
    this.#halve(x, y, width, height);
  }

  /** The alpha of every pixel, row by row. @returns {Uint8Array} */
  alpha() {
    const plane = new Uint8Array(this.width * this.height);
    this.#each(0, 0, this.width, this.height, (tile, left, top) => {
      const { width, height } = tile.canvas;
      const { data } = tile.getImageData(0, 0, width, height);
      for (let row = 0; row < height; row += 1) {
        let to = (top + row) * this.width + left;
        let from = row * width * 4 + 3;
        for (let column = 0; column < width; column += 1, to += 1, from += 4) plane[to] = data[from];
      }
    });
    return plane;
  }

  /** Gives its memory back now instead of some time. */
  release() {
    for (const tile of this.tiles) tile.canvas.width = 0;
    this.smaller?.release();
  }

  /** Calls `work(tile, left, top)` for each tile that a rectangle touches. */
  #each(x, y, width, height, work) {
    const right = Math.min(this.columns, Math.ceil((x + width) / SIDE));
    const bottom = Math.min(this.rows, Math.ceil((y + height) / SIDE));
    for (let row = Math.floor(y / SIDE); row < bottom; row += 1) {
      for (let column = Math.floor(x / SIDE); column < right; column += 1) {
        work(this.tiles[row * this.columns + column], column * SIDE, row * SIDE);
      }
    }
  }

  /** Brings the smaller picture up to date in one place. */
  #halve(x, y, width, height) {
    const small = this.smaller;
    if (!small) return;
    const left = Math.floor(x / 2);
    const top = Math.floor(y / 2);
    const wide = Math.min(small.width, Math.ceil((x + width) / 2)) - left;
    const high = Math.min(small.height, Math.ceil((y + height) / 2)) - top;
    this.#each(left * 2, top * 2, wide * 2, high * 2, (tile, tileLeft, tileTop) => {
      const x0 = Math.max(left * 2, tileLeft) - tileLeft;
      const y0 = Math.max(top * 2, tileTop) - tileTop;
      const w = Math.min((left + wide) * 2 - tileLeft, tile.canvas.width) - x0;
      const h = Math.min((top + high) * 2 - tileTop, tile.canvas.height) - y0;
      const [toX, toY] = [(tileLeft + x0) / 2, (tileTop + y0) / 2];
      small.#each(toX, toY, Math.ceil(w / 2), Math.ceil(h / 2), (target, targetX, targetY) => {
        target.imageSmoothingEnabled = true;
        target.clearRect(toX - targetX, toY - targetY, Math.ceil(w / 2), Math.ceil(h / 2));
        target.drawImage(tile.canvas, x0, y0, w, h, toX - targetX, toY - targetY, w / 2, h / 2);
      });
    });
    small.#halve(left, top, wide, high);
  }
}
