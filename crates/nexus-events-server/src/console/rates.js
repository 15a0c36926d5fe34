export const SECONDS = 300;
/** Event types with a colour of their own; all others share the last slot. */
export const SLOTS = 7;
const TYPES_MAX = 256;
/** The share of all events below which an event type gets no slot. */
const SHARE_MIN = 0.01;

/** Events per second of the last five minutes, by event type. */
export class Rates {
  #types = new Map();
  #rest = new Uint32Array(SECONDS);
  #second;
  #slots = new Array(SLOTS - 1).fill(null);

  /** Changes whenever an event type gets or loses its slot. */
  generation = 0;

  constructor(second) {
    this.#second = second;
  }

  /** Counts one event of this second. */
  add(type, second) {
    if (second <= this.#second - SECONDS) return;
    this.#move(second);
    this.#countsOf(type)[second % SECONDS] += 1;
  }

  /** Moves on to this second and gives the most frequent event types their slots. */
  advance(second) {
    this.#move(second);
    this.#assign();
  }

  #move(second) {
    const steps = Math.min(second - this.#second, SECONDS);
    for (let step = 0; step < steps; step += 1) {
      const place = (second - step) % SECONDS;
      this.#rest[place] = 0;
      for (const counts of this.#types.values()) counts[place] = 0;
    }
    if (steps > 0) this.#second = second;
  }

  /** The slot of an event type. */
  slot(type) {
    const slot = this.#slots.indexOf(type);
    return slot < 0 ? SLOTS - 1 : slot;
  }

  /**
   * The complete seconds, oldest first: their times and, by slot, the label and the counts.
   */
  snapshot() {
    const last = this.#second - 1;
    const times = Array.from({ length: SECONDS - 1 }, (_, index) => last - (SECONDS - 2) + index);
    const series = this.#slots.map((type) => ({ label: type, counts: this.#read(times, this.#types.get(type)) }));
    const others = this.#read(times, this.#rest);
    for (const [type, counts] of this.#types) {
      if (!this.#slots.includes(type)) times.forEach((time, index) => (others[index] += counts[time % SECONDS]));
    }
    series.push({ label: others.some((count) => count > 0) ? "other types" : null, counts: others });
    return { times, series };
  }

  #read(times, counts) {
    return times.map((time) => (counts ? counts[time % SECONDS] : 0));
  }

  #countsOf(type) {
    let counts = this.#types.get(type);
    if (!counts) {
      if (this.#types.size >= TYPES_MAX) return this.#rest;
      counts = new Uint32Array(SECONDS);
      this.#types.set(type, counts);
    }
    return counts;
  }

  // A type keeps its slot, hence its colour, as long as it is among the most frequent.
  #assign() {
    const totals = [];
    for (const [type, counts] of this.#types) {
      const total = counts.reduce((sum, count) => sum + count, 0);
      if (total > 0) totals.push([type, total]);
      else this.#types.delete(type);
    }
    totals.sort((left, right) => right[1] - left[1]);
    const all = totals.reduce((sum, [, total]) => sum + total, 0);
    const frequent = totals.filter(([, total]) => total >= all * SHARE_MIN);
    const top = frequent.slice(0, SLOTS - 1).map(([type]) => type);
    const slots = this.#slots.map((type) => (top.includes(type) ? type : null));
    for (const type of top) {
      if (!slots.includes(type)) slots[slots.indexOf(null)] = type;
    }
    if (slots.some((type, slot) => type !== this.#slots[slot])) this.generation += 1;
    this.#slots = slots;
  }
}
