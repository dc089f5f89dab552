"use strict";
(() => {
  const PAGE = 500;
  const data = JSON.parse(document.getElementById("data").textContent);
  const text = data.texts;
  const $ = (id) => document.getElementById(id);
  // One row is an array; contact_sheet.py says what stands where.
  const all = data.rows.map((row, at) => ({
    at, name: row[0], failed: row[1] === 1, sure: row[2], ms: row[3], thumb: row[4], folder: data.folders[row[5][0]], file: row[5][1],
    reasons: row[6].map((i) => text[i]), notes: row[7].map((i) => text[i]), width: row[8], height: row[9],
    error: row[10] ? row[10].map((i) => text[i]) : null, cached: row[11] === 1, path: row[12],
    folded: row[0].toLowerCase(),
  }));
  // Where a browser finds the source ("" if it cannot), and where the user does.
  for (const one of all) {
    one.source = one.folder[0] === "" ? "" : one.folder[0] + one.file;
    one.low = !one.failed && one.sure !== null && one.sure < data.low;
    one.kind = one.failed ? one.error[0] + " " + one.error[1].replace(/\d+/g, "0") : "";
  }
  const filters = [
    ["all", "All", () => true],
    ["failed", "Failed", (one) => one.failed],
    ["low", "Low confidence", (one) => one.low],
    ["noted", "Noted", (one) => one.notes.length > 0],
  ];
  const state = { filter: "all", kind: "", search: "", sort: "trouble", page: 0, ground: "check", onlyMarked: false };
  let shown = [];
  let open = -1;

  function el(tag, facts, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(facts || {})) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key === "class") node.className = value;
      else if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  }
  const href = (name) => "./" + name.split("/").map(encodeURIComponent).join("/");
  const percent = (sure) => (sure === null ? "" : Math.round(100 * sure) + " %");
  const number = (value) => value.toLocaleString("en").replace(/,/g, "\u202f");
  function duration(seconds) {
    if (seconds < 60) return seconds.toFixed(seconds < 10 ? 1 : 0) + " s";
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return minutes + " min " + Math.round(seconds % 60) + " s";
    return Math.floor(minutes / 60) + " h " + (minutes % 60) + " min";
  }

  // What the user prefers and marks is kept by the browser, if it keeps anything for this page.
  const KEY = "cleancut:" + location.pathname;
  let kept = {};
  try { kept = JSON.parse(localStorage.getItem(KEY) || "{}"); } catch { kept = {}; }
  const marked = new Set(Array.isArray(kept.marked) ? kept.marked : []);
  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify({ marked: [...marked], ground: state.ground, own: own.value, size: $("size").value }));
    } catch { /* private windows keep nothing */ }
  }

  // -- head ---------------------------------------------------------------------------------------
  const { run, totals } = data.report;
  document.title = data.report.output.split(/[\\/]/).filter(Boolean).pop() + " \u2013 contact sheet";
  $("where").textContent = data.report.output + " \u00b7 " + run.began.replace("T", " ").replace("Z", " UTC");
  $("version").textContent = "cleancut " + data.report.cleancut;
  const tiles = [
    ["pictures", number(totals.done + totals.failed), ""],
    ["failed", number(totals.failed), totals.failed ? "bad" : ""],
    ["low confidence", number(totals.low_confidence), totals.low_confidence ? "warn" : ""],
    ["this run", number(run.done + run.failed), ""],
    ["from the cache", number(run.cached), ""],
    ["pictures/s", run.pictures_per_second === null ? "\u2013" : run.pictures_per_second.toFixed(run.pictures_per_second < 10 ? 2 : 0), ""],
    ["run time", duration(run.seconds), ""],
  ];
  for (const [label, value, kind] of tiles) {
    if (label === "from the cache" && !run.cached) continue;
    if ((label === "this run" || label === "pictures/s") && run.done + run.failed === 0) continue;
    $("tiles").append(el("div", { class: kind }, el("dt", {}, label), el("dd", {}, value)));
  }
  const banners = [];
  if (run.stopped) banners.push("The run was stopped early (" + run.stopped + "). Run the same command again to go on.");
  if (totals.unfinished) banners.push(number(totals.unfinished) + " pictures were begun or planned and are not finished.");
  if (data.total > all.length) banners.push("This page shows " + number(all.length) + " of " + number(data.total) + " pictures: the failed, unsure and noted ones first.");
  if (banners.length) { $("stopped").textContent = banners.join(" "); $("stopped").hidden = false; }

  const failures = all.filter((one) => one.failed);
  if (failures.length) {
    const groups = new Map();
    for (const one of failures) {
      const [code, message, hint] = one.error;
      if (!groups.has(one.kind)) groups.set(one.kind, { kind: one.kind, code, message, hint, count: 0, first: one });
      groups.get(one.kind).count += 1;
    }
    const rows = [...groups.values()].sort((a, b) => b.count - a.count);
    const body = el("tbody");
    for (const group of rows.slice(0, 8)) {
      const choose = el("button", { type: "button", onclick: () => set({ filter: "failed", kind: group.kind }) }, "Show");
      body.append(el("tr", {}, el("td", {}, number(group.count) + " \u00d7"), el("td", {}, el("strong", {}, group.code), el("small", {}, "like " + group.first.path)),
        el("td", {}, group.message, el("small", {}, group.hint)), el("td", {}, choose)));
    }
    if (rows.length > 8) body.append(el("tr", {}, el("td"), el("td", { class: "more", colspan: "3" }, "and " + number(rows.length - 8) + " other kinds: see Failed below")));
    $("failures").append(el("h2", {}, failures.length === 1 ? "One picture failed" : number(failures.length) + " pictures failed"), el("table", {}, body));
    $("failures").hidden = false;
  }

  // -- bar ----------------------------------------------------------------------------------------
  const chips = new Map();
  for (const [key, label, test] of filters) {
    const amount = all.reduce((sum, one) => sum + (test(one) ? 1 : 0), 0);
    const chip = el("button", { type: "button", onclick: () => set({ filter: key, kind: "", onlyMarked: false }) }, label, el("span", {}, number(amount)));
    chips.set(key, chip);
    $("filters").append(chip);
  }
  const own = el("input", { type: "color", value: "#ff5fa2", "aria-label": "Background colour", tabindex: "-1" });
  const grounds = new Map();
  for (const [key, label] of [["check", "Checkerboard"], ["white", "White"], ["black", "Black"], ["own", "Colour"]]) {
    const swatch = el("button", { type: "button", class: "swatch-" + key, title: label + " (B)", "aria-label": label, onclick: () => ground(key) });
    grounds.set(key, swatch);
    $("grounds").append(swatch);
  }
  $("grounds").append(own);
  own.hidden = true;
  grounds.get("own").addEventListener("click", () => own.click());
  own.addEventListener("input", () => ground("own"));
  function ground(key) {
    state.ground = key;
    document.documentElement.dataset.ground = key;
    document.documentElement.style.setProperty("--own", own.value);
    for (const [name, swatch] of grounds) swatch.setAttribute("aria-pressed", String(name === key));
    keep();
  }
  $("size").addEventListener("input", () => { resize(); keep(); });
  function resize() { document.documentElement.style.setProperty("--thumb", $("size").value + "px"); }
  let typing = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => set({ search: $("search").value }), all.length > 5000 ? 200 : 0);
  });
  $("sort").addEventListener("change", () => set({ sort: $("sort").value }));

  // -- grid ---------------------------------------------------------------------------------------
  const byName = (a, b) => (a.folded < b.folded ? -1 : a.folded > b.folded ? 1 : a.at - b.at);
  const surely = (one) => (one.failed ? -1 : one.sure === null ? 2 : one.sure);
  const trouble = (one) => (one.failed ? 0 : one.low ? 1 : one.notes.length ? 2 : 3);
  const orders = {
    name: byName,
    confidence: (a, b) => surely(a) - surely(b) || byName(a, b),
    time: (a, b) => b.ms - a.ms || byName(a, b),
    trouble: (a, b) => trouble(a) - trouble(b) || (trouble(a) === 1 ? a.sure - b.sure : 0) || byName(a, b),
  };
  function set(change) {
    Object.assign(state, { page: 0 }, change);
    choose();
  }
  function choose() {
    const test = filters.find(([key]) => key === state.filter)[2];
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    shown = all.filter((one) => test(one) && (!state.kind || one.kind === state.kind)
      && (!state.onlyMarked || marked.has(one.name)) && words.every((word) => one.folded.includes(word)));
    shown.sort(orders[state.sort]);
    draw();
  }
  function draw() {
    for (const [key, chip] of chips) chip.setAttribute("aria-pressed", String(key === state.filter && !state.onlyMarked));
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * PAGE;
    const part = shown.slice(first, first + PAGE);
    $("grid").replaceChildren(...(part.length ? part.map((one, at) => card(one, first + at)) : [empty()]));
    const what = state.kind ? " that failed alike" : "";
    $("count").textContent = (shown.length === 1 ? "1 picture" : number(shown.length) + " pictures") + what
      + (pages > 1 ? ", page " + (state.page + 1) + " of " + pages : "");
    drawPages(pages);
    drawMarked();
  }
  function empty() {
    const nothing = state.filter === "failed" ? "Nothing failed." : state.filter === "low" ? "No picture is unsure." : "No picture matches.";
    return el("li", { class: "empty" }, all.length ? nothing : "No picture has been finished yet.");
  }
  function drawPages(pages) {
    const buttons = [];
    for (let page = 0; pages > 1 && page < pages; page += 1) {
      const near = Math.abs(page - state.page) <= 2 || page === 0 || page === pages - 1;
      if (near) buttons.push(el("button", { type: "button", "aria-pressed": String(page === state.page), onclick: () => { state.page = page; draw(); $("bar").scrollIntoView(); } }, String(page + 1)));
      else if (buttons.length && buttons[buttons.length - 1].tagName !== "SPAN") buttons.push(el("span", {}, "\u2026"));
    }
    $("pages").replaceChildren(...buttons);
  }
  function card(one, at) {
    const kind = one.failed ? "failed" : one.low ? "low" : one.notes.length ? "noted" : "";
    const look = el("button", { type: "button", class: "look" + (one.failed ? "" : " ground"), "aria-label": one.failed ? one.name + ", failed" : one.name, onclick: () => view(at) });
    if (one.failed) {
      look.append(el("span", {}, el("b", {}, one.error[0]), one.error[1], el("small", {}, one.error[2])));
    } else if (one.thumb) {
      const small = el("img", { loading: "lazy", decoding: "async", alt: "", draggable: "false" });
      small.addEventListener("error", () => small.replaceWith(el("span", { class: "none" }, "no small picture")), { once: true });
      small.src = href(data.thumbs + "/" + one.thumb);
      look.append(small);
      before(look, one);
    } else {
      const large = el("img", { loading: "lazy", decoding: "async", alt: "" });
      large.src = href(one.name);
      look.append(large);
    }
    const facts = el("div", { class: "facts" });
    if (one.sure !== null) {
      const bar = el("b");
      bar.style.width = Math.round(100 * one.sure) + "%";
      facts.append(el("span", { class: "sure", title: "Estimated chance that the matte is right" }, el("i", {}, bar), percent(one.sure)));
    }
    if (!one.failed) facts.append(el("span", {}, one.cached ? "cached" : duration(one.ms / 1000)), el("span", {}, one.width ? one.width + "\u00d7" + one.height : ""));
    const label = el("bdi", {}, one.failed ? one.path || one.name : one.name);
    const name = one.failed
      ? el(one.source ? "a" : "span", { class: "name", href: one.source || false, target: "_blank", rel: "noopener", title: one.path }, label)
      : el("a", { class: "name", href: href(one.name), target: "_blank", rel: "noopener", title: one.name }, label);
    const why = [...one.reasons, ...one.notes][0];
    const body = el("div", { class: "text" }, name, facts, why && (one.low || one.notes.length) ? el("div", { class: "why", title: [...one.reasons, ...one.notes].join("\n") }, why) : null);
    const tick = el("button", { type: "button", class: "tick", "aria-label": "Mark " + one.name, "aria-pressed": String(marked.has(one.name)), onclick: () => mark(one) }, "\u2713");
    const item = el("li", { class: ["card", kind, marked.has(one.name) ? "marked" : ""].join(" "), "data-at": String(at) }, look, tick, body);
    one.card = item;
    return item;
  }
  // The original, in the place of the cutout, while the pointer rests on it.
  function before(look, one) {
    if (!one.source) return;
    let timer = 0;
    look.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") timer = setTimeout(() => original(look, one), 350); });
    look.addEventListener("pointerleave", () => { clearTimeout(timer); cutout(look); });
  }
  function original(look, one) {
    if (!one || !one.source || look.querySelector(".original")) return;
    const image = el("img", { class: "original", alt: "" });
    image.addEventListener("load", () => { const small = look.querySelector("img:not(.original)"); if (small && image.isConnected) small.style.visibility = "hidden"; });
    image.addEventListener("error", () => cutout(look));
    image.src = one.source;
    look.append(image);
  }
  function cutout(look) {
    const image = look.querySelector(".original");
    if (image) image.remove();
    const small = look.querySelector("img");
    if (small) small.style.visibility = "";
  }

  // -- marks --------------------------------------------------------------------------------------
  function mark(one) {
    if (marked.has(one.name)) marked.delete(one.name); else marked.add(one.name);
    if (one.card) {
      one.card.classList.toggle("marked", marked.has(one.name));
      one.card.querySelector(".tick").setAttribute("aria-pressed", String(marked.has(one.name)));
    }
    drawMarked();
    keep();
  }
  function drawMarked() {
    const there = all.reduce((sum, one) => sum + (marked.has(one.name) ? 1 : 0), 0);
    $("marked").hidden = there === 0;
    $("marked-count").textContent = there === 1 ? "1 marked" : number(there) + " marked";
    $("marked-show").setAttribute("aria-pressed", String(state.onlyMarked));
    $("viewer-mark").setAttribute("aria-pressed", String(open >= 0 && shown[open] !== undefined && marked.has(shown[open].name)));
  }
  const list = () => all.filter((one) => marked.has(one.name)).map((one) => one.folder[1] + decode(one.file)).join("\n") + "\n";
  function decode(file) { try { return decodeURIComponent(file); } catch { return file; } }
  $("marked-copy").addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(list()); } catch {
      const area = el("textarea", {}, list());
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    $("marked-copy").textContent = "Copied";
    setTimeout(() => { $("marked-copy").textContent = "Copy sources"; }, 1500);
  });
  $("marked-save").addEventListener("click", () => {
    const link = el("a", { href: URL.createObjectURL(new Blob([list()], { type: "text/plain" })), download: "marked.txt" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  $("marked-show").addEventListener("click", () => set({ onlyMarked: !state.onlyMarked }));
  $("marked-clear").addEventListener("click", () => { marked.clear(); state.onlyMarked = false; keep(); choose(); });

  // -- one picture --------------------------------------------------------------------------------
  function view(at) {
    const one = shown[at];
    if (!one) return;
    open = at;
    wipe(0);
    $("viewer-name").textContent = one.failed ? one.path || one.name : one.name;
    $("viewer-facts").textContent = one.failed ? one.error[0] : [one.width ? one.width + "\u00d7" + one.height : "", one.sure === null ? "" : "confidence " + percent(one.sure), duration(one.ms / 1000)].filter(Boolean).join(" \u00b7 ");
    $("viewer-notes").textContent = one.failed ? one.error[1] + " \u2013 " + one.error[2] : [...one.reasons, ...one.notes].join(" \u00b7 ");
    $("after-image").hidden = one.failed;
    if (one.failed) $("after-image").removeAttribute("src"); else $("after-image").src = href(one.name);
    $("before").hidden = $("wipe").hidden = !one.source;
    if (one.source) $("before-image").src = one.source; else $("before-image").removeAttribute("src");
    if (one.failed && one.source) wipe(100);
    $("viewer-open").href = one.failed ? one.source || "#" : href(one.name);
    drawMarked();
    if (!$("viewer").open) $("viewer").showModal();
  }
  function wipe(value) {
    $("wipe").value = value;
    $("pair").style.setProperty("--wipe", value + "%");
  }
  $("before-image").addEventListener("error", () => { $("before").hidden = $("wipe").hidden = true; });
  $("wipe").addEventListener("input", () => wipe($("wipe").value));
  $("viewer-close").addEventListener("click", () => $("viewer").close());
  $("viewer-back").addEventListener("click", () => step(-1));
  $("viewer-next").addEventListener("click", () => step(1));
  $("viewer-mark").addEventListener("click", () => shown[open] && mark(shown[open]));
  $("viewer").addEventListener("click", (event) => { if (event.target === $("viewer")) $("viewer").close(); });
  $("viewer").addEventListener("close", () => {
    const one = shown[open];
    open = -1;
    if (one && one.card && one.card.isConnected) { one.card.scrollIntoView({ block: "nearest" }); one.card.querySelector(".look").focus(); }
  });
  function step(by) {
    const next = open + by;
    if (next < 0 || next >= shown.length) return;
    const page = Math.floor(next / PAGE);
    if (page !== state.page) { state.page = page; draw(); }
    view(next);
  }

  // -- keys ---------------------------------------------------------------------------------------
  const focused = () => { const item = document.activeElement && document.activeElement.closest(".card"); return item ? Number(item.dataset.at) : -1; };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typed = event.target.matches("input[type=search], select, textarea");
    if (typed) { if (event.key === "Escape") event.target.blur(); return; }
    const one = open >= 0 ? shown[open] : shown[focused()];
    if (event.key === "/") { event.preventDefault(); if (open < 0) $("search").focus(); }
    else if (event.key === "m" || event.key === "x") { if (one) mark(one); }
    else if (event.key === "b") { const keys = [...grounds.keys()]; ground(keys[(keys.indexOf(state.ground) + 1) % keys.length]); }
    else if (event.key === " " && open >= 0) { event.preventDefault(); if (!event.repeat && !one.failed && one.source) wipe(100); }
    else if (event.key === " " && focused() >= 0 && event.target.matches(".look")) { event.preventDefault(); original(event.target, one); }
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") arrows(event, event.key === "ArrowRight" ? 1 : -1);
    else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && open < 0 && focused() >= 0) arrows(event, (event.key === "ArrowDown" ? 1 : -1) * columns());
  });
  document.addEventListener("keyup", (event) => {
    if (event.key !== " ") return;
    if (open >= 0) { if (!shown[open].failed) wipe(0); } else if (event.target.matches && event.target.matches(".look")) { event.preventDefault(); cutout(event.target); }
  });
  function columns() { return getComputedStyle($("grid")).gridTemplateColumns.split(" ").length; }
  function arrows(event, by) {
    if (event.target.matches("input")) return;
    if (open >= 0) { event.preventDefault(); step(by); return; }
    const item = $("grid").querySelector('[data-at="' + (focused() + by) + '"]');
    if (focused() >= 0 && item) { event.preventDefault(); item.querySelector(".look").focus(); }
  }

  if (typeof kept.own === "string" && /^#[0-9a-f]{6}$/i.test(kept.own)) own.value = kept.own;
  if (Number(kept.size) >= 110) $("size").value = kept.size;
  resize();
  ground(grounds.has(kept.ground) ? kept.ground : "check");
  choose();
})();
