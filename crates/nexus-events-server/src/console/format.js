const FACTS_MAX = 8;
const FACT_CHARACTERS_MAX = 80;
const NAMING_FIELDS = ["full_name", "name", "title", "login", "id"];
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 12023 as `12,023`. */
export function count(number) {
  return Number.isFinite(number) ? WHOLE.format(number) : "–";
}

/** 0.9987 as `99.9 %`: rounded down, so that only a share of one reads 100 %. */
export function percent(share) {
  const tenths = Math.floor(share * 1_000 + 1e-9);
  return tenths === 1_000 ? "100 %" : `${(tenths / 10).toFixed(1)} %`;
}

/** A duration in microseconds with the unit that fits. */
export function duration(micros) {
  if (!Number.isFinite(micros)) return "–";
  if (micros < 10) return `${micros.toFixed(1)} µs`;
  if (micros < 1_000) return `${micros.toFixed(0)} µs`;
  if (micros < 1_000_000) return `${(micros / 1_000).toFixed(1)} ms`;
  return `${(micros / 1_000_000).toFixed(1)} s`;
}

/** The time of an event: of today to the millisecond, of another day with its date. */
export function time(text, now = new Date()) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return String(text);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (date.toDateString() === now.toDateString()) {
    return `${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
  }
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${clock.slice(0, 5)}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}

/** How long ago, in the coarsest unit that says something. */
export function ago(text, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - Date.parse(text)) / 1_000));
  if (Number.isNaN(seconds)) return "never";
  if (seconds < 2) return "now";
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3_600)} h ago`;
}

/**
 * What a row shows of a payload: pairs of a name and a value, plain values first come, and of an
 * object inside the field that names it.
 */
export function facts(payload) {
  if (payload === null || payload === undefined) return [];
  if (typeof payload !== "object") return [["", shortened(String(payload))]];
  const found = [];
  for (const [name, value] of Object.entries(payload)) {
    if (found.length >= FACTS_MAX) break;
    const shown = fact(value);
    if (shown !== undefined) found.push([name, shortened(shown)]);
  }
  return found;
}

function fact(value) {
  if (value === null) return undefined;
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.length > 0 ? `[${value.length}]` : undefined;
  for (const name of NAMING_FIELDS) {
    const named = value[name];
    if (typeof named === "string" || typeof named === "number") return String(named);
  }
  return undefined;
}

function shortened(text) {
  return text.length > FACT_CHARACTERS_MAX ? `${text.slice(0, FACT_CHARACTERS_MAX)}…` : text;
}

/** When a UUIDv7 was made, in Unix milliseconds; `undefined` for any other id. */
export function madeAt(id) {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.exec(id);
  return match ? Number.parseInt(match[1] + match[2], 16) : undefined;
}
