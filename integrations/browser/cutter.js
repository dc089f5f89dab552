// @ts-check
/** The worker as promises. */

/**
 * @typedef {{pixels: Uint8ClampedArray, width: number, height: number, matte: Float32Array,
 *   ms: {network: number, edges: number}}} Cut
 */

export class Cutter {
  #worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #count = 0;

  /** Load the network; `told` hears bytes done and all of them. @param {(done: number, all: number) => void} told */
  load(told, { gpu = true } = {}) {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => {
        if (data.order === "progress") told(data.done, data.all);
        else if (data.order === "ready") resolve(data);
        else if (data.order === "failed" && data.what === "load") reject(new Error(data.why));
        else this.#answer(data);
      };
      this.#worker.onerror = (event) => reject(new Error(event.message || "the worker did not start"));
      this.#worker.postMessage({ order: "load", gpu });
    });
  }

  /** @param {ImageBitmap} bitmap @param {number} width @param {number} height @returns {Promise<Cut>} */
  cut(bitmap, width, height) {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ order: "cut", id, bitmap, width, height }, [bitmap]);
    });
  }

  #answer(data) {
    const { resolve, reject } = this.#waiting.get(data.id) ?? {};
    this.#waiting.delete(data.id);
    if (data.order === "done") resolve?.(data);
    else reject?.(new Error(data.why));
  }
}
