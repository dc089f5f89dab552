// @ts-check
/** What the stage says over the picture: that it is worked on, what went wrong, what to check. */

import { h, icon } from "./dom.js";
import { cancel, retry } from "./queue.js";
import { explain, openDoubts } from "./reasons.js";
import { language } from "./words.js";

/**
 * `element` lies over the picture while there is nothing better to see; `bar` is a line below it,
 * for what there is to say about a picture that is there.
 */
export class Cards {
  /** @param {{retouch: () => void}} acts */
  constructor(acts) {
    this.acts = acts;
    this.element = h("div", { class: "stage-cards" });
    this.bar = h("div", { class: "stage-says" });
    this.shown = "";
  }

  /**
   * @param {import("./items.js").Item | null} item
   * @param {{retouching: boolean, resulting: boolean, resultProblem: any}} now
   */
  show(item, now) {
    const state = item ? this.#stateOf(item, now) : "";
    if (state !== this.shown) {
      this.shown = state;
      const said = item ? this.#cards(item, now) : [];
      const below = (card) => card.classList.contains("stage-say");
      this.element.replaceChildren(...said.filter((card) => !below(card)));
      this.bar.replaceChildren(...said.filter(below));
    }
    const bar = this.element.querySelector("progress");
    if (bar && item) {
      const known = item.state === "sending" && item.progress < 1;
      if (known) bar.value = item.progress;
      else bar.removeAttribute("value");
    }
  }

  /** What the cards depend on, as text: only then are they made anew. */
  #stateOf(item, { retouching, resulting, resultProblem }) {
    const read = item.seen === item.facts;
    const of = [item.id, item.state, Boolean(item.cutout), Boolean(item.matte), item.facts?.ms, read];
    return [...of, retouching, resulting, resultProblem?.code, language()].join();
  }

  #cards(item, { retouching, resulting, resultProblem }) {
    if (retouching) return [];
    if (item.state === "failed" && item.problem) return [problemCard(item.problem, () => retry(item))];
    if (item.state === "cancelled") return [cancelledCard(item)];
    if (item.state !== "done") return [workingCard(item)];
    if (resulting) return [chip("stage.resulting")];
    if (resultProblem) {
      const { title, advice, text } = explain(resultProblem);
      return [line("trouble", [{ title, advice }, { title: "", advice: text }], [])];
    }
    const why = openDoubts(item);
    return why.length ? [this.#doubtCard(item, why)] : [];
  }

  #doubtCard(item, why) {
    const close = () => item.set({ seen: item.facts });
    const acts = [
      h("button", { type: "button", class: "small primary", t: "retouch.start", onClick: this.acts.retouch }),
      h("button", { type: "button", class: "plain", tLabel: "close", onClick: close }, icon("close")),
    ];
    return line("doubt", why.slice(0, 2), acts);
  }
}

function workingCard(item) {
  const words = item.state === "working" ? "stage.working" : `stage.${item.state}`;
  if (item.cutout) {
    return chip("stage.updating");
  }
  return h(
    "div",
    { class: "stage-card working" },
    h("p", { t: words }),
    h("progress", { max: 1, tLabel: words }),
    h("button", { type: "button", class: "small", t: "stage.cancel", onClick: () => cancel(item) }),
  );
}

function chip(words) {
  return h("p", { class: "stage-chip" }, h("span", { class: "spinner" }), h("span", { t: words }));
}

function cancelledCard(item) {
  return h(
    "div",
    { class: "stage-card cancelled" },
    h("p", { t: "stage.cancelled" }),
    h("button", { type: "button", class: "small primary", t: "stage.again", onClick: () => retry(item) }),
  );
}

function problemCard(problem, again) {
  const { title, advice, text } = explain(problem);
  return h(
    "div",
    { class: "stage-card trouble" },
    icon("failed"),
    h("div", { class: "card-words" },
      h("p", null, h("strong", null, title)),
      advice && h("p", null, advice),
      text && h("details", null, h("summary", { t: "stage.details" }), h("p", null, text))),
    again && h("button", { type: "button", class: "small primary", t: "stage.again", onClick: again }),
  );
}

/** One line below the picture; what does not fit in it opens. */
function line(kind, reasons, acts) {
  const words = reasons.map(({ title, advice }) =>
    h("p", null, title && h("strong", null, title), advice && h("span", { class: "advice" }, ` ${advice}`)));
  const more = h("button", {
    type: "button", class: "plain more", tLabel: "stage.details", "aria-expanded": "false",
    onClick: () => more.setAttribute("aria-expanded", String(element.classList.toggle("open"))),
  }, icon("down"));
  const label = kind === "doubt" ? "stage.doubt" : "stage.details";
  const many = reasons.length > 1 ? "many" : "";
  const element = h("div", { class: `stage-say ${kind} ${many}`, role: "group", tLabel: label },
    icon("failed"), h("div", { class: "say-words" }, words), more, acts);
  return element;
}
