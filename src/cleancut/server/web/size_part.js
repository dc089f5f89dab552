// @ts-check
/** How large the download is: as it came, cropped, for a shop, as an ID photo, to measure. */

import { choice, follow, list, slider } from "./controls.js";
import { h, icon } from "./dom.js";
import { framed } from "./final.js";
import { items } from "./items.js";
import { describe, explain } from "./reasons.js";
import { finalFields, settings } from "./settings.js";
import { has, language, t } from "./words.js";

const NOTHING = { crop: false, preset: "", canvas: "", head: "", sheet: "" };
const ID_COLOURS = { "#ffffff": "white", "#438edb": "blue", "#d22b2b": "red" };
/** Problems and notes that come of the size that was asked for. */
const PERSONS = new Set(["no-person", "many-people"]);
const FRAME_NOTES = new Set("enlarged levelled head_tilted head_turned head_cut short_body cut_off".split(" "));
/** Stands for the colour that the chosen size asks for. */
const PRESCRIBED = "prescribed";

/** @param {any[]} presets ready-made sizes and papers to print on */
export function sizePart(presets) {
  const sheets = presets.filter(({ group }) => group === "paper");
  const shops = presets.filter(({ group }) => group !== "id-photo" && group !== "paper");
  const portraits = presets.filter(({ group }) => group === "id-photo");
  const groupOf = (id) => presets.find((one) => one.id === id)?.group;
  if (settings.preset && !groupOf(settings.preset)) settings.set({ preset: "" });
  const mode = () => {
    if (settings.preset) return groupOf(settings.preset) === "id-photo" ? "id" : "shop";
    if (settings.canvas) return "own";
    return settings.crop ? "crop" : "whole";
  };
  /** What the user had before a size brought its own background. @type {any} */
  let before = null;
  const choose = (id, more = {}) => {
    const values = meant(presets, id);
    if (values.background) before ??= settings.background;
    settings.set({ ...NOTHING, ...more, ...values });
  };
  const leave = (more = {}) => {
    const brought = meant(presets, settings.preset).background?.value === settings.background.value;
    settings.set({ ...NOTHING, ...more, ...(before && brought ? { background: before } : {}) });
    before = null;
  };
  const enter = {
    whole: () => leave(),
    crop: () => leave({ crop: true }),
    shop: () => choose(shops[0].id),
    id: () => choose(nearFirst(portraits)[0].id),
    own: () => leave({ canvas: "1080x1080" }),
  };
  const modes = ["whole", "crop", shops.length && "shop", portraits.length && "id", "own"];
  const options = modes.filter(Boolean).map((value) => ({ value, words: `size.${value}` }));
  const bodies = {
    whole: h("p", { class: "quiet", t: "size.whole.about" }),
    crop: slider({
      label: "size.margin", min: 0, max: 50, unit: "%",
      get: () => settings.margin, set: (margin) => settings.set({ margin }),
    }),
    shop: shops.length > 0 && presetList(shops, choose),
    id: portraits.length > 0 && [presetList(portraits, (id) => choose(id, { sheet: settings.sheet })), idPhoto(sheets, portraits)],
    own: ownSize(),
  };
  const places = Object.entries(bodies).map(([name, body]) => h("div", { class: "body", dataset: { name } }, body));
  follow(() => places.forEach((place) => (place.hidden = place.dataset.name !== mode())));
  const set = (value) => {
    enter[value]();
    places.find((place) => !place.hidden)?.scrollIntoView({ block: "nearest" });
  };
  return [choice({ label: "size.label", options, get: mode, set, kind: "chips" }), ...places, remarks()];
}

/** The controls' values that a preset comes with. */
function meant(presets, id) {
  const value = colourOf(presets.find((one) => one.id === id));
  return { preset: id, ...(value ? { background: { kind: "colour", value } } : {}) };
}

function colourOf(preset) {
  const named = preset?.options.background ?? "";
  if (named === "white") return "#ffffff";
  return /^#[0-9a-f]{6}$/i.test(named) ? named.toLowerCase() : "";
}

function presetList(presets, choose) {
  const text = (one) => `${titleOf(one)} · ${measures(one.options)}`;
  const { node } = list({
    label: "size.preset",
    fill: () => nearFirst(presets).map((one) => ({ value: one.id, text: text(one) })),
    get: () => settings.preset, set: choose,
  });
  const note = h("p", { class: "quiet" });
  const tell = () => {
    const chosen = presets.find(({ id }) => id === settings.preset);
    note.textContent = language() === "en" ? (chosen?.note ?? "") : "";
  };
  follow(tell);
  document.addEventListener("language", tell);
  node.append(note);
  return node;
}

/** In Chinese, the sizes that are asked for in China come first. */
function nearFirst(presets) {
  const rank = ({ id }) => (id.startsWith("cn-") ? 0 : id.startsWith("china") ? 1 : 2);
  return language() === "zh" ? [...presets].sort((one, other) => rank(one) - rank(other)) : presets;
}

function titleOf({ id, title }) {
  return has(`preset.${id}`) ? t(`preset.${id}`) : title;
}

function measures({ canvas = "", max_side_px: side }) {
  if (!canvas) return side ? `${side} px` : "";
  const [, width, height, unit] = /^([\d.]+)x([\d.]+)(\w*)/.exec(canvas) ?? ["", canvas, "", ""];
  return `${width} × ${height} ${unit || "px"}`;
}

function idPhoto(sheets, portraits) {
  const colours = Object.entries(ID_COLOURS).map(([value, name]) => ({ value, words: `background.${name}`, swatch: name }));
  const asked = () => colourOf(portraits.find(({ id }) => id === settings.preset));
  const background = choice({
    label: "id.background",
    options: [...colours, { value: PRESCRIBED, words: "id.prescribed", swatch: PRESCRIBED }],
    get: () => {
      const { kind, value } = settings.background;
      if (kind !== "colour") return "";
      return value in ID_COLOURS || value !== asked() ? value : PRESCRIBED;
    },
    set: (chosen) => {
      const value = chosen === PRESCRIBED ? asked() : chosen;
      settings.set({ background: { kind: "colour", value } });
    },
  });
  const fourth = background.querySelector(`.option:has([value="${PRESCRIBED}"])`);
  follow(() => {
    fourth.hidden = !asked() || asked() in ID_COLOURS;
    fourth.querySelector(".swatch").style.background = asked();
  });
  const sheet = list({
    label: "id.sheet",
    fill: () => [{ value: "", text: t("id.single") }, ...sheets.map((one) => ({ value: one.options.sheet, text: titleOf(one) }))],
    get: () => settings.sheet, set: (value) => settings.set({ sheet: value }),
  });
  return [background, sheet.node, h("p", { class: "quiet", t: "id.about" })];
}

/** What there is to say about the download of the selected picture: a head that leans, two people. */
function remarks() {
  const place = h("div", { class: "remarks", role: "status" });
  const tell = () => {
    const item = items.selected;
    const fields = finalFields(settings.all);
    const failed = item?.finalProblem;
    const problem = fields.head && failed && PERSONS.has(failed.code) ? failed : null;
    const notes = framed(settings.all) ? (item?.finalFacts?.notes ?? []) : [];
    const mine = notes.filter(({ code }) => FRAME_NOTES.has(code));
    const said = problem ? [explain(problem)] : describe(mine);
    place.replaceChildren(...said.map(({ title, advice }) =>
      h("p", { class: problem ? "trouble" : "remark" }, icon(problem ? "failed" : "eye"),
        h("span", null, h("strong", null, title), " ", advice))));
  };
  for (const kind of ["selected", "changed"]) items.addEventListener(kind, tell);
  document.addEventListener("language", tell);
  follow(tell);
  return place;
}

function ownSize() {
  const number = (words) => h("input", { type: "number", min: 1, max: 20000, step: "any", inputmode: "decimal", required: true, tLabel: words });
  const [width, height] = [number("size.width"), number("size.height")];
  const unit = h("select", { tLabel: "size.unit" }, ["px", "mm", "cm", "in"].map((one) => h("option", { value: one }, one)));
  const change = () => {
    if (!width.checkValidity() || !height.checkValidity()) return;
    settings.set({ canvas: `${+width.value}x${+height.value}${unit.value === "px" ? "" : unit.value}` });
  };
  for (const control of [width, height, unit]) control.addEventListener("change", change);
  follow(() => {
    const found = /^([\d.]+)x([\d.]+)(mm|cm|in)?/.exec(settings.canvas);
    if (!found || settings.preset) return;
    [width.value, height.value, unit.value] = [found[1], found[2], found[3] ?? "px"];
  });
  return h("div", { class: "measure" }, width, h("span", { "aria-hidden": "true" }, "×"), height, h("div", { class: "select" }, unit, icon("down")));
}
