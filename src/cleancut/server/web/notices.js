// @ts-check
/** Short messages in a corner, and what readers of the screen hear. */

import { h, icon } from "./dom.js";

/** Messages without lists go by themselves after so long, ms. */
const SHOWN = 5000;

/**
 * Show a message until it is closed, or for a while where it has no `lines`.
 * @param {string} text
 * @param {{lines?: string[], kind?: "info" | "error"}} [more]
 */
export function notice(text, { lines = [], kind = lines.length ? "error" : "info" } = {}) {
  const place = document.getElementById("toasts");
  const remove = () => note.remove();
  const list = lines.length > 0 && h("ul", null, lines.slice(0, 50).map((line) => h("li", null, line)));
  const rest = lines.length > 50 && h("p", null, `+ ${lines.length - 50}`);
  const close = h("button", { type: "button", class: "plain", tLabel: "close", onclick: remove }, icon("close"));
  const note = h("div", { class: `toast ${kind}` }, h("div", null, h("p", null, text), list, rest), close);
  place?.append(note);
  if (kind === "error") alarm(text);
  else announce(text);
  if (!lines.length) setTimeout(remove, SHOWN);
}

/** Tell readers of the screen, when they have a moment. @param {string} text */
export function announce(text) {
  write("live", text);
}

/** Tell readers of the screen at once. @param {string} text */
export function alarm(text) {
  write("alarm", text);
}

function write(id, text) {
  const place = document.getElementById(id);
  if (place) place.textContent = text;
}
