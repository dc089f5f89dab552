// @ts-check
/** The settings of a video: what is behind, what file is made, who looks, which part. */

import { h, icon, say } from "../dom.js";
import { notice } from "../notices.js";
import { has, t } from "../words.js";
import { FORMS, wishes } from "./wishes.js";

/** The controls. @param {any[]} models as `/v1/models` lists them */
export function formOf(models) {
  return h("div", { class: "parts" },
    part("video.behind", behind()),
    part("video.form", outputs()),
    part("video.look", engine(models), h("details", null, h("summary", { t: "more.label" }), shows(), sound())));
}

function part(title, ...content) {
  return h("section", { class: "part" }, h("h2", { t: title }), content);
}

function behind() {
  const photo = h("input", { type: "file", accept: "image/*", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  photo.addEventListener("change", () => {
    if (photo.files[0]) wishes.set({ behind: "photo", photo: photo.files[0] });
    photo.value = "";
  });
  const wheel = h("input", { type: "color", tLabel: "video.colour", oninput: () => wishes.set({ behind: "colour", colour: wheel.value }) });
  const swatch = h("span", { class: "swatch" });
  const field = h("label", { class: "video-colour" }, wheel, swatch, h("span", { t: "video.colour" }));
  const picked = h("p", { class: "hint" });
  const pick = (value) => {
    if (value === "photo" && !wishes.now.photo) {
      photo.click();
      wishes.set({});
    } else wishes.set({ behind: value });
  };
  follow(() => {
    wheel.value = wishes.now.colour;
    swatch.style.background = wishes.now.colour;
    field.hidden = wishes.now.behind !== "colour";
    picked.hidden = wishes.now.behind !== "photo" || !wishes.now.photo;
    picked.textContent = wishes.now.photo?.name ?? "";
  });
  const other = h("button", { type: "button", class: "small", t: "video.photo.other", onclick: () => photo.click() });
  follow(() => (other.hidden = picked.hidden));
  return [
    radios("video.behind", ["clear", "colour", "photo", "blur"], "video.behind", () => wishes.now.behind, pick),
    field, h("div", { class: "row" }, picked, other), photo,
  ];
}

function outputs() {
  const select = h("select", { id: "video-output", onchange: () => wishes.set({ output: select.value }) });
  const about = h("p", { class: "hint", id: "video-output-about" });
  select.setAttribute("aria-describedby", about.id);
  const fill = () => {
    const names = wishes.forms();
    select.replaceChildren(...names.map((name) => h("option", { value: name }, t(`video.form.${name}`))));
    select.value = wishes.now.output;
    const key = FORMS[wishes.now.output].clear && wishes.clear ? "clear" : "solid";
    const words = `video.form.${wishes.now.output}.${key}`;
    say(about, "text", has(words) ? words : `video.form.${wishes.now.output}.about`);
  };
  follow(fill);
  document.addEventListener("language", fill);
  return h("div", { class: "field" }, h("label", { for: select.id, t: "video.form.label" }),
    h("div", { class: "select" }, select, icon("down")), about);
}

function engine(models) {
  const named = models.filter(({ id }) => id !== "auto");
  const select = h("select", { id: "video-model", onchange: () => wishes.set({ model: select.value }) });
  const about = h("p", { class: "licence" });
  const fill = () => {
    const title = ({ id, title: own }) => (id === "rvm" ? t("video.rvm") : has(`model.${id}`) ? t(`model.${id}`) : own.split(": ")[0]);
    select.replaceChildren(h("option", { value: "" }, t("model.auto")), ...named.map((one) => h("option", { value: one.id }, title(one))));
    select.value = wishes.now.model;
    const chosen = named.find(({ id }) => id === wishes.now.model);
    if (!chosen?.commercial) about.replaceChildren(t("video.auto.about"));
    else {
      about.replaceChildren(h("span", { class: `use ${chosen.commercial}` }, t(`commercial.${chosen.commercial}`)),
        h("a", { href: chosen.homepage, target: "_blank", rel: "noreferrer" }, chosen.weight_licence));
    }
  };
  follow(fill);
  document.addEventListener("language", fill);
  return h("div", { class: "field" }, h("label", { for: select.id, t: "model.label" }), h("div", { class: "select" }, select, icon("down")), about);
}

function shows() {
  return radios("video.shows", ["cutout", "matte", "both"], "video.shows", () => wishes.now.shows, (shown) => wishes.set({ shows: /** @type {any} */ (shown) }));
}

function sound() {
  const input = h("input", { type: "checkbox", role: "switch", onchange: () => wishes.set({ sound: input.checked }) });
  follow(() => (input.checked = wishes.now.sound));
  return h("label", { class: "switch" }, h("span", null, h("span", { t: "video.sound" }), h("small", { t: "video.sound.about" })), input);
}

function radios(label, values, words, get, set) {
  const inputs = values.map((value) => h("input", { type: "radio", name: label, value, onchange: () => set(value) }));
  follow(() => inputs.forEach((input) => (input.checked = input.value === get())));
  return h("fieldset", { class: "segments" }, h("legend", { class: "unseen", t: label }),
    h("div", { class: "options" }, inputs.map((input) => h("label", { class: "option" }, input, h("span", { class: "word", t: `${words}.${input.value}` })))));
}

/** Whether what is chosen can be sent; says what is missing. */
export function complete() {
  if (wishes.now.behind !== "photo" || wishes.now.photo) return true;
  notice(t("video.photo.none"), { kind: "error" });
  return false;
}

/** Run `show` now and whenever the wishes change. @param {() => void} show */
export function follow(show) {
  show();
  wishes.addEventListener("change", show);
}
