// @ts-check
/** The server's notes and errors in the words of people who do not know its codes. */

import { has, t } from "./words.js";

/** Below this the chance that a matte is right is too low to say nothing. */
const SURE = 0.5;
/** Notes that tell the operator, not the user. */
const QUIET = new Set(["auto_model", "cache", "measured"]);
/** Notes that nobody has to look into. */
const CALM = new Set(["already_cut", "first_frame", "icc_ignored", "levelled"]);

/**
 * @typedef {{code: string, title: string, advice: string, text: string}} Reason
 */

/**
 * What notes mean, in plain words; `text` is the server's own.
 * @param {import("./items.js").Note[]} notes
 * @returns {Reason[]}
 */
export function describe(notes) {
  return notes
    .filter(({ code }) => !QUIET.has(code))
    .map(({ code, text }) => ({ ...worded(`note.${code}`, text), code, text }));
}

/**
 * Why a result should be checked: nothing where it need not be.
 * @param {import("./items.js").Facts | null} facts
 * @returns {Reason[]}
 */
export function doubts(facts) {
  if (!facts) return [];
  const found = describe(facts.notes).filter(({ code }) => !CALM.has(code));
  if (facts.confidence !== null && facts.confidence < SURE && !found.some(isNoSubject)) {
    const text = `X-Confidence: ${facts.confidence}`;
    found.unshift({ ...worded("note.unsure", text), code: "unsure", text });
  }
  return found;
}

/**
 * Why the result of `item` is still to be checked: nothing once it was retouched or put away.
 * @param {import("./items.js").Item} item
 */
export function openDoubts(item) {
  const open = item.state === "done" && !item.matte && item.seen !== item.facts;
  return open ? doubts(item.facts) : [];
}

/**
 * What went wrong and what to do; `text` is the server's own account.
 * @param {import("./api.js").Problem} problem
 * @param {string} [room] with what the keys of a part's own words begin
 * @returns {Reason}
 */
export function explain(problem, room = "") {
  const text = [problem.detail, problem.hint].filter(Boolean).join(" · ");
  const status = problem.status >= 500 ? "error.server" : "error.other";
  const keys = [`${room}error.${problem.code}`, `error.${problem.code}`];
  const key = keys.find(has) ?? status;
  return { ...worded(key, text), code: problem.code, text };
}

function worded(key, text) {
  if (!has(key)) return { title: text, advice: "" };
  return { title: t(key), advice: has(`${key}.do`) ? t(`${key}.do`) : "" };
}

function isNoSubject({ code }) {
  return code === "no_subject";
}
