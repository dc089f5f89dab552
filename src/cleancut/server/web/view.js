/** Where the picture lies in the window: zoom and pan, in device pixels. */

const MOST = 64;
/** A picture can be pushed this far past the window's edge, so that its rim can be worked on. */
const SLACK = 64;
/** Steps of the + and - keys. */
const STEP = 1.5;

/** Emits "change" whenever what is seen has moved. */
export class View extends EventTarget {
  constructor() {
    super();
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    /** Size of the window in device pixels, and of the picture. */
    this.wide = 1;
    this.high = 1;
    this.width = 1;
    this.height = 1;
    this.fitted = true;
  }

  /** The window has this size now, in device pixels. */
  resize(wide, high) {
    if (wide === this.wide && high === this.high) return;
    const [x, y] = [(this.wide / 2 - this.x) / this.scale, (this.high / 2 - this.y) / this.scale];
    this.wide = Math.max(1, wide);
    this.high = Math.max(1, high);
    if (this.fitted) this.fit();
    else this.#move(this.scale, this.wide / 2 - x * this.scale, this.high / 2 - y * this.scale);
  }

  /** A picture of this size is shown; the view stays if it is the same size. */
  show(width, height) {
    if (width === this.width && height === this.height) return;
    this.width = width;
    this.height = height;
    this.fit();
  }

  /** The scale at which the whole picture is seen; small pictures are not blown up beyond 4. */
  get fitScale() {
    const pad = Math.min(48, this.wide * 0.08, this.high * 0.08);
    return Math.min((this.wide - pad) / this.width, (this.high - pad) / this.height, 4);
  }

  /** The whole picture. */
  fit() {
    this.#move(this.fitScale, 0, 0);
    this.fitted = true;
  }

  /** At this scale, with the point (x, y) of the window staying where it is. */
  zoomTo(scale, x = this.wide / 2, y = this.high / 2) {
    const wished = Math.min(Math.max(scale, Math.min(this.fitScale, 1) / 2), MOST);
    const share = wished / this.scale;
    this.fitted = false;
    this.#move(wished, x - (x - this.x) * share, y - (y - this.y) * share);
  }

  /** Closer by a factor, or farther. */
  zoomBy(factor, x, y) {
    this.zoomTo(this.scale * factor, x, y);
  }

  /** One step closer (1) or farther (-1). */
  step(direction) {
    this.zoomBy(STEP ** direction);
  }

  /** Moves the picture by so many device pixels. */
  pan(dx, dy) {
    this.fitted = false;
    this.#move(this.scale, this.x + dx, this.y + dy);
  }

  /** A point of the window, in pixels of the picture. @returns {[number, number]} */
  toPicture(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /** The picture's place in the window. */
  get box() {
    const left = Math.round(this.x);
    const top = Math.round(this.y);
    const right = Math.round(this.x + this.width * this.scale);
    const bottom = Math.round(this.y + this.height * this.scale);
    return { left, top, right, bottom, width: right - left, height: bottom - top };
  }

  #move(scale, x, y) {
    this.scale = scale;
    this.x = within(x, this.wide, this.width * scale);
    this.y = within(y, this.high, this.height * scale);
    this.dispatchEvent(new Event("change"));
  }
}

/** Keeps a side in the window: centred if it fits, else without a gap wider than the slack. */
function within(start, window, side) {
  if (side <= window) return (window - side) / 2;
  return Math.min(SLACK, Math.max(window - side - SLACK, start));
}
