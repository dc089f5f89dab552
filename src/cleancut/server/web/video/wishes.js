// @ts-check
/** What the user wants of a video, and the fields of the API that it means. */

/**
 * What may be made: whether it can be transparent, and whether browsers show it (as what).
 * @type {Record<string, {clear: boolean, shown: "video" | "image" | ""}>}
 */
export const FORMS = {
  webm: { clear: true, shown: "video" },
  mov: { clear: true, shown: "" },
  mp4: { clear: false, shown: "video" },
  webp: { clear: true, shown: "image" },
  apng: { clear: true, shown: "image" },
  gif: { clear: true, shown: "image" },
  mkv: { clear: true, shown: "" },
};

/**
 * `model` is "" for the server's choice; `start` and `stop` are texts of times, "" for the ends.
 * @typedef {{behind: "clear" | "colour" | "photo" | "blur", colour: string, photo: File | null,
 *   output: string, model: string, sound: boolean, shows: "cutout" | "matte" | "both",
 *   start: string, stop: string}} Wishes
 */

class VideoWishes extends EventTarget {
  /** @type {Wishes} */
  now = {
    behind: "clear", colour: "#00b140", photo: null, output: "webm", model: "", sound: true,
    shows: "cutout", start: "", stop: "",
  };

  /** @param {Partial<Wishes>} values */
  set(values) {
    const before = this.clear;
    Object.assign(this.now, values);
    if (this.clear !== before && !("output" in values)) this.now.output = this.clear ? "webm" : "mp4";
    if (this.clear && !FORMS[this.now.output].clear) this.now.output = "webm";
    this.dispatchEvent(new Event("change"));
  }

  /** Whether the result is transparent. */
  get clear() {
    return this.now.behind === "clear" && this.now.shows === "cutout";
  }

  /** The forms that go with the rest, the usual one first. */
  forms() {
    const all = Object.keys(FORMS).filter((name) => !this.clear || FORMS[name].clear);
    return this.clear ? all : ["mp4", ...all.filter((name) => name !== "mp4")];
  }
}

export const wishes = new VideoWishes();

/** @param {Wishes} now @returns {{fields: Record<string, string>, files: Record<string, Blob>}} */
export function request(now) {
  /** @type {Record<string, string>} */
  const fields = { kind: "video", output: now.output };
  /** @type {Record<string, Blob>} */
  const files = {};
  if (now.shows === "matte") fields.matte_only = "true";
  else if (now.behind === "colour") fields.background = now.colour;
  else if (now.behind === "blur") fields.background = "blur:2%";
  else if (now.behind === "photo" && now.photo) files.background_image = now.photo;
  if (now.shows === "both") fields.side_by_side = "true";
  if (now.model === "rvm") fields.engine = "rvm";
  else if (now.model) Object.assign(fields, { engine: "image", model: now.model });
  if (!now.sound) fields.audio = "false";
  for (const name of /** @type {const} */ (["start", "stop"])) if (now[name]) fields[name] = now[name];
  return { fields, files };
}

/** Seconds of "90", "90.5", "1:30" or "1:02:03.5"; NaN for anything else. @param {string} text */
export function secondsOf(text) {
  if (!/^\d{1,5}(:\d{1,2}){0,2}(\.\d{1,3})?$/.test(text.trim())) return NaN;
  return text.trim().split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
}

/** "0:02.5", "1:02:03". @param {number} seconds */
export function clock(seconds) {
  const tenths = Math.round(10 * Math.max(0, seconds));
  const [whole, rest] = [Math.floor(tenths / 10), tenths % 10];
  const [hours, minutes, left] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  const shown = hours ? `${hours}:${two(minutes)}:${two(left)}` : `${minutes}:${two(left)}`;
  return rest ? `${shown}.${rest}` : shown;
}
