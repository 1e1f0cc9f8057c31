"use strict";
(() => {
  const key = (cell) => {
    const value = cell.dataset.value;
    return value === undefined ? cell.textContent.trim() : Number(value);
  };
  const missing = (value) => value === "" || Number.isNaN(value);
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

  function sort(head) {
    const table = head.closest("table"), body = table.tBodies[0];
    const column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = Array.from(body.rows, (row) => [key(row.cells[column]), row]);
    rows.sort(([a], [b]) => {
      if (missing(a) || missing(b)) return missing(a) - missing(b);
      return down ? compare(b, a) : compare(a, b);
    });
    body.append(...rows.map(([, row]) => row));
  }
  for (const head of document.querySelectorAll("th")) {
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter") sort(head);
    });
  }
  for (const field of document.querySelectorAll("figcaption input")) {
    const rows = field.closest("figure").querySelectorAll("tbody tr");
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  }

  const tip = document.getElementById("tip");
  let named = null;
  function show(event) {
    const mark = event.target.closest ? event.target.closest("svg circle, svg path, svg use") : null;
    const title = mark && mark.querySelector("title");
    if (mark !== named && named) restore();
    if (title && title.textContent) {
      named = mark;
      mark.dataset.name = title.textContent;
      title.textContent = ""; // the browser's own hint would lie over this one
      tip.textContent = mark.dataset.name;
      tip.hidden = false;
    }
    if (named) {
      tip.style.left = Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8) + "px";
      tip.style.top = Math.max(event.clientY - tip.offsetHeight - 10, 4) + "px";
    }
  }
  function restore() {
    named.querySelector("title").textContent = named.dataset.name;
    named = null;
    tip.hidden = true;
  }
  for (const kind of ["pointermove", "pointerdown"]) document.addEventListener(kind, show);
})();
