// @ts-check
/** The settings in three parts: how it is cut, what it stands on, how large it will be. */

import { backgroundPart } from "./background_part.js";
import { choice, follow, list, toggle } from "./controls.js";
import { h, icon, say } from "./dom.js";
import { settings } from "./settings.js";
import { sizePart } from "./size_part.js";
import { has, language, t } from "./words.js";

/**
 * @param {HTMLElement} place
 * @param {{models: any[], presets: any[]}} told
 */
export function mountPanel(place, { models, presets }) {
  const parts = {
    cut: cutPart(models),
    background: backgroundPart(),
    size: sizePart(presets),
  };
  const icons = { cut: "edges", background: "image", size: "box" };
  const tabs = Object.keys(parts).map((name) =>
    h("button", { type: "button", class: "tab", onclick: () => open(name), dataset: { name } },
      icon(icons[name]), h("span", { t: `panel.${name}` })));
  const open = (name) => {
    const closed = place.dataset.tab === name;
    place.dataset.tab = closed ? "" : name;
    for (const tab of tabs) tab.setAttribute("aria-expanded", String(!closed && tab.dataset.name === name));
  };
  const sections = Object.entries(parts).map(([name, content]) =>
    h("section", { class: "part", dataset: { name } }, h("h2", { t: `panel.${name}` }), content));
  const reset = h("button", { type: "button", class: "plain small", onclick: () => settings.reset() },
    icon("reset"), h("span", { t: "panel.reset" }));
  place.append(h("div", { class: "tabs" }, tabs), h("div", { class: "parts" }, sections, reset));
  place.dataset.tab = "";
  tabs.forEach((tab) => tab.setAttribute("aria-expanded", "false"));
}

function cutPart(models) {
  if (!models.some(({ id }) => id === settings.model)) settings.set({ model: "" });
  const edge = (value) => ({ value, words: `edge.${value}` });
  const edgeAbout = h("p", { class: "hint" });
  follow(() => say(edgeAbout, "text", `edge.${settings.edge}.about`));
  const shadow = (value) => ({ value, words: `shadow.${value}` });
  return [
    modelChoice(models),
    h("div", null, choice({
      label: "edge.label", options: ["natural", "sharp", "soft"].map(edge),
      get: () => settings.edge, set: (value) => settings.set({ edge: /** @type {any} */ (value) }),
    }), edgeAbout),
    toggle({
      label: "hair.label", hint: "hair.hint",
      get: () => settings.hair, set: (hair) => settings.set({ hair }),
    }),
    choice({
      label: "shadow.label", options: ["none", "keep", "drop"].map(shadow),
      get: () => settings.shadow,
      set: (value) => settings.set({ shadow: /** @type {any} */ (value) }),
    }),
    h("details", null, h("summary", { t: "more.label" }),
      toggle({
        label: "clean.label", hint: "clean.hint",
        get: () => settings.clean, set: (clean) => settings.set({ clean }),
      }),
      toggle({
        label: "largest.label",
        get: () => settings.largest, set: (largest) => settings.set({ largest }),
      }),
      toggle({
        label: "holes.label", hint: "holes.hint",
        get: () => settings.holes, set: (holes) => settings.set({ holes }),
      })),
  ];
}

function modelChoice(models) {
  const titled = ({ id, title, tags = [] }) => {
    if (id === "auto") return t("model.auto");
    const known = tags.filter((tag) => has(`tag.${tag}`)).map((tag) => t(`tag.${tag}`));
    const name = has(`model.${id}`) ? t(`model.${id}`) : language() === "en" ? title.split(": ")[0] : id;
    return [name, ...known].join(" · ");
  };
  const own = models.find((one) => one.default)?.id ?? "auto";
  const named = () => settings.model || own;
  const { node } = list({
    label: "model.label",
    fill: () => models.map((one) => ({ value: one.id, text: titled(one) })),
    get: named, set: (id) => settings.set({ model: id === own ? "" : id }),
  });
  const licence = h("p", { class: "licence" });
  const tell = () => {
    const chosen = models.find(({ id }) => id === named());
    if (!chosen?.commercial) return licence.replaceChildren(t("model.auto.about"));
    const use = h("span", { class: `use ${chosen.commercial}` }, t(`commercial.${chosen.commercial}`));
    const name = h("a", { href: chosen.homepage, target: "_blank", rel: "noreferrer" }, chosen.weight_licence);
    licence.replaceChildren(use, name);
    licence.title = chosen.training_data ?? "";
  };
  follow(tell);
  document.addEventListener("language", tell);
  node.append(licence);
  return node;
}
