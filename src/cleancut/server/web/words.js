// @ts-check
/** The page's words in its languages. */

/** Languages by code, each by its own name. */
export const LANGUAGES = { en: "English", zh: "简体中文" };

const TAGS = { en: "en", zh: "zh-Hans" };
const KEPT = "cleancut.language";

/** @type {Record<string, string>} */
let words = {};
let current = "en";

/**
 * The words of `key`, with `{name}` replaced by `values.name`; the key itself where it has none.
 * @param {string} key
 * @param {Record<string, any>} [values]
 * @returns {string}
 */
export function t(key, values) {
  const said = words[key];
  if (said === undefined) return key;
  return values ? said.replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all)) : said;
}

/** Whether `key` has words. @param {string} key */
export function has(key) {
  return Object.hasOwn(words, key);
}

/** The code of the language that the page speaks. */
export function language() {
  return current;
}

/**
 * Speak `code` from now on, and remember it; "language" is fired on the document.
 * @param {string} code
 */
export async function setLanguage(code) {
  await speak(code in LANGUAGES ? code : "en");
  try {
    localStorage.setItem(KEPT, current);
  } catch {
    // A browser that keeps nothing asks again.
  }
  document.dispatchEvent(new Event("language"));
}

/** Words of parts of the page that are loaded when they are needed. @type {Set<Loader>} */
const more = new Set();

/**
 * Know the words of another part of the page, now and in every language that is chosen.
 * @typedef {(code: string) => Promise<{default: Record<string, string>}>} Loader
 * @param {Loader} load
 */
export async function learnWords(load) {
  more.add(load);
  words = { ...words, ...(await load(current)).default };
}

async function speak(code) {
  const spoken = code === "zh" ? await import("./words/zh.js") : await import("./words/en.js");
  const others = await Promise.all([...more].map((load) => load(code)));
  words = Object.assign({}, spoken.default, ...others.map((one) => one.default));
  current = code;
  document.documentElement.lang = TAGS[code];
}

function wished() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // As above.
  }
  const codes = [kept ?? "", ...(navigator.languages ?? [])].map((tag) => tag.slice(0, 2));
  return codes.find((code) => code in LANGUAGES) ?? "en";
}

await speak(wished());
