// @ts-check
/**
 * Keeps the page's files, so that it works offline. build.py writes what they are. It also says
 * what many static hosts cannot: that the page is isolated, which lets the network use threads.
 */

const VERSION = "__VERSION__";
/** What every visit needs; the network and its runtime are kept when they are first asked for. */
const SHELL = /** @type {string[]} */ (JSON.parse('__SHELL__'));
/** Lengths of the large files: hosts that pack them do not say. */
const SIZES = JSON.parse('__SIZES__');
const HEADERS = JSON.parse('__HEADERS__');

addEventListener("install", (/** @type {any} */ event) => {
  event.waitUntil(caches.open(VERSION).then((kept) => kept.addAll(SHELL)));
  /** @type {any} */ (self).skipWaiting();
});

addEventListener("activate", (/** @type {any} */ event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((key) => key.startsWith("cleancut-") && key !== VERSION);
    await Promise.all(old.map((key) => caches.delete(key)));
    await /** @type {any} */ (self).clients.claim();
  })());
});

addEventListener("fetch", (/** @type {any} */ event) => {
  const url = new URL(event.request.url);
  if (url.origin === location.origin && event.request.method === "GET") event.respondWith(answer(event, url));
});

async function answer(event, url) {
  const kept = await caches.open(VERSION);
  url.search = "";
  const found = await kept.match(url.pathname.endsWith("/") ? new URL("index.html", url) : url);
  if (found) return isolated(found, url);
  const fresh = await fetch(event.request);
  if (fresh.ok && SIZES[name(url)]) event.waitUntil(kept.put(url, fresh.clone()));
  return isolated(fresh, url);
}

/** @param {URL} url */
const name = (url) => url.href.slice(new URL("./", location.href).href.length);

/** @param {Response} response @param {URL} url */
function isolated(response, url) {
  if (response.status === 0 || response.redirected) return response;
  const headers = new Headers(response.headers);
  for (const [key, value] of Object.entries(HEADERS)) headers.set(key, value);
  if (SIZES[name(url)]) headers.set("X-Size", String(SIZES[name(url)]));
  headers.delete("Content-Encoding");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
