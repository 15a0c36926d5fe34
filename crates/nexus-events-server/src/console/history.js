import { Ring } from "./ring.js";

export const EVENTS_MAX = 5_000;
const CHARACTERS_MAX = 32 * 1024 * 1024;

/**
 * The most recent events that this page keeps: all of them, those that pass the filter, and those
 * held back while it is paused.
 */
export class History {
  #all;
  #visible;
  #held;
  #ids = new Set();
  #characters = 0;
  #heldCharacters = 0;
  #number = 0;
  #test = () => true;
  #charactersMax;

  paused = false;
  /** Events that came while paused and fell out before they were shown. */
  dropped = 0;
  /** How many events ever became visible under the present filter; the view counts arrivals by it. */
  arrived = 0;

  constructor(eventsMax = EVENTS_MAX, charactersMax = CHARACTERS_MAX) {
    this.#all = new Ring(eventsMax);
    this.#visible = new Ring(eventsMax);
    this.#held = new Ring(eventsMax);
    this.#charactersMax = charactersMax;
  }

  get length() {
    return this.#all.length;
  }

  get visible() {
    return this.#visible;
  }

  get held() {
    return this.#held.length;
  }

  /** Adds an event whose JSON has `size` characters, unless it is here already. */
  add(event, size) {
    if (this.#ids.has(event.event_id)) return false;
    this.#ids.add(event.event_id);
    const entry = { number: this.#number, event, size };
    this.#number += 1;
    if (this.paused) this.#hold(entry);
    else this.#show(entry);
    return true;
  }

  pause() {
    this.paused = true;
    this.dropped = 0;
  }

  resume() {
    this.paused = false;
    while (this.#held.length > 0) this.#show(this.#release());
  }

  /** Shows what passes this test from now on. */
  filter(test) {
    this.#test = test;
    this.#visible.clear();
    this.arrived = 0;
    for (let index = 0; index < this.#all.length; index += 1) this.#offer(this.#all.oldest(index));
  }

  #hold(entry) {
    if (this.#held.length === this.#held.max) this.#drop();
    this.#held.push(entry);
    this.#heldCharacters += entry.size;
    while (this.#heldCharacters > this.#charactersMax && this.#held.length > 1) this.#drop();
  }

  #drop() {
    this.dropped += 1;
    this.#ids.delete(this.#release().event.event_id);
  }

  #release() {
    const entry = this.#held.shift();
    this.#heldCharacters -= entry.size;
    return entry;
  }

  #show(entry) {
    if (this.#all.length === this.#all.max) this.#forget();
    this.#all.push(entry);
    this.#characters += entry.size;
    while (this.#characters > this.#charactersMax && this.#all.length > 1) this.#forget();
    this.#offer(entry);
  }

  #offer(entry) {
    if (!this.#test(entry.event)) return;
    this.#visible.push(entry);
    this.arrived += 1;
  }

  #forget() {
    const entry = this.#all.shift();
    this.#characters -= entry.size;
    this.#ids.delete(entry.event.event_id);
    if (this.#visible.oldest(0) === entry) this.#visible.shift();
  }
}
