// @ts-check
/** What the subject stands on: nothing, a colour, a photo of one's own, its blurred original. */

import { follow } from "./controls.js";
import { h, icon } from "./dom.js";
import { settings } from "./settings.js";

const COLOURS = {
  white: "#ffffff", grey: "#e9e9ec", black: "#000000",
  blue: "#438edb", red: "#d22b2b", green: "#00b140",
};

/** The controls. */
export function backgroundPart() {
  const set = (kind, value = null) => settings.set({ background: { kind, value } });
  const is = (kind, value) => {
    const { background } = settings;
    return background.kind === kind && (value === undefined || background.value === value);
  };
  const tiles = [tile("checker", "background.none", () => set("checker"), () => is("checker"))];
  for (const [name, value] of Object.entries(COLOURS)) {
    tiles.push(tile(name, `background.${name}`, () => set("colour", value), () => is("colour", value)));
  }
  const other = () => is("colour") && !Object.values(COLOURS).includes(settings.background.value);
  const wheel = h("input", { type: "color", value: "#f4c542", tLabel: "background.other", tTitle: "background.other" });
  wheel.addEventListener("input", () => set("colour", wheel.value));
  const own = h("label", { class: "tile wheel" }, wheel, h("span", { class: "swatch" }));
  follow(() => {
    own.classList.toggle("on", other());
    if (other()) wheel.value = settings.background.value;
    /** @type {any} */ (own.lastChild).style.background = other() ? wheel.value : "";
  });
  const photo = h("input", { type: "file", accept: "image/*", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  photo.addEventListener("change", () => {
    if (photo.files[0]) set("photo", photo.files[0]);
    photo.value = "";
  });
  const wide = (kind, words, name, act) => {
    const button = h("button", { type: "button", class: "wide", onclick: act }, icon(name), h("span", { t: words }));
    follow(() => button.setAttribute("aria-pressed", String(is(kind))));
    return button;
  };
  return [
    h("div", { class: "tiles", role: "group", tLabel: "background.colours" }, tiles, own),
    h("div", { class: "row fill" },
      wide("photo", "background.photo", "image", () => photo.click()),
      wide("blur", "background.blur", "eye", () => set("blur")), photo),
  ];
}

function tile(name, words, act, on) {
  const button = h("button", { type: "button", class: "tile", tLabel: words, tTitle: words, onclick: act },
    h("span", { class: `swatch ${name}` }));
  follow(() => button.setAttribute("aria-pressed", String(on())));
  return button;
}
