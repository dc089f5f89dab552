// @ts-check
/** Small pictures for the gallery, made one at a time and only where they are seen. */

const SIDE = 192;

/** @type {WeakMap<HTMLCanvasElement, {item: any, drawn: any}>} */
const known = new WeakMap();
/** @type {Set<HTMLCanvasElement>} */
const wanted = new Set();
let busy = false;

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) wanted.add(/** @type {any} */ (target));
      else wanted.delete(/** @type {any} */ (target));
    }
    drawNext();
  },
  { rootMargin: "200px" },
);

/**
 * Keep `canvas` showing `item`: its cutout once there is one, else the picture.
 * @param {import("./items.js").Item} item
 * @param {HTMLCanvasElement} canvas
 */
export function drawThumbnail(item, canvas) {
  const there = known.get(canvas);
  if (!there) {
    known.set(canvas, { item, drawn: null });
    seen.observe(canvas);
  } else if (there.drawn !== source(item)) {
    seen.unobserve(canvas); // so that it is told again whether it is seen
    seen.observe(canvas);
  }
}

function source(item) {
  return item.cutout ?? item.file;
}

async function drawNext() {
  if (busy) return;
  busy = true;
  for (const canvas of wanted) {
    wanted.delete(canvas);
    const entry = known.get(canvas);
    if (!entry || !canvas.isConnected) continue;
    const blob = source(entry.item);
    if (!blob || entry.drawn === blob) continue;
    entry.drawn = blob;
    await draw(canvas, blob);
    await new Promise((next) => requestAnimationFrame(next));
  }
  busy = false;
}

async function draw(canvas, blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { resizeHeight: SIDE, resizeQuality: "medium" });
  } catch {
    return; // not a picture for this browser: its cutout will be
  }
  const scale = Math.min(1, SIDE / bitmap.width);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, SIDE, SIDE);
  context.drawImage(bitmap, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
  canvas.classList.add("drawn");
  bitmap.close();
}
