// @ts-check
/** The server's public HTTP API, as this page uses it; relative, so that a prefix may stand before. */

/** Codes that are worth another try by themselves, with how often. */
const PATIENCE = { busy: 30, "rate-limited": 30, cancelled: 3 };
/** A wait between two tries, in seconds; timers of browsers end at once beyond 24 days. */
const LONGEST_S = 300;

/** What went wrong with a request, by the server's stable code. */
export class Problem extends Error {
  /**
   * @param {number} status 0 where there was no answer
   * @param {string} code
   * @param {string} detail
   * @param {string} [hint]
   * @param {number | null} [retryAfter] seconds
   */
  constructor(status, code, detail, hint = "", retryAfter = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.hint = hint;
    this.retryAfter = retryAfter;
  }
}

/** What a key can be made of; the rest cannot be sent in a header. */
const KEY = /^[\x21-\x7e]{1,256}$/;
/** @type {string} */
let key = "";
/** @type {(wrong: boolean) => Promise<string | null>} */
let asker = async () => null;
/** @type {Promise<boolean> | null} */
let asking = null;

/** Send `given` as the API key from now on. @param {string} given */
export function useKey(given) {
  key = KEY.test(given) ? given : "";
}

/**
 * How the user is asked for a key: gets whether one was refused, gives the key or null.
 * @param {(wrong: boolean) => Promise<string | null>} ask
 */
export function askForKeyWith(ask) {
  asker = ask;
}

/** What the server takes and gives. */
export function about() {
  return getJson("v1/about");
}

/** The models that can be named. */
export function models() {
  return getJson("v1/models");
}

/** Ready-made sizes, and sheets to print. */
export function presets() {
  return getJson("v1/presets");
}

/**
 * Have one picture cut out. Waits while the server is busy; asks for a key where one is needed.
 * @param {{image: Blob, fields?: Record<string, string>, files?: Record<string, Blob>,
 *   signal?: AbortSignal, onProgress?: (share: number, state: string) => void}} order
 *   `onProgress` hears the upload's share, with "waiting", "sending" or "working"
 * @returns {Promise<{blob: Blob, facts: import("./items.js").Facts}>}
 */
export function cut({ image, fields = {}, files = {}, signal, onProgress }) {
  return patiently(() => cutOnce({ image, fields, files, signal, onProgress }), { signal, onProgress });
}

/**
 * Start a job; patient and with a key as `cut` is.
 * @param {{fields: Record<string, string>, files: Record<string, Blob>, signal?: AbortSignal,
 *   onProgress?: (share: number, state: string) => void}} order
 * @returns {Promise<any>} the job
 */
export function startJob({ fields, files, signal, onProgress }) {
  const once = async () => JSON.parse(await textOf((await posted("v1/jobs", { fields, files, signal, onProgress })).response));
  return patiently(once, { signal, onProgress });
}

/** How a job stands, or will in `wait` seconds if it ends no sooner. @param {string} id */
export function job(id, wait = 0) {
  return getJson(`v1/jobs/${encodeURIComponent(id)}?wait=${wait}`);
}

/** Call a job off, or remove its results. @param {string} id */
export function removeJob(id) {
  return getJson(`v1/jobs/${encodeURIComponent(id)}`, "DELETE");
}

async function patiently(once, { signal, onProgress }) {
  for (let tries = 0; ; tries += 1) {
    const used = key;
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401 && (await newKey(used))) continue;
      if (tries >= (PATIENCE[error.code] ?? 0)) throw error;
      onProgress?.(0, "waiting");
      await pause(Math.min(error.retryAfter ?? 2, LONGEST_S), signal);
    }
  }
}

async function cutOnce({ image, fields, files, signal, onProgress }) {
  const started = performance.now();
  const request = await posted("v1/cutouts", { fields, files: { image, ...files }, signal, onProgress });
  const header = (name) => request.getResponseHeader(name);
  return { blob: request.response, facts: factsOf(header, performance.now() - started) };
}

/**
 * A form sent once; throws a `Problem` unless it is answered with 2xx.
 * @param {string} path
 * @param {{fields?: Record<string, string>, files?: Record<string, Blob>, signal?: AbortSignal,
 *   onProgress?: (share: number, state: string) => void}} parts
 * @returns {Promise<XMLHttpRequest>} with a Blob as its response
 */
function posted(path, { fields = {}, files = {}, signal, onProgress }) {
  const form = new FormData();
  for (const [name, file] of Object.entries(files)) form.append(name, file, nameOf(file, name));
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const failed = (error) => {
      signal?.removeEventListener("abort", stop);
      reject(error);
    };
    request.open("POST", path);
    if (key) request.setRequestHeader("X-API-Key", key);
    request.responseType = "blob";
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress?.(event.loaded / event.total, "sending");
    };
    request.upload.onload = () => onProgress?.(1, "working");
    request.onabort = () => failed(new DOMException("called off", "AbortError"));
    request.onerror = () => failed(unreachable());
    const answer = async () => {
      if (request.status < 200 || request.status > 299) {
        const retry = request.getResponseHeader("Retry-After");
        throw problemOf(request.status, retry, await textOf(request.response));
      }
      return request;
    };
    request.onload = () => {
      signal?.removeEventListener("abort", stop);
      resolve(answer());
    };
    if (signal?.aborted) return failed(new DOMException("called off", "AbortError"));
    signal?.addEventListener("abort", stop, { once: true });
    onProgress?.(0, "sending");
    request.send(form);
  });
}

/** @returns {import("./items.js").Facts} */
function factsOf(header, ms) {
  const number = (name) => (header(name) === null ? null : Number(header(name)));
  const [left, top, width, height] = ["Left", "Top", "Width", "Height"].map((side) =>
    number(`X-Foreground-${side}`),
  );
  return {
    confidence: number("X-Confidence"),
    notes: notesOf(header("X-Notes")),
    model: header("X-Model") ?? "",
    width: number("X-Width") ?? 0,
    height: number("X-Height") ?? 0,
    box: left === null ? null : { left, top, width, height },
    cached: header("X-Cache") === "hit",
    ms: Math.round(ms),
  };
}

function notesOf(text) {
  let lines = [];
  try {
    lines = [JSON.parse(text ?? "[]")].flat();
  } catch {
    lines = [...(text ?? "").matchAll(/"(\w+: [^"]*)"/g)].map((found) => found[1]); // cut off
  }
  return lines.map((line) => {
    const [, code, rest] = /^(\w+): ([^]*)$/.exec(line) ?? [null, "", String(line)];
    return { code, text: rest };
  });
}

async function getJson(path, method = "GET") {
  for (;;) {
    const used = key;
    let answer;
    try {
      answer = await fetch(path, { method, headers: used ? { "X-API-Key": used } : {} });
    } catch {
      throw unreachable();
    }
    if (answer.ok) return answer.json();
    const retry = answer.headers.get("Retry-After");
    const problem = problemOf(answer.status, retry, await answer.text());
    if (answer.status !== 401 || !(await newKey(used))) throw problem;
  }
}

/** Ask for another key than `used`, once for all requests; false if the user gives none. */
function newKey(used) {
  if (used !== key) return true;
  asking ??= asked(Boolean(key))
    .then((given) => {
      key = given ?? "";
      return Boolean(given);
    })
    .finally(() => {
      asking = null;
    });
  return asking;
}

/** A key that can be sent, or null. @param {boolean} wrong whether one was refused */
async function asked(wrong) {
  const given = await asker(wrong);
  return given === null || KEY.test(given) ? given : asked(true);
}

function problemOf(status, retry, text) {
  let said = {};
  try {
    said = JSON.parse(text) ?? {};
  } catch {
    // A proxy's page says nothing that we could use.
  }
  const wait = Number(retry);
  return new Problem(
    status,
    said.code ?? `http-${status}`,
    said.detail ?? `HTTP ${status}`,
    said.hint ?? "",
    retry && Number.isFinite(wait) ? wait : null,
  );
}

function unreachable() {
  return new Problem(0, "unreachable", "there was no answer");
}

async function textOf(blob) {
  return blob instanceof Blob ? blob.text() : "";
}

function nameOf(blob, name) {
  return /** @type {any} */ (blob).name || name;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("called off", "AbortError"));
    });
  });
}
