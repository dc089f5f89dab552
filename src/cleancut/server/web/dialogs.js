// @ts-check
/** The small dialogs: an API key, the keyboard's shortcuts, a question. */

import { h, icon } from "./dom.js";

const KEPT = "cleancut.key";

/** The key of this visit, or one kept on this device; "" if there is none. */
export function keptKey() {
  try {
    return sessionStorage.getItem(KEPT) ?? localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

/**
 * Ask for an API key.
 * @param {boolean} wrong whether one was refused
 * @returns {Promise<string | null>} null if none is given
 */
export function askForKey(wrong) {
  const input = h("input", { type: "password", name: "key", id: "key", required: true, autofocus: true, autocomplete: "off", spellcheck: false, maxlength: "256" });
  const keep = h("input", { type: "checkbox", id: "key-keep" });
  const form = h("form", { method: "dialog" },
    h("p", { t: wrong ? "key.wrong" : "key.why", class: wrong ? "trouble" : "" }),
    h("label", { for: "key", t: "key.label" }), input,
    h("label", { class: "check" }, keep, h("span", { t: "key.keep" })),
    h("div", { class: "row end" },
      h("button", { type: "button", onclick: () => dialog.close(), t: "cancel" }),
      h("button", { class: "primary", value: "go", t: "key.use" })));
  const dialog = framed("key.title", form);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "go" ? input.value.trim() : "";
      if (given) remember(given, keep.checked);
      dialog.remove();
      resolve(given || null);
    });
    show(dialog);
  });
}

function remember(key, lasting) {
  try {
    sessionStorage.setItem(KEPT, key);
    if (lasting) localStorage.setItem(KEPT, key);
    else localStorage.removeItem(KEPT);
  } catch {
    // Asked again at the next visit.
  }
}

const SHORTCUTS = [
  ["keys.general", [
    ["keys.open", "Ctrl O"], ["keys.paste", "Ctrl V"], ["keys.save", "Ctrl S"],
    ["keys.copy", "Ctrl C"], ["keys.next", "← →"], ["keys.remove", "Delete"], ["keys.help", "?"],
  ]],
  ["keys.view", [
    ["keys.zoom", "+ −"], ["keys.fit", "0"], ["keys.full", "1"], ["keys.pan", "← ↑ → ↓"],
    ["keys.original", "O"], ["keys.views", "C M S"],
  ]],
  ["keys.retouch", [
    ["keys.start", "R"], ["keys.brushes", "K E B"], ["keys.objects", "A D X"], ["keys.size", "[ ]"], ["keys.soft", "Shift [ ]"],
    ["keys.line", "Shift"], ["keys.undo", "Ctrl Z"], ["keys.redo", "Ctrl Shift Z"],
    ["keys.cross", "← ↑ → ↓"], ["keys.use", "Enter"], ["keys.hand", "Space"],
  ]],
];

/** Show what the keyboard does. */
export function showShortcuts() {
  const groups = SHORTCUTS.map(([title, rows]) =>
    h("section", null, h("h3", { t: title }),
      h("dl", null, rows.map(([what, keys]) =>
        h("div", null, h("dt", { t: what }), h("dd", null, keys.split(" ").map((one) => h("kbd", null, one))))))));
  const dialog = framed("keys.title", h("div", { class: "shortcuts" }, groups));
  dialog.addEventListener("close", () => dialog.remove());
  show(dialog);
}

function framed(title, content) {
  const close = h("button", { type: "button", class: "plain", tLabel: "close", onclick: () => dialog.close() }, icon("close"));
  const dialog = h("dialog", { tLabel: title }, h("header", null, h("h2", { t: title }), close), content);
  return dialog;
}

function show(dialog) {
  document.body.append(dialog);
  dialog.showModal();
}
