// Runs in the console page: imports its modules as the page does, and resolves to what failed.
(async () => {
  const { parseFilter, parsePattern } = await import("/console/filter.js");
  const { Ring } = await import("/console/ring.js");
  const { History } = await import("/console/history.js");
  const { Rates, SECONDS } = await import("/console/rates.js");
  const format = await import("/console/format.js");

  const failures = [];
  const equal = (what, found, expected) => {
    const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
    if (left !== right) failures.push(`${what}: found ${left}, expected ${right}`);
  };

  // ---- filter: which of these events pass
  const event = (name, event_type, payload, more) => ({
    event_id: name, event_type, source: "test", target: null, payload, metadata: {}, timestamp: "2026-01-02T03:04:05Z",
    priority: "normal", correlation_id: null, session_id: null, user_id: null, channel: null, ...more,
  });
  const events = [
    event("late", "flight.departed", { carrier: "UA", dep_delay: 75, tags: ["storm", "night"] }, { source: "airport/JFK" }),
    event("early", "flight.departed", { carrier: "AA", dep_delay: -4, gust: null }, { correlation_id: "AA-1", user_id: "42" }),
    event("off", "flight.cancelled", { carrier: "UA", note: "Blizzard warning" }, { priority: "high", timestamp: "2026-01-03T00:00:00Z" }),
    event("push", "push", { ref: { name: "main" }, ok: true, list: [{ name: "x" }, { name: "y" }] }, { source: "github/a.b" }),
    event("deep", "user.login.web.failed", "plain text"),
  ];
  const all = events.map(({ event_id }) => event_id);
  const passing = {
    "": all,
    "   ": all,
    "flight.cancelled": ["off"],
    "flight.*": ["late", "early", "off"],
    "*.departed": ["late", "early"],
    "user.**": ["deep"],
    "**.failed": ["deep"],
    "user.**.failed": ["deep"],
    "*": ["push"],
    "**": all,
    "flight.**.departed": [],
    "blizzard": ["off"],
    '"Blizzard W"': ["off"],
    "'blizzard x'": [],
    "plain": ["deep"],
    "storm": ["late"],
    '"github/a.b"': ["push"],
    "payload.dep_delay>60": ["late"],
    "payload.dep_delay >= 75": ["late"],
    "payload.dep_delay<0": ["early"],
    "payload.dep_delay=-4": ["early"],
    "payload.dep_delay!=-4": ["late"],
    "data.carrier='UA'": ["late", "off"],
    "payload.carrier==UA flight.departed": ["late"],
    "payload.tags=night": ["late"],
    "payload.tags==night": ["late"],
    "payload.tags!=night": ["late"],
    "payload.tags!=night payload.tags!=storm": ["late"],
    "payload.tags<a": [],
    "payload.list.name=x": ["push"],
    "payload.list.name=z": [],
    "payload.ref.name=main": ["push"],
    "payload.ok=true": ["push"],
    "payload.gust=null": ["early"],
    "payload.none=null": [],
    "payload.gust!=null": [],
    "payload.none>0": [],
    "payload.constructor=x": [],
    "source~jfk": ["late"],
    "user_id=42": ["early"],
    "user_id==42": [],
    "user_id=='42'": ["early"],
    "user_id!=42": ["early"],
    "correlation_id=null": ["late", "off", "push", "deep"],
    "correlation_id!=null": ["early"],
    "type=flight.*": ["late", "early", "off"],
    "event_type!=flight.*": ["push", "deep"],
    "priority>=high": ["off"],
    "priority<high": ["late", "early", "push", "deep"],
    "timestamp>2026-01-02T12:00:00Z": ["off"],
    "!flight.*": ["push", "deep"],
    "not flight.*": ["push", "deep"],
    "!!push": ["push"],
    "push or user.**": ["push", "deep"],
    "push || user.**": ["push", "deep"],
    "flight.* and payload.carrier=UA": ["late", "off"],
    "flight.* && payload.carrier=UA || push": ["late", "off", "push"],
    "(push or flight.*) payload.carrier=AA": ["early"],
    "!(push or flight.*)": ["deep"],
  };
  for (const [text, expected] of Object.entries(passing)) {
    try {
      equal(`\`${text}\``, events.filter(parseFilter(text)).map(({ event_id }) => event_id), expected);
    } catch (error) {
      failures.push(`\`${text}\` is refused: ${error.message}`);
    }
  }

  // ---- filter: what is refused, where, and why
  const refused = [
    ["flight..x", 7, "empty segment"],
    ["flight.", 7, "empty segment"],
    ["a.fl*", 2, "no segment"],
    ["**.a.**", 0, "second"],
    ["colour=red", 0, "payload.colour"],
    ["payload.x", 9, "needs a comparison"],
    ["payload.x>", 10, "expected a value"],
    ["payload.x>>1", 10, "expected a value"],
    ["payload..x=1", 0, "empty step"],
    ["source.x=1", 6, "no fields of its own"],
    ["priority=urgent", 9, "low, normal, high, critical"],
    ["timestamp>soon", 10, "no time"],
    ["push &", 5, "&&"],
    ["push | x", 5, "||"],
    ["'open", 0, "closing"],
    ["(push", 5, "expected `)`"],
    ["push)", 4, "a term or the end"],
    ["push or", 7, "expected"],
    ["or push", 0, "expected"],
    ["=1", 0, "expected"],
    ["(".repeat(40) + "push", 33, "too deep"],
    ["!".repeat(40) + "push", 33, "too deep"],
    ["x".repeat(1_001), 1_000, "longer"],
  ];
  for (const [text, at, part] of refused) {
    try {
      parseFilter(text);
      failures.push(`\`${text}\` is accepted`);
    } catch (error) {
      if (error.name !== "FilterError") failures.push(`\`${text}\`: ${error.stack}`);
      else if (error.at !== at || !error.message.includes(part)) failures.push(`\`${text}\`: at ${error.at}: ${error.message}`);
    }
  }
  equal("pattern in a word", parsePattern("a.*")("a.b.c"), false);

  // ---- ring
  const ring = new Ring(3);
  equal("an empty ring", [ring.length, ring.newest(0), ring.oldest(0), ring.shift()], [0, undefined, undefined, undefined]);
  equal("what falls out", [1, 2, 3, 4, 5].map((item) => ring.push(item) ?? null), [null, null, null, 1, 2]);
  equal("what stays", [ring.newest(0), ring.newest(2), ring.newest(3) ?? null, ring.oldest(0)], [5, 3, null, 3]);

  // ---- history
  const one = (id, type = "a") => ({ event_id: String(id), event_type: type });
  const ids = (history) => Array.from({ length: history.visible.length }, (_, index) => history.visible.newest(index).event.event_id);
  const history = new History(3, 100);
  for (const id of [1, 2, 2, 3, 4]) history.add(one(id, id % 2 ? "odd" : "even"), 10);
  equal("keeps the newest, once", ids(history), ["4", "3", "2"]);
  history.filter((event) => event.event_type === "odd");
  history.add(one(5, "odd"), 10);
  equal("filters old and new", [ids(history), history.length], [["5", "3"], 3]);
  history.add(one(6), 10);
  equal("forgets what left the ring", ids(history), ["5"]);
  history.filter(() => true);
  history.pause();
  for (const id of [7, 8, 9, 10]) history.add(one(id), 10);
  equal("paused", [ids(history), history.held, history.dropped], [["6", "5", "4"], 3, 1]);
  history.resume();
  equal("resumed", [ids(history), history.held], [["10", "9", "8"], 0]);
  history.add(one(11), 95);
  equal("keeps no more characters than its bound", ids(history), ["11"]);

  // ---- rates
  const rates = new Rates(1_000);
  for (let count = 0; count < 300; count += 1) rates.add("often", 1_000);
  for (let count = 0; count < 100; count += 1) rates.add("less", 990);
  rates.add("once", 1_000);
  rates.add("too old", 1_000 - SECONDS);
  rates.add("often", 1_001);
  rates.advance(1_001);
  const { times, series } = rates.snapshot();
  equal("slots by frequency", series.map(({ label }) => label).filter(Boolean), ["often", "less", "other types"]);
  equal("the last second", [times.at(-1), ...series.map(({ counts }) => counts.at(-1))], [1_000, 300, 0, 0, 0, 0, 0, 1]);
  equal("an older second", series[1].counts[times.indexOf(990)], 100);
  rates.advance(990 + SECONDS);
  equal("a second that left", rates.slot("less"), 6);
  equal("a slot is kept", rates.slot("often"), 0);

  // ---- format
  equal("numbers", [format.count(12_023), format.count(undefined)], ["12,023", "–"]);
  equal("shares", [1, 0.99999, 0.5, 0].map(format.percent), ["100 %", "99.9 %", "50.0 %", "0.0 %"]);
  equal("durations", [1.25, 481, 28_400, 3e6, NaN].map(format.duration), ["1.3 µs", "481 µs", "28.4 ms", "3.0 s", "–"]);
  equal("UUIDv7", format.madeAt("01a20396-c947-7c4c-8e69-000280024901"), 0x01a20396c947);
  equal("other ids", [format.madeAt("evt-1"), format.madeAt("01a20396-c947-4c4c-8e69-000280024901")].map((made) => made ?? null), [null, null]);
  equal("facts", format.facts({ a: 1, none: null, repo: { full_name: "x/y" }, list: [1, 2], deep: { other: {} }, ok: false }),
    [["a", "1"], ["repo", "x/y"], ["list", "[2]"], ["ok", "false"]]);
  equal("facts of a text", format.facts("plain"), [["", "plain"]]);
  return failures;
})()
