/** The last `max` items, oldest out first. */
export class Ring {
  #items;
  #start = 0;
  #length = 0;

  constructor(max) {
    this.#items = new Array(max);
  }

  get length() {
    return this.#length;
  }

  get max() {
    return this.#items.length;
  }

  /** The item at this place, 0 being the newest. */
  newest(index) {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#items[(this.#start + this.#length - 1 - index) % this.max];
  }

  /** The item at this place, 0 being the oldest. */
  oldest(index) {
    return this.newest(this.#length - 1 - index);
  }

  /** Adds an item; when the ring is full, takes out the oldest and returns it. */
  push(item) {
    const out = this.#length === this.max ? this.shift() : undefined;
    this.#items[(this.#start + this.#length) % this.max] = item;
    this.#length += 1;
    return out;
  }

  /** Takes out the oldest item. */
  shift() {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#start];
    this.#items[this.#start] = undefined;
    this.#start = (this.#start + 1) % this.max;
    this.#length -= 1;
    return item;
  }

  clear() {
    while (this.#length > 0) this.shift();
  }
}
