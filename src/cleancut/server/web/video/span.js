// @ts-check
/** Which part of the video is cut out: two handles on a line, and the times in fields. */

import { h } from "../dom.js";
import { clock, secondsOf, wishes } from "./wishes.js";

/** Ends when the next control is made: there is one at a time. */
let made = new AbortController();

/** The control. `look` is called with the second that a handle stands at. @param {(second: number) => void} look */
export function spanOf(look) {
  made.abort();
  made = new AbortController();
  let length = 0;
  const handle = (name) => h("input", { type: "range", min: 0, step: 0.1, class: `handle ${name}`, tLabel: `video.${name}`, dataset: { name } });
  const [from, to] = [handle("start"), handle("stop")];
  const field = (name) => h("input", { type: "text", id: `video-${name}`, inputmode: "decimal", autocomplete: "off", maxlength: "12", spellcheck: false });
  const fields = { start: field("start"), stop: field("stop") };
  const wrong = h("p", { class: "trouble", role: "alert", t: "video.span.wrong", hidden: true });
  const fill = h("div", { class: "fill" });
  const rail = h("div", { class: "rail unknown" }, fill, from, to);
  const show = () => {
    const { start, stop } = wishes.now;
    const [first, last] = [secondsOf(start) || 0, stop ? secondsOf(stop) : length];
    from.value = String(first);
    to.value = String(last);
    from.style.zIndex = first > length / 2 ? "1" : ""; // where both are at the end, this one can still be moved
    if (length) {
      fill.style.left = `${(100 * first) / length}%`;
      fill.style.right = `${100 - (100 * Math.min(last, length)) / length}%`;
    }
    for (const name of /** @type {const} */ (["start", "stop"])) {
      if (document.activeElement !== fields[name]) fields[name].value = wishes.now[name] || (name === "start" ? "0:00" : length ? clock(length) : "");
    }
  };
  const bounded = (name, seconds) => {
    const first = name === "start" ? seconds : secondsOf(wishes.now.start) || 0;
    const last = name === "stop" ? seconds : wishes.now.stop ? secondsOf(wishes.now.stop) : length || Infinity;
    const good = Number.isFinite(seconds) && last > first && (!length || first < length);
    wrong.hidden = good;
    fields[name].setAttribute("aria-invalid", String(!good));
    if (!good) return;
    const end = name === "start" ? seconds === 0 : length > 0 && seconds >= length;
    wishes.set({ [name]: end ? "" : clock(seconds) });
    look(seconds);
  };
  for (const input of [from, to]) {
    input.addEventListener("input", () => {
      const [a, b] = [Number(from.value), Number(to.value)];
      const least = Math.min(0.1, length);
      if (input === from) bounded("start", Math.min(a, b - least));
      else bounded("stop", Math.max(b, a + least));
      show();
    });
  }
  for (const [name, input] of Object.entries(fields)) {
    input.addEventListener("change", () => {
      if (name === "stop" && !input.value.trim()) wishes.set({ stop: "" });
      else bounded(name, secondsOf(input.value));
      show();
    });
    input.addEventListener("blur", show);
  }
  wishes.addEventListener("change", show, { signal: made.signal });
  show();
  const node = h("div", { class: "span" }, rail,
    h("div", { class: "row" }, h("label", { for: "video-start", t: "video.start" }), fields.start, h("label", { for: "video-stop", t: "video.stop" }), fields.stop), wrong);
  return {
    node,
    /** @param {number} seconds of the whole video, 0 if that is not known */
    set length(seconds) {
      length = Number.isFinite(seconds) ? Math.floor(10 * seconds) / 10 : 0;
      rail.classList.toggle("unknown", !length);
      from.max = to.max = String(length);
      wrong.hidden = true;
      show();
    },
  };
}
