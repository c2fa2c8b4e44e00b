"use strict";

// The catalogue of priors: rows that hold every word typed and every choice made stay; a heading sorts.
const place = document.getElementById("prior-catalogue");

function filter() {
  const words = place.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [...place.querySelectorAll("select")].filter((one) => one.value);
  let shown = 0;
  for (const row of place.querySelector("tbody").rows) {
    const text = row.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word))
      && chosen.every((one) => row.dataset[one.name] === one.value);
    row.hidden = !fits;
    shown += fits;
  }
  place.querySelector("output").value = `${shown} priors`;
}

function sort(heading) {
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const numeric = heading.classList.contains("number");
  const key = ({ cells }) => {
    const cell = cells[heading.cellIndex];
    return numeric ? Number(cell.dataset.v ?? NaN) : cell.textContent;
  };
  const order = (a, b) => (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  const rows = [...place.querySelector("tbody").rows].map((row) => [key(row), row]);
  // rows without a value stand last whatever the direction
  const missing = (value) => value === "" || Number.isNaN(value);
  rows.sort(([a], [b]) => missing(a) - missing(b) || (missing(a) ? 0 : up ? order(a, b) : order(b, a)));
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  place.querySelector("tbody").append(...rows.map(([, row]) => row));
}

if (place) {
  place.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  place.querySelector("form").addEventListener("input", filter);
  for (const heading of place.querySelectorAll("th")) heading.addEventListener("click", () => sort(heading));
  filter();
}
