const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;
const ASK_EVERY_MS = 20_000;
const SILENCE_MAX_MS = 50_000;

/**
 * The WebSocket to the server, subscribed to every event, and opened again whenever it closes.
 *
 * `on.state(state, detail)` tells how it stands: `connecting`, `open`, or `waiting` with the
 * number of seconds until the next attempt. `on.welcome` and `on.ready` come once per connection,
 * `on.event` with each event and the size of its frame, `on.error` with what the server refused.
 */
export class Connection {
  #url;
  #on;
  #socket;
  #retryTimer;
  #askTimer;
  #attempts = 0;
  #heard = 0;

  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    window.addEventListener("online", () => this.retry());
  }

  open() {
    this.#on.state("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#heard = Date.now();
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    socket.addEventListener("close", () => this.#closed(socket), { once: true });
    this.#askTimer = setInterval(() => this.#ask(), ASK_EVERY_MS);
  }

  /** Tries again now instead of waiting for the next attempt. */
  retry() {
    if (this.#retryTimer === undefined) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.open();
  }

  #closed(socket) {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    clearInterval(this.#askTimer);
    const longest = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#attempts, 10));
    // Half of it is chance, so that the pages of many people do not come back all at once.
    const wait = longest / 2 + (Math.random() * longest) / 2;
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => this.retry(), wait);
    this.#on.state("waiting", Math.ceil(wait / 1_000));
  }

  // A connection that a sleeping machine or a proxy cut says nothing; an unanswered question does.
  #ask() {
    const socket = this.#socket;
    if (Date.now() - this.#heard > SILENCE_MAX_MS) {
      socket.close();
      this.#closed(socket);
    } else if (socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify({ type: "get_stats" }));
    }
  }

  #receive(data) {
    this.#heard = Date.now();
    const message = parsed(data);
    switch (message?.type) {
      case "connection_established":
        this.#on.welcome(message);
        this.#socket.send(JSON.stringify({ type: "subscribe", event_types: ["**"] }));
        break;
      case "subscription_created":
        this.#attempts = 0;
        this.#on.state("open");
        this.#on.ready();
        break;
      case "event":
        this.#on.event(message.event, data.length);
        break;
      case "error":
        this.#on.error(String(message.message));
        break;
      default:
    }
  }
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
