// @ts-check
/** The pictures as small cards: chosen, watched, called off, tried again, removed. */

import { h, icon, say } from "./dom.js";
import { pick } from "./intake.js";
import { items } from "./items.js";
import { cancel, isOpen, retry } from "./queue.js";
import { explain, openDoubts } from "./reasons.js";
import { drawThumbnail } from "./thumbnails.js";
import { t } from "./words.js";

/** @type {Map<string, ReturnType<typeof card>>} */
const cards = new Map();

/** @param {HTMLElement} place */
export function mountGallery(place) {
  const list = h("ul", { class: "cards" });
  const add = h("button", { type: "button", class: "add", tLabel: "gallery.add", tTitle: "gallery.add", onclick: pick }, icon("add"));
  place.append(add, list);
  const on = (kind, act) => items.addEventListener(kind, (event) => act(/** @type {any} */ (event).detail.item));
  on("added", (item) => {
    const made = card(item);
    cards.set(item.id, made);
    list.append(made.node);
  });
  on("removed", (item) => {
    const gone = cards.get(item.id);
    const focused = gone?.node.contains(document.activeElement);
    gone?.node.remove();
    cards.delete(item.id);
    if (focused) queueMicrotask(() => cards.get(items.selected?.id ?? "")?.choose.focus());
  });
  on("changed", (item) => cards.get(item.id)?.tell());
  on("selected", (item) => {
    for (const [id, { choose }] of cards) mark(choose, id === item?.id);
    cards.get(item?.id ?? "")?.node.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  document.addEventListener("language", () => cards.forEach((one) => one.tell()));
  list.addEventListener("keydown", byKey);
}

function mark(choose, on) {
  choose.setAttribute("aria-pressed", String(on));
  choose.tabIndex = on ? 0 : -1;
}

function byKey(event) {
  const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -1e9, End: 1e9 };
  const { key } = event;
  if (key in steps && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const next = items.beside(steps[key]);
    items.select(next);
    cards.get(next?.id ?? "")?.choose.focus();
  } else if ((key === "Delete" || key === "Backspace") && items.selected) {
    items.remove(items.selected);
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/** @param {import("./items.js").Item} item */
function card(item) {
  const canvas = h("canvas", { width: 192, height: 192 });
  const badge = h("span", { class: "badge" });
  const bar = h("progress", { max: 1, hidden: true, tLabel: "state.working" });
  const choose = h("button", { type: "button", class: "choose", onclick: () => items.select(item) }, canvas, badge, bar);
  const action = h("button", { type: "button", class: "mini action", hidden: true, tabindex: "-1" });
  const remove = h("button", { type: "button", class: "mini remove", tabindex: "-1", onclick: () => items.remove(item) }, icon("close"));
  const label = h("span", { class: "name", "aria-hidden": "true" }, item.name);
  const node = h("li", { class: "card", dataset: { id: item.id } }, choose, action, remove, label);
  mark(choose, items.selected === item);
  action.addEventListener("click", () => (isOpen(item) ? cancel(item) : retry(item)));

  const tell = () => {
    const reasons = openDoubts(item);
    const why = item.problem ? [explain(item.problem)] : reasons;
    node.dataset.state = item.state;
    node.dataset.doubt = String(reasons.length > 0);
    badge.replaceChildren(...symbol(item, reasons));
    badge.title = why.map(({ title }) => title).join(" ");
    bar.hidden = !isOpen(item);
    if (item.state === "sending") bar.value = item.progress;
    else bar.removeAttribute("value");
    bar.classList.toggle("still", item.state === "waiting");
    const state = reasons.length ? "state.doubt" : `state.${item.state}`;
    say(choose, "label", ["gallery.item", { name: item.name, state: words(state), why: badge.title }]);
    say(choose, "title", ["gallery.title", { name: item.name, state: words(state), why: badge.title }]);
    const act = isOpen(item) ? "gallery.cancel" : "gallery.retry";
    action.hidden = item.state === "done";
    action.replaceChildren(icon(isOpen(item) ? "close" : "reset"));
    for (const place of /** @type {const} */ (["label", "title"])) {
      say(action, place, [act, { name: item.name }]);
      say(remove, place, ["gallery.remove", { name: item.name }]);
    }
    drawThumbnail(item, canvas);
  };
  tell();
  return { node, choose, tell };
}

function symbol(item, reasons) {
  if (item.state === "failed") return [icon("failed")];
  if (reasons.length) return [icon("eye")];
  if (item.state === "done") return [icon("check")];
  return [];
}

function words(key) {
  return { toString: () => t(key) };
}
