import { setText, element } from "./dom.js";
import { count } from "./format.js";
import { SECONDS, SLOTS } from "./rates.js";

const uPlot = globalThis.uPlot;
/** Shown at first; as events come in, up to all five minutes. */
const SECONDS_MIN = 60;

/** Events per second as stacked areas, with a legend that reads the second under the pointer. */
export class Plot {
  #box;
  #plot;
  #items;
  #snapshot;
  #colours = matchMedia("(prefers-color-scheme: dark)");

  constructor(box, legend) {
    this.#box = box;
    this.#items = Array.from({ length: SLOTS }, (_, slot) => legendItem(slot));
    legend.append(...this.#items.map((item) => item.row));
    this.#plot = new uPlot(this.#options(), [[], ...Array.from({ length: SLOTS }, () => [])], box);
    new ResizeObserver(() => this.#plot.setSize(this.#size())).observe(box);
    this.#colours.addEventListener("change", () => this.#plot.redraw(false, true));
  }

  draw(snapshot) {
    this.#snapshot = snapshot;
    this.#plot.setData([snapshot.times, ...stacked(snapshot.series)]);
    this.#describe();
  }

  #size() {
    return { width: Math.max(this.#box.clientWidth, 50), height: Math.max(this.#box.clientHeight, 50) };
  }

  #options() {
    const axis = {
      stroke: () => this.#colour("--dim"),
      grid: { stroke: () => this.#colour("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const series = Array.from({ length: SLOTS }, (_, slot) => ({
      stroke: () => this.#colour(`--series-${slot}`),
      fill: () => this.#colour(`--series-${slot}`),
      width: 1,
      points: { show: false },
    }));
    return {
      ...this.#size(),
      padding: [10, 24, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
      scales: {
        x: { range: () => this.#range() },
        y: { range: (_, low, high) => [0, Math.max(high ?? 0, 4) * 1.08] },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 26, values: (_, times) => times.map(clock) },
        { ...axis, space: 34, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7] },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [() => this.#describe()] },
    };
  }

  #range() {
    if (!this.#snapshot) return [0, SECONDS_MIN];
    const { times, series } = this.#snapshot;
    const quiet = Math.min(...series.map(({ counts }) => counts.findIndex((number) => number > 0)).map((at) => (at < 0 ? SECONDS : at)));
    const first = Math.min(Math.max(quiet - 1, 0), times.length - SECONDS_MIN);
    return [times[first], times.at(-1)];
  }

  #colour(name) {
    return getComputedStyle(this.#box).getPropertyValue(name).trim();
  }

  #describe() {
    if (!this.#snapshot) return;
    const { times, series } = this.#snapshot;
    const at = this.#plot.cursor.idx ?? times.length - 1;
    series.forEach(({ label, counts }, slot) => {
      const { row, name, value } = this.#items[slot];
      row.hidden = label === null;
      setText(name, label ?? "");
      setText(value, count(counts[at]));
    });
    const totals = times.map((_, index) => series.reduce((sum, { counts }) => sum + counts[index], 0));
    const now = totals.at(-1);
    const most = Math.max(...totals);
    this.#box.setAttribute(
      "aria-label",
      `Events per second over the last five minutes: now ${count(now)}, at most ${count(most)}.`,
    );
  }
}

// Slot 0 lies on top: each area is drawn over the one before and covers all below it.
function stacked(series) {
  const sums = series.map(({ counts }) => counts.slice());
  for (let slot = sums.length - 2; slot >= 0; slot -= 1) {
    sums[slot] = sums[slot].map((value, index) => value + sums[slot + 1][index]);
  }
  return sums;
}

function legendItem(slot) {
  const name = element("span", { class: "name" });
  const value = element("span", { class: "value" });
  const row = element("li", {}, element("span", { class: `swatch series-${slot}`, "aria-hidden": "true" }), name, value);
  row.hidden = true;
  return { row, name, value };
}

function clock(second) {
  const date = new Date(second * 1_000);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}
