// @ts-check
/** The network, away from the page's thread: {load} and {cut} in, {progress}, {ready}, {done} out. */

import { cutOut, planes, resized } from "./matte.js";

let session = null;
let card = null;
let Tensor = null;

/** @type {Record<string, (order: any) => Promise<void>>} */
const ORDERS = { load, cut };

onmessage = async ({ data }) => {
  try {
    await ORDERS[data.order](data);
  } catch (error) {
    postMessage({ order: "failed", id: data.id, what: data.order, why: String(error?.message ?? error) });
  }
};

/** @param {{gpu: boolean}} wish */
async function load({ gpu }) {
  card = await (await fetched("./model/card.json")).json();
  const adapter = gpu ? await globalThis.navigator.gpu?.requestAdapter().catch(() => null) : null;
  const kinds = adapter ? ["webgpu", "wasm"] : ["wasm"];
  for (const kind of kinds) {
    try {
      await open(kind);
      return;
    } catch (error) {
      if (kind === "wasm") throw error;
    }
  }
}

/** @param {string} kind "webgpu" or "wasm" */
async function open(kind) {
  const started = performance.now();
  const wasm = kind === "webgpu" ? "ort-wasm-simd-threaded.asyncify.wasm" : "ort-wasm-simd-threaded.wasm";
  const ort = await import(`./ort/ort.${kind}.min.mjs`);
  const [runtime, network] = await together([`./ort/${wasm}`, `./model/${card.file}`]);
  if ((await sha256(network)) !== card.sha256) throw new Error("the network's file is damaged");
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.wasm.wasmBinary = runtime;
  // Without the headers of an isolated page there is no shared memory, and one thread does it.
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1;
  session = await ort.InferenceSession.create(new Uint8Array(network), { executionProviders: [kind] });
  Tensor = ort.Tensor;
  const [, , h, w] = card.input.shape;
  await infer(new Float32Array(3 * h * w)); // what fails on this machine fails now
  const threads = kind === "wasm" ? ort.env.wasm.numThreads : 0;
  postMessage({ order: "ready", kind, threads, ms: performance.now() - started });
}

/** @param {{id: number, bitmap: ImageBitmap, width: number, height: number}} picture */
async function cut({ id, bitmap, width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (!pen) throw new Error("too large for this browser");
  pen.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = pen.getImageData(0, 0, width, height);
  const [, , h, w] = card.input.shape;
  const times = [performance.now()];
  const matte = await infer(planes(resized(data, width, height, w, h), card.input.normalise));
  times.push(performance.now());
  cutOut(data, width, height, matte, w, h);
  times.push(performance.now());
  const ms = { network: times[1] - times[0], edges: times[2] - times[1] };
  postMessage({ order: "done", id, pixels: data, width, height, matte, ms }, { transfer: [data.buffer, matte.buffer] });
}

/** @param {Float32Array} input */
async function infer(input) {
  const feed = new Tensor("float32", input, card.input.shape);
  const { [card.output.name]: answer } = await session.run({ [card.input.name]: feed });
  return Float32Array.from(await answer.getData());
}

/** Several files at once, telling how far they are. @param {string[]} urls */
async function together(urls) {
  const answers = await Promise.all(urls.map(fetched));
  const sizes = answers.map((answer) => Number(answer.headers.get("X-Size") ?? answer.headers.get("Content-Length") ?? 0));
  const packed = answers.some((answer) => answer.headers.get("Content-Encoding"));
  const all = packed ? 0 : sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  return Promise.all(answers.map(async (answer) => {
    const parts = [];
    for (let reader = answer.body.getReader(), part; !(part = await reader.read()).done; ) {
      parts.push(part.value);
      done += part.value.length;
      postMessage({ order: "progress", done, all });
    }
    return new Blob(parts).arrayBuffer();
  }));
}

/** @param {string} url */
async function fetched(url) {
  const answer = await fetch(new URL(url, import.meta.url));
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer;
}

/** @param {ArrayBuffer} data */
async function sha256(data) {
  if (!globalThis.crypto?.subtle) return card.sha256; // an insecure page (http) has no digests
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
