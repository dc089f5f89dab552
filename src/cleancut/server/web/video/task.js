// @ts-check
/** One video on its way: sent, worked on by the server, there to be fetched; survives a reload. */

import * as api from "../api.js";

const KEPT = "cleancut.video";
/** Seconds that one look at a job waits for its end, and between two looks. */
const WAIT_S = 1;
const PAUSE_MS = 700;

/**
 * @typedef {"empty" | "chosen" | "sending" | "waiting" | "working" | "done" | "failed"} State
 * @typedef {{share: number, seconds_left: number | null, frames?: number, fps?: number}} Progress
 */

/** Fires "change". There is one video at a time. */
class Task extends EventTarget {
  /** @type {State} */
  state = "empty";
  /** @type {File | null} */
  file = null;
  name = "";
  /** Of what is sent, 0 to 1. */
  sent = 0;
  /** @type {Progress | null} */
  progress = null;
  /** The item of the job, once it has ended. @type {any} */
  result = null;
  /** @type {any} */
  problem = null;
  /** @type {string} */
  #job = "";
  #abort = new AbortController();

  /** Whether something would be lost or goes on. */
  get busy() {
    return ["sending", "waiting", "working"].includes(this.state);
  }

  /** Take a file, or nothing; what was there is forgotten. @param {File | null} file */
  choose(file) {
    this.#forget();
    this.#set({ file, name: file?.name ?? "", state: file ? "chosen" : "empty", result: null, problem: null });
  }

  /**
   * Send the file and follow the job.
   * @param {Record<string, string>} fields @param {Record<string, Blob>} files
   */
  async start(fields, files) {
    const { file } = this;
    if (!file) return;
    this.#forget();
    const { signal } = this.#abort;
    this.#set({ state: "sending", sent: 0, progress: null, result: null, problem: null });
    const onProgress = (share, state) => this.#set({ sent: share, state: state === "sending" ? "sending" : "waiting" });
    try {
      const job = await api.startJob({ fields, files: { video: file, ...files }, signal, onProgress });
      this.#keep(job.id);
      await this.#follow(signal);
    } catch (problem) {
      this.#failed(problem, signal);
    }
  }

  /** Go on with the job of an earlier visit; false if there is none any more. */
  async resume() {
    const kept = keptJob();
    if (!kept) return false;
    const { signal } = this.#abort;
    try {
      const job = await api.job(kept.job);
      if (signal.aborted) return false; // a file was chosen meanwhile
      if (["expired", "cancelled"].includes(job.status)) throw new Error(job.status);
      this.#job = kept.job;
      this.name = kept.name;
      this.#hear(job);
    } catch (problem) {
      if (!signal.aborted && /** @type {any} */ (problem)?.status !== 0) forgetJob(); // it is gone, not out of reach
      return false;
    }
    this.#follow(signal).catch((problem) => this.#failed(problem, signal));
    return true;
  }

  /** Call it off; the file stays chosen. */
  async cancel() {
    const job = this.#job;
    this.#forget();
    this.#set({ state: this.file ? "chosen" : "empty", progress: null });
    if (job) await api.removeJob(job).catch(() => null); // it ends by itself at the latest
  }

  async #follow(signal) {
    for (;;) {
      const job = await this.#looked(signal);
      if (signal.aborted) return;
      this.#hear(job);
      if (!this.busy) return;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** The job, asked again while the server is away: it goes on when that is back. */
  async #looked(signal) {
    for (;;) {
      try {
        return await api.job(this.#job, WAIT_S);
      } catch (problem) {
        const { status } = /** @type {any} */ (problem);
        if (signal.aborted || (status !== 0 && status !== 503 && status !== 429)) throw problem;
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
  }

  #hear(job) {
    const [item] = job.items;
    if (job.status === "cancelled" || job.status === "expired") {
      this.#forget();
      this.#set({ state: this.file ? "chosen" : "empty" });
    } else if (item?.status === "done" && item.result) this.#set({ state: "done", result: item, name: item.name });
    else if (item?.status === "failed") {
      const { code, message, hint } = item.error;
      forgetJob();
      this.#set({ state: "failed", problem: new api.Problem(200, code, message, hint) });
    } else this.#set({ state: item?.status === "running" ? "working" : "waiting", progress: item?.progress ?? null });
  }

  #failed(problem, signal) {
    if (signal.aborted) return;
    forgetJob();
    this.#set({ state: "failed", problem });
  }

  #keep(job) {
    this.#job = job;
    try {
      localStorage.setItem(KEPT, JSON.stringify({ job, name: this.name }));
    } catch {
      // A browser that keeps nothing forgets the job with the page.
    }
  }

  #forget() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#job = "";
    forgetJob();
  }

  #set(values) {
    Object.assign(this, values);
    this.dispatchEvent(new Event("change"));
  }
}

export const task = new Task();

function keptJob() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    return typeof kept?.job === "string" && typeof kept?.name === "string" ? kept : null;
  } catch {
    return null;
  }
}

function forgetJob() {
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // Nothing was kept.
  }
}
