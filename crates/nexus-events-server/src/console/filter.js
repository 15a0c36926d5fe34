// The filter box: text in, a test over events out. Comparisons with `==`, `!=`, `>` and so on mean
// what they mean in the text form of a filter; a single `=`, `~`, words and patterns are this
// page's own.

const TEXT_MAX = 1_000;
const NESTING_MAX = 32;
const PRIORITIES = ["low", "normal", "high", "critical"];
const ENVELOPE = [
  "event_id", "event_type", "source", "target", "timestamp", "priority", "correlation_id",
  "causation_id", "session_id", "user_id", "channel", "retryable", "max_retries", "retry_count",
];
const ALIASES = { type: "event_type", id: "event_id", data: "payload" };
const NESTED = ["payload", "metadata"];
const COMPARISONS = ["==", "=", "!=", ">=", ">", "<=", "<", "~"];

/** Why a text is no filter, and at which character. */
export class FilterError extends Error {
  constructor(text, at) {
    super(text);
    this.name = "FilterError";
    this.at = at;
  }
}

/**
 * Reads the text of the filter box.
 *
 * @param {string} text
 * @returns {(event: object) => boolean} whether an event passes
 * @throws {FilterError}
 */
export function parseFilter(text) {
  if (text.length > TEXT_MAX) {
    throw new FilterError(`the filter is longer than ${TEXT_MAX} characters`, TEXT_MAX);
  }
  const parser = new Parser(tokens(text));
  if (parser.peek().kind === "end") return () => true;
  const test = parser.any(0);
  if (parser.peek().kind !== "end") throw parser.unexpected("a term or the end");
  return test;
}

/**
 * Reads a pattern over event types.
 *
 * @param {string} text
 * @param {number} at where it stands in the filter
 * @returns {(eventType: string) => boolean}
 */
export function parsePattern(text, at = 0) {
  const segments = text.split(".");
  let place = at;
  for (const segment of segments) {
    if (segment === "") throw new FilterError(`pattern \`${text}\` has an empty segment`, place);
    if (!/^(\*\*?|[A-Za-z0-9_-]+)$/.test(segment)) {
      throw new FilterError(`\`${segment}\` is no segment of a pattern: a name, \`*\` or \`**\``, place);
    }
    place += segment.length + 1;
  }
  const many = segments.indexOf("**");
  if (many < 0) {
    return (type) => {
      const parts = type.split(".");
      return parts.length === segments.length && segmentsMatch(segments, parts);
    };
  }
  if (segments.indexOf("**", many + 1) >= 0) {
    throw new FilterError(`pattern \`${text}\` has a second \`**\`; one is the most`, at);
  }
  const head = segments.slice(0, many);
  const tail = segments.slice(many + 1);
  return (type) => {
    const parts = type.split(".");
    return parts.length >= segments.length
      && segmentsMatch(head, parts)
      && segmentsMatch(tail, parts.slice(parts.length - tail.length));
  };
}

function segmentsMatch(segments, parts) {
  return segments.every((segment, index) => segment === "*" || segment === parts[index]);
}

function tokens(text) {
  const found = [];
  const symbol = /\s*(?:(&&|\|\||==|!=|>=|<=|[=><~!()])|(["'])|([^\s()=!<>~&|"']+)|(\S))/y;
  for (;;) {
    const from = symbol.lastIndex;
    const match = symbol.exec(text);
    if (!match) {
      found.push({ kind: "end", text: "", at: from });
      return found;
    }
    const at = symbol.lastIndex - (match[1] ?? match[2] ?? match[3] ?? match[4]).length;
    if (match[1]) {
      found.push({ kind: "symbol", text: match[1], at });
    } else if (match[3]) {
      found.push({ kind: "word", text: match[3], at });
    } else if (match[2]) {
      const [value, end] = quoted(text, at);
      found.push({ kind: "string", text: value, at });
      symbol.lastIndex = end;
    } else {
      throw new FilterError(`\`${match[4]}\` alone means nothing; write \`${match[4]}${match[4]}\``, at);
    }
  }
}

function quoted(text, at) {
  const quote = text[at];
  let value = "";
  for (let index = at + 1; index < text.length; index += 1) {
    if (text[index] === quote) return [value, index + 1];
    if (text[index] === "\\" && index + 1 < text.length) index += 1;
    value += text[index];
  }
  throw new FilterError(`the closing ${quote} is missing`, at);
}

class Parser {
  #tokens;
  #next = 0;

  constructor(list) {
    this.#tokens = list;
  }

  peek() {
    return this.#tokens[this.#next];
  }

  #take() {
    const token = this.peek();
    if (token.kind !== "end") this.#next += 1;
    return token;
  }

  #accept(symbol, word) {
    const { kind, text } = this.peek();
    const found = (kind === "symbol" && text === symbol) || (kind === "word" && text === word);
    if (found) this.#next += 1;
    return found;
  }

  unexpected(expected) {
    const { kind, text, at } = this.peek();
    const found = kind === "end" ? "the end" : `\`${text}\``;
    return new FilterError(`expected ${expected}, found ${found}`, at);
  }

  any(depth) {
    if (depth > NESTING_MAX) throw new FilterError("the parentheses nest too deep", this.peek().at);
    const tests = [this.#all(depth)];
    while (this.#accept("||", "or")) tests.push(this.#all(depth));
    return tests.length === 1 ? tests[0] : (event) => tests.some((test) => test(event));
  }

  #all(depth) {
    const tests = [this.#not(depth)];
    for (;;) {
      const { kind, text } = this.peek();
      const ends = kind === "end" || (kind === "word" && text === "or")
        || (kind === "symbol" && (text === ")" || text === "||"));
      if (ends) break;
      this.#accept("&&", "and");
      tests.push(this.#not(depth));
    }
    return tests.length === 1 ? tests[0] : (event) => tests.every((test) => test(event));
  }

  #not(depth) {
    if (depth > NESTING_MAX) throw new FilterError("the negations nest too deep", this.peek().at);
    if (this.#accept("!", "not")) {
      const test = this.#not(depth + 1);
      return (event) => !test(event);
    }
    if (this.#accept("(")) {
      const test = this.any(depth + 1);
      if (!this.#accept(")")) throw this.unexpected("`)`");
      return test;
    }
    return this.#term();
  }

  #term() {
    const { kind, text, at } = this.peek();
    if (kind === "string") {
      this.#take();
      return textTest(text);
    }
    if (kind !== "word" || text === "or" || text === "and") throw this.unexpected("a pattern, a word or a comparison");
    this.#take();
    const next = this.peek();
    if (next.kind === "symbol" && COMPARISONS.includes(next.text)) {
      this.#take();
      const value = this.#take();
      if (value.kind !== "word" && value.kind !== "string") {
        this.#next -= value.kind === "end" ? 0 : 1;
        throw this.unexpected(`a value after \`${text}${next.text}\``);
      }
      return comparison(path(text, at), next.text, value);
    }
    return bare(text, at);
  }
}

function bare(text, at) {
  if (NESTED.some((name) => text.startsWith(`${name}.`))) {
    throw new FilterError(`\`${text}\` needs a comparison, such as \`${text}=value\``, at + text.length);
  }
  if (/[.*]/.test(text)) {
    const matches = parsePattern(text, at);
    return (event) => matches(event.event_type);
  }
  return textTest(text);
}

function path(text, at) {
  const [first, ...rest] = text.split(".");
  const root = ALIASES[first] ?? first;
  if (NESTED.includes(root)) {
    if (rest.includes("")) throw new FilterError(`\`${text}\` has an empty step`, at);
    return [root, ...rest];
  }
  if (!ENVELOPE.includes(root)) {
    throw new FilterError(
      `\`${first}\` is no field of an event; fields of the payload are written \`payload.${text}\``, at);
  }
  if (rest.length > 0) throw new FilterError(`\`${first}\` has no fields of its own`, at + first.length);
  return [root];
}

function comparison(steps, symbol, token) {
  const operator = symbol === "==" ? "=" : symbol;
  const field = steps[0];
  if (operator === "~") {
    const needle = token.text.toLowerCase();
    return (event) => valuesAt(event, steps).some((value) => holds(value, needle));
  }
  if (field === "event_type" && token.kind === "word" && (operator === "=" || operator === "!=")) {
    const matches = parsePattern(token.text, token.at);
    return (event) => matches(event.event_type) === (operator === "=");
  }
  if (field === "priority") return ranked(operator, token);
  if (field === "timestamp") return dated(operator, token);
  const literal = literalOf(token);
  // A single `=` finds the text "42" by 42: whoever types it need not know how it was published.
  const compare = (value) => (symbol === "=" && value === token.text)
    || (operator === "!=" && value !== literal)
    || (typeof value === typeof literal && ordered(operator, value, literal));
  return (event) => {
    const unset = steps.length === 1 && (event[field] === null || event[field] === undefined);
    if (unset) return operator === "=" && literal === null;
    return valuesAt(event, steps).some(compare);
  };
}

function ranked(operator, token) {
  const rank = PRIORITIES.indexOf(token.text);
  if (rank < 0) {
    throw new FilterError(`\`${token.text}\` is no priority: ${PRIORITIES.join(", ")}`, token.at);
  }
  return (event) => ordered(operator, PRIORITIES.indexOf(event.priority), rank);
}

function dated(operator, token) {
  const time = Date.parse(token.text);
  if (Number.isNaN(time)) {
    throw new FilterError(`\`${token.text}\` is no time, such as \`2026-01-31T12:00:00Z\``, token.at);
  }
  return (event) => ordered(operator, Date.parse(event.timestamp), time);
}

function literalOf(token) {
  if (token.kind === "string") return token.text;
  if (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(token.text)) return Number(token.text);
  const words = { true: true, false: false, null: null };
  return Object.hasOwn(words, token.text) ? words[token.text] : token.text;
}

function ordered(operator, left, right) {
  switch (operator) {
    case "=": return left === right;
    case "!=": return left !== right;
    case ">": return left > right;
    case ">=": return left >= right;
    case "<": return left < right;
    default: return left <= right;
  }
}

/** The values at the end of a path, which spreads over every list on its way. */
function valuesAt(event, steps) {
  let values = [event];
  for (const step of steps) {
    values = values.flatMap((value) => {
      if (value === null || typeof value !== "object") return [];
      if (Object.hasOwn(value, step)) return [value[step]].flat();
      return [];
    });
  }
  return values;
}

function textTest(text) {
  const needle = text.toLowerCase();
  return (event) => holds(event, needle);
}

// Walks with a list of its own: a payload may nest deeper than the call stack.
function holds(value, needle) {
  const waiting = [value];
  while (waiting.length > 0) {
    const one = waiting.pop();
    if (one === null || one === undefined) continue;
    if (typeof one === "object") {
      for (const inner of Object.values(one)) waiting.push(inner);
    } else if (String(one).toLowerCase().includes(needle)) {
      return true;
    }
  }
  return false;
}
