import { element, setText } from "./dom.js";
import { ago, count, duration, percent } from "./format.js";

const HANDLERS_MAX = 200;

/** One column: its name and what it says of a handler. */
const COLUMNS = [
  ["Handler", ({ name }) => name],
  ["Pattern", ({ stats }) => (stats.event_types ?? []).join(", ")],
  ["Priority", ({ stats }) => String(stats.priority)],
  ["Runs", ({ stats }) => count(stats.execution_count)],
  ["Errors", ({ stats }) => (stats.error_count > 0 ? `⚠ ${count(stats.error_count)}` : "0")],
  ["Success", ({ stats }) => (stats.execution_count > 0 ? percent(stats.success_rate) : "–")],
  ["Mean", ({ stats }) => duration(stats.timed_duration_us / stats.timed_count)],
  ["Queue", ({ stats }) => (stats.queue_max === null ? "–" : count(stats.queue))],
  ["Last run", ({ stats }) => (stats.last_execution ? ago(stats.last_execution) : "never")],
];

/** The table of handlers, highest handler priority first. */
export class Handlers {
  #body;
  #rows = new Map();
  #order = "";

  constructor(table) {
    const heads = COLUMNS.map(([name]) => element("th", { scope: "col", role: "columnheader" }, name));
    const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads));
    this.#body = element("tbody", { role: "rowgroup" });
    table.append(head, this.#body);
  }

  /** Shows these statistics, by handler name, and returns how many handlers there are. */
  draw(byName) {
    const handlers = Object.entries(byName).map(([name, stats]) => ({ name, stats }));
    handlers.sort((left, right) => rank(right) - rank(left) || left.name.localeCompare(right.name));
    const shown = handlers.slice(0, HANDLERS_MAX);
    const rows = shown.map((handler) => this.#row(handler));
    const order = JSON.stringify(shown.map(({ name }) => name));
    if (order !== this.#order) {
      this.#order = order;
      this.#body.replaceChildren(...rows);
      const names = new Set(shown.map(({ name }) => name));
      for (const name of this.#rows.keys()) if (!names.has(name)) this.#rows.delete(name);
    }
    return handlers.length;
  }

  #row(handler) {
    let cells = this.#rows.get(handler.name);
    if (!cells) {
      cells = COLUMNS.map(([label], place) => cell(label, place));
      element("tr", { role: "row" }, ...cells);
      this.#rows.set(handler.name, cells);
    }
    cells.forEach((target, place) => setText(target, COLUMNS[place][1](handler)));
    cells[4].classList.toggle("bad", handler.stats.error_count > 0);
    return cells[0].parentElement;
  }
}

function cell(label, place) {
  const attributes = { "data-label": label, role: place === 0 ? "rowheader" : "cell" };
  return place === 0 ? element("th", { scope: "row", ...attributes }) : element("td", attributes);
}

// Handlers with a reserved priority, which is a word, run after all others.
function rank({ stats }) {
  const number = Number(stats.priority);
  return Number.isNaN(number) ? -Infinity : number;
}
