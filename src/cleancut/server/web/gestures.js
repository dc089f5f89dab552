/** Wheel, pointers and keys that move the view; what a tool wants is passed on to it. */

/** A finger that moved less than this has tapped, in CSS pixels. */
const TAP = 6;
/** Fingers that come this soon after the first mean a pinch, not a stroke, in milliseconds. */
const PINCH_WITHIN = 250;
/** Arrow keys move by this, in CSS pixels. */
const ARROW = 40;
const ARROWS = {
  ArrowLeft: [1, 0],
  ArrowRight: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

/**
 * @typedef {object} Tool what gets the pointer first, in picture coordinates
 * @property {(point: [number, number], event: PointerEvent) => void} down
 * @property {(points: [number, number][], event: PointerEvent) => void} move
 * @property {(event: PointerEvent) => void} up
 * @property {() => void} cancel
 */

/**
 * Lets an element be zoomed and panned.
 * @param {HTMLElement} element
 * @param {import("./view.js").View} view
 * @param {() => Tool | null} tool the tool in hand; null pans
 */
export function handleGestures(element, view, tool) {
  const pointers = new Map();
  let drawing = null;
  let started = 0;
  let space = false;
  const ratio = () => view.wide / Math.max(1, element.clientWidth);
  const at = (event) => {
    const box = element.getBoundingClientRect();
    return [(event.clientX - box.left) * ratio(), (event.clientY - box.top) * ratio()];
  };
  const inPicture = (event) => view.toPicture(...at(event));

  element.addEventListener("pointerdown", (event) => {
    if (event.target !== element || (event.button !== 0 && event.button !== 1)) return;
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    if (pointers.size === 2 && drawing !== null && performance.now() - started < PINCH_WITHIN) {
      tool()?.cancel();
      drawing = null;
    }
    const pans = space || event.button === 1 || pointers.size > 1;
    if (tool() && !pans && drawing === null) {
      drawing = event.pointerId;
      started = performance.now();
      tool().down(inPicture(event), event);
    }
    element.classList.toggle("panning", drawing === null);
  });

  element.addEventListener("pointermove", (event) => {
    if (event.pointerId === drawing) {
      const events = event.getCoalescedEvents?.() ?? [];
      tool()?.move((events.length ? events : [event]).map(inPicture), event);
    }
    if (!pointers.has(event.pointerId)) return;
    const before = [...pointers.values()];
    pointers.set(event.pointerId, at(event));
    if (drawing !== null) return;
    const after = [...pointers.values()];
    if (after.length === 1) view.pan(after[0][0] - before[0][0], after[0][1] - before[0][1]);
    if (after.length === 2) pinch(view, before, after);
  });

  const end = (event) => {
    pointers.delete(event.pointerId);
    if (event.pointerId === drawing) {
      drawing = null;
      if (event.type === "pointerup") tool()?.up(event);
      else tool()?.cancel();
    }
    if (!pointers.size) element.classList.remove("panning");
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);

  element.addEventListener(
    "wheel",
    (event) => {
      if (/** @type {Element} */ (event.target).closest("details[open]")) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const speed = event.ctrlKey ? 0.01 : 0.002;
      const factor = Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * speed);
      view.zoomBy(factor, ...at(event));
    },
    { passive: false },
  );

  element.addEventListener("dblclick", (event) => {
    if (tool() || event.target !== element) return;
    if (view.fitted) view.zoomTo(Math.max(1, view.scale * 2), ...at(event));
    else view.fit();
  });
  doubleTap(element, (event) => {
    if (!tool()) element.dispatchEvent(new MouseEvent("dblclick", event));
  });

  element.addEventListener("keydown", (event) => {
    if (event.code === "Space" && event.target === element) {
      event.preventDefault();
      space = true;
      element.classList.add("grabbable");
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = event.target === element ? ARROWS[event.key] : undefined;
    if (arrow) {
      event.preventDefault();
      view.pan(arrow[0] * ARROW * ratio(), arrow[1] * ARROW * ratio());
    }
  });
  const released = (event) => {
    if (event.type === "keyup" && event.code !== "Space") return;
    space = false;
    element.classList.remove("grabbable");
  };
  element.addEventListener("keyup", released);
  element.addEventListener("blur", released);
}

/** Two fingers: their distance zooms, their middle pans. */
function pinch(view, before, after) {
  const middle = ([[ax, ay], [bx, by]]) => [(ax + bx) / 2, (ay + by) / 2];
  const apart = ([[ax, ay], [bx, by]]) => Math.hypot(ax - bx, ay - by) || 1;
  const [x0, y0] = middle(before);
  const [x1, y1] = middle(after);
  view.pan(x1 - x0, y1 - y0);
  view.zoomBy(apart(after) / apart(before), x1, y1);
}

/** Two taps of a finger; browsers that zoom by themselves send no dblclick for them. */
function doubleTap(element, act) {
  let last = null;
  let from = null;
  element.addEventListener("pointerdown", (event) => {
    from = event.isPrimary && event.pointerType === "touch" ? event : null;
  });
  element.addEventListener("pointerup", (event) => {
    if (!from || Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > TAP) {
      last = null;
      return;
    }
    if (last && event.timeStamp - last.timeStamp < 350) act(event);
    last = last && event.timeStamp - last.timeStamp < 350 ? null : event;
  });
}
