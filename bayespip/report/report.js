"use strict";

// Sorting: a button in every heading; numbers by value, text by language.
const exact = (cell) => JSON.parse(cell.dataset.v || "null") ?? [cell.textContent];

function sort(button) {
  const heading = button.closest("th");
  const table = heading.closest("table");
  const place = heading.cellIndex;
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const numeric = heading.classList.contains("number");
  const key = (row) => {
    const value = exact(row.cells[place])[0];
    return numeric ? (value === "" ? NaN : Number(value)) : value;
  };
  const order = (a, b) => (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  const missing = (x) => x === "" || Number.isNaN(x);
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  // rows without a value stand last whatever the direction
  rows.sort(([a], [b]) => missing(a) - missing(b) || (missing(a) ? 0 : up ? order(a, b) : order(b, a)));
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

// Downloads. A text that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection).
function field(text) {
  const formula = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text));
  const safe = formula ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csv(table) {
  const names = [...table.tHead.rows[0].cells].map((cell) => JSON.parse(cell.dataset.names));
  const lines = [names.flat()];
  for (const row of table.tBodies[0].rows) {
    lines.push(names.flatMap((own, i) => {
      const values = exact(row.cells[i]);
      return own.map((_, j) => values[j] ?? "");
    }));
  }
  return lines.map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
}

function download(button) {
  const table = document.getElementById(button.dataset.table);
  const link = document.createElement("a");
  // the mark at the start tells spreadsheets that it is UTF-8
  link.href = URL.createObjectURL(new Blob(["\ufeff", csv(table)], { type: "text/csv;charset=utf-8" }));
  link.download = `${table.id}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Outcomes of long reviews are held compressed until they are wanted.
const waiting = new Map();

function unpack(article) {
  const packed = article.querySelector("script.packed");
  if (!packed) return waiting.get(article.id) ?? Promise.resolve();
  const bytes = Uint8Array.from(atob(packed.textContent.trim()), (c) => c.charCodeAt(0));
  packed.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const done = new Response(stream).text().then((html) => {
    article.insertAdjacentHTML("beforeend", html);
    article.dispatchEvent(new CustomEvent("unpacked", { bubbles: true }));
  });
  waiting.set(article.id, done);
  return done;
}

async function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const article = target?.closest(".outcome");
  if (!article) return;
  article.hidden = false;
  await unpack(article);
  target.scrollIntoView();
}

// Search by the words of an outcome.
function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (element) => words.every((word) => element.dataset.words.includes(word));
  let shown = 0;
  for (const item of document.querySelectorAll("#outcome-links li")) {
    item.hidden = !matches(item);
    shown += !item.hidden;
  }
  for (const article of document.querySelectorAll(".outcome")) article.hidden = !matches(article);
  const total = document.querySelectorAll("#outcome-links li").length;
  const noun = total === 1 ? "outcome" : "outcomes";
  document.getElementById("found").textContent = words.length ? `${shown} of ${total} ${noun}` : `${total} ${noun}`;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.matches(".sort")) sort(button);
  else if (button?.matches(".csv")) download(button);
  else if (button?.id === "load-all") {
    button.disabled = true;
    Promise.all([...document.querySelectorAll(".outcome")].map(unpack)).then(() => button.parentElement.remove());
  }
});
document.getElementById("search").addEventListener("input", (event) => search(event.target.value));
window.addEventListener("hashchange", follow);
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => unpack(target)),
  { rootMargin: "600px" },
);
for (const article of document.querySelectorAll(".outcome:has(> script.packed)")) near.observe(article);
if (window.matchMedia("(max-width: 64rem)").matches) document.querySelector("nav details").open = false;
follow();
