// Sorts tables, hides systems, changes what is behind cutouts, enlarges a tile, lets one judge
// without names. The page says everything without it.
"use strict";
{
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const called = (tile) => tile.dataset.letter || tile.querySelector("b").textContent;

  // -- tables
  for (const table of all("table.sorts")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, heads, head, column));
    });
  }

  function sort(table, heads, head, column) {
    const up = head.ariaSort !== "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const value = (row) => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? Number(cell.dataset.value) : null;
    };
    const text = (row) => row.cells[column].textContent;
    const rows = [...body.rows].sort((one, two) => {
      const [a, b] = [value(one), value(two)];
      if (column && (a === null) !== (b === null)) return a === null ? 1 : -1;
      const order = a === null ? text(one).localeCompare(text(two)) : a - b;
      return up ? order : -order;
    });
    body.append(...rows);
  }

  // -- what is shown
  const tools = document.querySelector("#tools");
  if (tools) {
    tools.hidden = false;
    tools.addEventListener("change", (event) => {
      const input = event.target;
      if (input.matches("select")) document.documentElement.dataset.ground = input.value;
      else for (const part of all("[data-system]")) {
        if (part.dataset.system === input.value) part.hidden = !input.checked;
      }
    });
  }

  // -- one tile, large
  const dialog = document.querySelector("dialog");
  if (dialog && dialog.showModal) {
    for (const tile of all(".tile")) {
      const crop = tile.querySelector(".crop");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "enlarge";
      button.ariaLabel = `Enlarge ${called(tile)}`;
      crop.replaceWith(button);
      button.append(crop);
      button.addEventListener("click", () => {
        dialog.querySelector("h3").textContent =
          `${tile.closest(".exhibit").querySelector("h3").textContent}: ${called(tile)}`;
        const views = all("img", tile).filter((image) => image.offsetParent).map((image) => {
          const copy = image.cloneNode();
          if (!image.closest(".error")) copy.className = "board";
          return copy;
        });
        dialog.querySelector(".views").replaceChildren(...views);
        dialog.showModal();
      });
    }
    dialog.querySelector("button").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  // -- judging without names: tiles in a random order, the best of each picture, then who it was
  const judge = document.querySelector("#judge");
  if (judge) {
    const [start, reveal] = all("button", judge);
    const told = judge.querySelector("[role=status]");
    const verdict = document.querySelector("#verdict");
    const exhibits = all(".exhibit");
    // The network alone is no cutout that anybody would hand in.
    const judged = (exhibit) => all(".tile[data-system]", exhibit)
      .filter((tile) => !tile.hidden && !tile.dataset.system.endsWith(":raw"));
    const chosen = (exhibit) => all(".tile.best", exhibit);
    let blind = false;

    start.addEventListener("click", () => (blind ? end() : begin()));
    reveal.addEventListener("click", () => { const text = count(); end(); show(text); });

    function begin() {
      blind = true;
      document.documentElement.dataset.blind = "";
      verdict.hidden = true;
      for (const exhibit of exhibits) {
        const tiles = judged(exhibit);
        shuffle(tiles).forEach((tile, place) => mark(tile, String.fromCharCode(65 + place)));
        tiles.at(-1)?.parentElement.append(...tiles);
      }
      start.textContent = "Stop judging";
      reveal.hidden = false;
      say();
    }

    function mark(tile, letter) {
      tile.dataset.letter = letter;
      tile.classList.add("judged");
      for (const image of all("img", tile)) {
        image.dataset.alt = image.alt;
        image.alt = `${letter}, a cutout`;
      }
      const button = document.createElement("button");
      button.type = "button";
      button.className = "vote";
      button.textContent = `${letter} is best`;
      button.ariaPressed = "false";
      button.addEventListener("click", () => {
        button.ariaPressed = String(tile.classList.toggle("best"));
        say();
      });
      tile.append(button);
      const enlarge = tile.querySelector(".enlarge");
      if (enlarge) enlarge.ariaLabel = `Enlarge ${letter}`;
    }

    function end() {
      blind = false;
      delete document.documentElement.dataset.blind;
      for (const tile of all(".tile.judged")) {
        tile.querySelector(".vote").remove();
        tile.classList.remove("judged", "best");
        delete tile.dataset.letter;
        for (const image of all("img", tile)) image.alt = image.dataset.alt;
        const enlarge = tile.querySelector(".enlarge");
        if (enlarge) enlarge.ariaLabel = `Enlarge ${called(tile)}`;
      }
      for (const exhibit of exhibits) {
        const order = all("#tools input").map((input) => input.value);
        const tiles = all(".tile[data-system]", exhibit);
        tiles.sort((a, b) => order.indexOf(a.dataset.system) - order.indexOf(b.dataset.system));
        tiles.at(-1)?.parentElement.append(...tiles);
      }
      start.textContent = "Judge blind";
      reveal.hidden = true;
      told.textContent = "";
    }

    function say() {
      const done = exhibits.filter((exhibit) => chosen(exhibit).length).length;
      told.textContent = `${done} of ${exhibits.length} pictures judged; several may be equally good`;
    }

    // A picture is one point; cutouts that are equally good share it.
    function count() {
      const points = new Map(), seen = new Map();
      for (const exhibit of exhibits.filter((one) => chosen(one).length)) {
        const best = chosen(exhibit);
        for (const tile of judged(exhibit)) {
          const name = tile.dataset.system;
          seen.set(name, (seen.get(name) ?? 0) + 1);
          const won = best.includes(tile) ? 1 / best.length : 0;
          points.set(name, (points.get(name) ?? 0) + won);
        }
      }
      return [...points].map(([name, won]) => [name, won, seen.get(name)])
        .sort((a, b) => b[1] / b[2] - a[1] / a[2]);
    }

    function show(rows) {
      const body = verdict.querySelector("tbody");
      body.replaceChildren(...rows.map(([name, won, of]) => {
        const row = document.createElement("tr");
        for (const [kind, value] of [["th", name], ["td", won.toFixed(1)], ["td", of]]) {
          const cell = document.createElement(kind);
          if (kind === "th") cell.scope = "row";
          cell.textContent = value;
          row.append(cell);
        }
        return row;
      }));
      verdict.hidden = false;
      verdict.querySelector("p").hidden = rows.length > 0;
      verdict.querySelector("table").hidden = rows.length === 0;
      verdict.focus();
    }

    // Fisher and Yates
    function shuffle(tiles) {
      for (let left = tiles.length - 1; left > 0; left--) {
        const other = Math.floor(Math.random() * (left + 1));
        [tiles[left], tiles[other]] = [tiles[other], tiles[left]];
      }
      return tiles;
    }
  }
}
