// @ts-check
/** What the user has chosen, kept between visits; and the API's fields that it means. */

/**
 * @typedef {{kind: "checker" | "colour" | "photo" | "blur", value: any}} Background
 * `model` is "" for the one that the server takes by itself.
 * @typedef {{model: string, edge: "sharp" | "natural" | "soft", hair: boolean, clean: boolean,
 *   largest: boolean, holes: boolean, shadow: "none" | "keep" | "drop", background: Background,
 *   crop: boolean, margin: number, preset: string, canvas: string, head: string, sheet: string,
 *   format: string, quality: number, theme: string}} Values
 */

const KEPT = "cleancut.settings";
const VERSION = 1;

/** @type {Values} */
const DEFAULTS = {
  model: "",
  edge: "natural",
  hair: false,
  clean: true,
  largest: false,
  holes: false,
  shadow: "none",
  background: { kind: "checker", value: null },
  crop: false,
  margin: 5,
  preset: "",
  canvas: "",
  head: "",
  sheet: "",
  format: "png",
  quality: 90,
  theme: "auto",
};

/** What may be in each field; a kept value that fails is forgotten. */
const VALID = {
  model: short,
  edge: (value) => ["sharp", "natural", "soft"].includes(value),
  hair: flag,
  clean: flag,
  largest: flag,
  holes: flag,
  shadow: (value) => ["none", "keep", "drop"].includes(value),
  background: (value) =>
    value?.kind === "checker" ||
    value?.kind === "blur" ||
    (value?.kind === "colour" && /^#[0-9a-f]{6}$/i.test(value.value)) ||
    (value?.kind === "photo" && value.value instanceof Blob),
  crop: flag,
  margin: (value) => Number.isFinite(value) && value >= 0 && value <= 100,
  preset: short,
  canvas: short,
  head: short,
  sheet: short,
  format: short,
  quality: (value) => Number.isInteger(value) && value >= 1 && value <= 100,
  theme: (value) => ["auto", "light", "dark"].includes(value),
};

/** What the edge's words mean to the server. */
const EDGES = {
  natural: {},
  sharp: { threshold: "0.5", shrink: "0.5", feather: "1" },
  soft: { feather: "1%" },
};

/** The settings; each is read as a property. Fires "change" with `detail.names`. */
class Settings extends EventTarget {
  /** @type {Values} */
  #values = { ...DEFAULTS, ...kept() };

  constructor() {
    super();
    for (const name of Object.keys(DEFAULTS)) {
      Object.defineProperty(this, name, { enumerable: true, get: () => this.#values[name] });
    }
  }

  /** A copy of all values. @returns {Values} */
  get all() {
    return { ...this.#values };
  }

  /** @param {Partial<Values>} values */
  set(values) {
    const names = Object.keys(values).filter(
      (name) => VALID[name]?.(values[name]) && !same(values[name], this.#values[name]),
    );
    if (!names.length) return;
    for (const name of names) this.#values[name] = values[name];
    keep(this.#values);
    this.dispatchEvent(new CustomEvent("change", { detail: { names } }));
  }

  /** Back to how the page came. */
  reset() {
    this.set({ ...DEFAULTS, theme: this.#values.theme });
  }
}

/** @type {Settings & Values} */
export const settings = /** @type {any} */ (new Settings());

/**
 * The fields that the cutout is made with: what changes the matte and its colours.
 * @param {Values} chosen
 * @returns {Record<string, string>}
 */
export function cutFields(chosen) {
  /** @type {Record<string, string>} */
  const fields = { ...EDGES[chosen.edge] };
  if (chosen.model) fields.model = chosen.model;
  if (chosen.hair) fields.refine = "best";
  if (!chosen.clean) fields.decontaminate = "false";
  if (chosen.largest) fields.keep_largest = "true";
  if (chosen.holes) fields.fill_holes = "true";
  if (chosen.shadow !== "none") fields.shadow = chosen.shadow;
  return fields;
}

/**
 * The fields that a download is made with. The user's own photo is not among them: it is the file
 * `background_image`.
 * @param {Values} chosen
 * @param {string} [format]
 * @returns {Record<string, string>}
 */
export function finalFields(chosen, format = chosen.format) {
  const fields = { ...framing.get(chosen.preset), ...cutFields(chosen), format };
  if (LOSSY.has(format)) fields.quality = String(chosen.quality);
  for (const name of ["canvas", "head", "sheet"]) if (chosen[name]) fields[name] = chosen[name];
  if (chosen.crop && !fields.head) {
    fields.crop = "true";
    fields.margin = `${chosen.margin}%`;
  }
  if (chosen.background.kind === "colour") fields.background = chosen.background.value;
  if (chosen.background.kind === "blur") fields.background = "blur:2%";
  return fields;
}

/**
 * Learn what ready-made sizes mean. The page sends their parts, so that what it shows is what is
 * sent: of a preset's background the user may want another.
 * @param {{id: string, options: Record<string, any>}[]} presets
 */
export function learnPresets(presets) {
  for (const { id, options } of presets) {
    const parts = Object.entries(options).filter(([name]) => FRAMING.has(name));
    framing.set(id, Object.fromEntries(parts.map(([name, value]) => [name, String(value)])));
  }
}

/** Options of a preset that say where the subject goes; the others are controls of the page. */
const FRAMING = new Set("canvas head sheet scale position crop margin max_side_px".split(" "));
/** @type {Map<string, Record<string, string>>} */
const framing = new Map();

/** Formats that have a quality. */
export const LOSSY = new Set(["jpg", "webp", "avif"]);

function kept() {
  try {
    const { version, values } = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    if (version !== VERSION) return {};
    return Object.fromEntries(
      Object.entries(values).filter(([name, value]) => name in DEFAULTS && VALID[name](value)),
    );
  } catch {
    return {};
  }
}

function keep(values) {
  const { background } = values;
  const lasting = background.kind === "photo" ? DEFAULTS.background : background;
  try {
    const text = JSON.stringify({ version: VERSION, values: { ...values, background: lasting } });
    localStorage.setItem(KEPT, text);
  } catch {
    // A browser that keeps nothing starts anew every time.
  }
}

function same(one, other) {
  if (one instanceof Blob || one?.value instanceof Blob) return one === other;
  return JSON.stringify(one) === JSON.stringify(other);
}

function flag(value) {
  return typeof value === "boolean";
}

function short(value) {
  return typeof value === "string" && value.length <= 80;
}
