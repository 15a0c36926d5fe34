import { element, setText } from "./dom.js";
import { time } from "./format.js";

const CHARACTERS_MAX = 200_000;
const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** The panel that shows one event as pretty JSON. */
export class Details {
  #parts;
  #event;
  #back;

  /** `onClose` runs when the panel closes, `onCorrelation` with the id to look for. */
  constructor(parts, { onClose, onCorrelation }) {
    this.#parts = parts;
    this.#back = onClose;
    parts.close.addEventListener("click", () => this.close());
    parts.copy.addEventListener("click", () => this.#copy());
    parts.same.addEventListener("click", () => onCorrelation(this.#event.correlation_id));
  }

  get open() {
    return !this.#parts.panel.hidden;
  }

  show(event) {
    this.#event = event;
    const { panel, title, subtitle, json, note, same } = this.#parts;
    setText(title, event.event_type);
    setText(subtitle, [time(event.timestamp), event.source, event.priority].filter(Boolean).join(" · "));
    setText(note, "");
    same.hidden = !event.correlation_id;
    const text = JSON.stringify(event, null, 2);
    json.replaceChildren(...coloured(text.slice(0, CHARACTERS_MAX)));
    json.parentElement.scrollTop = 0;
    if (text.length > CHARACTERS_MAX) setText(note, "Only the beginning is shown; the copy has all of it.");
    panel.hidden = false;
  }

  focus() {
    this.#parts.close.focus();
  }

  close() {
    if (!this.open) return;
    this.#parts.panel.hidden = true;
    this.#event = undefined;
    this.#back();
  }

  async #copy() {
    const { note, json } = this.#parts;
    try {
      await navigator.clipboard.writeText(JSON.stringify(this.#event, null, 2));
      setText(note, "Copied.");
    } catch {
      // A page that did not come over https or from this machine has no clipboard.
      getSelection().selectAllChildren(json);
      setText(note, "The browser allows no copy here; the text is selected, copy it with the keyboard.");
    }
  }
}

function coloured(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(from, match.index));
    from = match.index + match[0].length;
    const [token, string, colon] = match;
    if (string && colon) parts.push(element("span", { class: "key" }, string), colon);
    else parts.push(element("span", { class: string ? "string" : "word" }, token));
  }
  parts.push(text.slice(from));
  return parts;
}
