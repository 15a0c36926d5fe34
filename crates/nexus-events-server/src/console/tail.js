import { element, setText } from "./dom.js";
import { facts, time } from "./format.js";

const ROWS_MAX = 60;
const ROWS_BEYOND = 4;

/** The table of events, newest first. Only the rows in sight are in the document. */
export class Tail {
  #grid;
  #space;
  #rows = [];
  #history;
  #rates;
  #on;
  #selected;
  #pressed;
  #rowHeight = 32;
  #height = 0;
  #arrived = 0;

  /** `on.select(event)` runs when a row is chosen, `on.enter()` when the keyboard asks for more. */
  constructor(grid, space, history, rates, on) {
    this.#grid = grid;
    this.#space = space;
    this.#history = history;
    this.#rates = rates;
    this.#on = on;
    new ResizeObserver(() => this.#measure()).observe(grid);
    this.#measure();
    grid.addEventListener("scroll", () => this.draw(), { passive: true });
    grid.addEventListener("keydown", (pressed) => this.#key(pressed));
    // Rows move on between press and release; what was under the pointer at the press counts.
    space.addEventListener("pointerdown", ({ target }) => (this.#pressed = this.#entryOf(target)));
    space.addEventListener("click", ({ target }) => this.#choose(this.#pressed ?? this.#entryOf(target)));
  }

  /** Brings the rows up to date. */
  draw() {
    const { visible, arrived } = this.#history;
    this.#space.style.height = `${visible.length * this.#rowHeight}px`;
    // A reader further down keeps the place.
    if (this.#grid.scrollTop > this.#rowHeight / 2 && arrived > this.#arrived) {
      this.#grid.scrollTop += (arrived - this.#arrived) * this.#rowHeight;
    }
    this.#arrived = arrived;
    const first = Math.max(0, Math.floor(this.#grid.scrollTop / this.#rowHeight) - ROWS_BEYOND);
    const inSight = Math.ceil(this.#height / this.#rowHeight) + 2 * ROWS_BEYOND;
    const last = Math.min(visible.length, first + Math.min(inSight, ROWS_MAX));
    this.#reserve(last - first);
    this.#rows.forEach((row, place) => {
      const index = first + place;
      row.show(index < last ? visible.newest(index) : undefined, index, this.#rowHeight, this.#rates);
      row.select(row.entry !== undefined && row.entry === this.#selected);
    });
    this.#grid.setAttribute("aria-rowcount", String(visible.length + 1));
    const active = this.#rows.find((row) => row.selected);
    if (active) this.#grid.setAttribute("aria-activedescendant", active.id);
    else this.#grid.removeAttribute("aria-activedescendant");
  }

  /** Goes back to the newest row. */
  toTop() {
    this.#grid.scrollTop = 0;
    this.#arrived = this.#history.arrived;
    this.draw();
  }

  focus() {
    this.#grid.focus();
  }

  unselect() {
    this.#selected = undefined;
    this.draw();
  }

  #measure() {
    this.#height = this.#grid.clientHeight;
    this.#rowHeight = Number.parseFloat(getComputedStyle(this.#space).getPropertyValue("--row")) || 32;
    this.draw();
  }

  #reserve(number) {
    while (this.#rows.length < number) {
      const row = new Row(`row-${this.#rows.length}`);
      this.#rows.push(row);
      this.#space.append(row.element);
    }
  }

  #entryOf(target) {
    return this.#rows.find((row) => row.element.contains(target))?.entry;
  }

  #choose(entry) {
    this.#pressed = undefined;
    if (!entry) return;
    this.#selected = entry;
    this.draw();
    this.#on.select(entry.event);
  }

  #key(pressed) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    if (pressed.key in steps) this.#step(steps[pressed.key]);
    else if (pressed.key === "Home") this.#moveTo(0);
    else if (pressed.key === "End") this.#moveTo(this.#history.visible.length - 1);
    else if (pressed.key === "Enter" && this.#selected) this.#on.enter();
    else return;
    pressed.preventDefault();
  }

  #step(by) {
    const { visible } = this.#history;
    let index = -1;
    for (let place = 0; this.#selected && place < visible.length && index < 0; place += 1) {
      if (visible.newest(place) === this.#selected) index = place;
    }
    this.#moveTo(index < 0 ? Math.floor(this.#grid.scrollTop / this.#rowHeight) : index + by);
  }

  #moveTo(wanted) {
    const { visible } = this.#history;
    if (visible.length === 0) return;
    const index = Math.min(Math.max(wanted, 0), visible.length - 1);
    const top = index * this.#rowHeight;
    const bottom = top + this.#rowHeight - this.#grid.clientHeight;
    if (this.#grid.scrollTop > top) this.#grid.scrollTop = top;
    if (this.#grid.scrollTop < bottom) this.#grid.scrollTop = bottom;
    this.#choose(visible.newest(index));
  }
}

class Row {
  entry;
  selected = false;
  #generation;
  #cells;
  #swatch = element("span", { class: "swatch", "aria-hidden": "true" });
  #type = element("span", { class: "name" });
  #badge = element("span", { class: "badge" });

  constructor(id) {
    this.id = id;
    const names = ["time", "type", "source", "facts", "correlation"];
    this.#cells = Object.fromEntries(names.map((name) => [name, element("div", { role: "gridcell", class: name })]));
    this.#cells.type.append(this.#swatch, this.#type, this.#badge);
    this.element = element("div", { role: "row", class: "row", id }, ...Object.values(this.#cells));
  }

  /** Shows an entry at its place, or nothing. */
  show(entry, index, height, rates) {
    this.element.hidden = entry === undefined;
    if (entry !== undefined) {
      this.element.style.transform = `translateY(${index * height}px)`;
      this.element.setAttribute("aria-rowindex", String(index + 2));
      this.element.classList.toggle("odd", entry.number % 2 === 1);
    }
    if (entry === this.entry && this.#generation === rates.generation) return;
    this.entry = entry;
    this.#generation = rates.generation;
    if (entry !== undefined) this.#fill(entry.event, rates);
  }

  select(selected) {
    if (selected === this.selected) return;
    this.selected = selected;
    this.element.setAttribute("aria-selected", String(selected));
  }

  #fill(event, rates) {
    const { time: at, source, facts: shown, correlation } = this.#cells;
    setText(at, time(event.timestamp));
    at.title = event.timestamp;
    this.#swatch.className = `swatch series-${rates.slot(event.event_type)}`;
    setText(this.#type, event.event_type);
    this.#type.title = event.event_type;
    const urgent = event.priority && event.priority !== "normal";
    this.#badge.hidden = !urgent;
    setText(this.#badge, urgent ? event.priority : "");
    setText(source, event.source ?? "");
    source.title = event.source ?? "";
    setText(correlation, event.correlation_id ?? "");
    correlation.title = event.correlation_id ?? "";
    const pairs = facts(event.payload).map(([name, value]) =>
      element("span", { class: "fact" }, element("span", { class: "key" }, name ? `${name} ` : ""), value));
    shown.replaceChildren(...pairs);
  }
}
