import { Connection } from "./connection.js";
import { Details } from "./details.js";
import { byId, setText } from "./dom.js";
import { FilterError, parseFilter } from "./filter.js";
import { count, madeAt, time } from "./format.js";
import { Handlers } from "./handlers.js";
import { EVENTS_MAX, History } from "./history.js";
import { Plot } from "./plot.js";
import { Rates } from "./rates.js";
import { Tail } from "./tail.js";

const FETCH_MS = 5_000;
const PUBLISH_DEFAULT = ["127.0.0.1:7878", "localhost:7878"];
const STATS_EVERY_MS = 1_000;
const FILTER_WAIT_MS = 120;
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

const history = new History();
const rates = new Rates(second());
const plot = new Plot(byId("plot"), byId("legend"));
const handlers = new Handlers(byId("handlers"));
const details = new Details(
  {
    panel: byId("details"), title: byId("details-title"), subtitle: byId("details-subtitle"),
    json: byId("details-json"), note: byId("details-note"), copy: byId("details-copy"),
    same: byId("details-same"), close: byId("details-close"),
  },
  {
    onClose: () => {
      tail.unselect();
      tail.focus();
    },
    onCorrelation: (id) => setFilter(`correlation_id=${JSON.stringify(id)}`),
  },
);
const tail = new Tail(byId("rows"), byId("rows-space"), history, rates, {
  select: (event) => details.show(event),
  enter: () => details.focus(),
});

const filterBox = byId("filter");
let open = false;
let clockAhead = 0;
/** Events that arrive while the history is still on its way; they come after it. */
let joining;
/** When the connection was lost, until the history tells what came in between. */
let lostAt;
let drawWanted = false;
let drawnAt = 0;

function second() {
  return Math.floor(Date.now() / 1_000);
}

/** When an event was published, by the clock of this page; unknown for an id from outside. */
function secondOf(event) {
  const made = madeAt(event.event_id);
  return made === undefined ? undefined : Math.min(Math.floor((made - clockAhead) / 1_000), second());
}

// ---- events in

const connection = new Connection(new URL("ws", location.href.replace(/^http/, "ws")), {
  state: showState,
  welcome: ({ timestamp }) => {
    clockAhead = (Date.parse(timestamp) || Date.now()) - Date.now();
    joining = [];
  },
  ready: join,
  event: (event, size) => {
    rates.add(event.event_type, secondOf(event) ?? second());
    if (joining && joining.length < EVENTS_MAX) joining.push([event, size]);
    else add(event, size);
  },
  error: (text) => setText(byId("notice"), `The server refused: ${text}`),
});

async function join() {
  setText(byId("notice"), "");
  pollStats();
  const lost = lostAt;
  lostAt = undefined;
  // A history that reaches back to an event that is here already leaves nothing out.
  let reachesBack = false;
  try {
    const events = listed(await fetchJson(`events?limit=${EVENTS_MAX}`));
    const live = new Set(joining?.map(([event]) => event.event_id));
    for (const event of events) {
      if (live.has(event.event_id)) continue;
      if (!history.add(event, JSON.stringify(event).length)) {
        reachesBack = true;
        continue;
      }
      const published = secondOf(event);
      if (published !== undefined) rates.add(event.event_type, published);
    }
  } catch (error) {
    setText(byId("notice"), `The history could not be read: ${error.message}`);
  }
  if (lost !== undefined && !reachesBack) showMissed(lost);
  const waiting = joining ?? [];
  joining = undefined;
  for (const [event, size] of waiting) add(event, size);
  drawRates();
  draw();
}

function showMissed(lost) {
  const [from, to] = [lost, Date.now()].map((at) => time(new Date(at).toISOString()));
  setText(byId("missed-text"), `Not connected from ${from} to ${to}: events published in that time were missed and may be absent from the list and the rates.`);
  byId("missed").hidden = false;
}

function listed(answer) {
  return Array.isArray(answer) ? answer : answer.events;
}

function add(event, size) {
  if (history.add(event, size)) draw();
}

async function fetchJson(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(FETCH_MS), headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

// ---- drawing

// However many events arrive, the table is drawn ten times a second at most; a reader who asked
// for less motion sees it move once a second.
function draw() {
  if (drawWanted) return;
  drawWanted = true;
  const wait = Math.max(0, drawnAt + (CALM.matches ? 1_000 : 100) - performance.now());
  setTimeout(() => requestAnimationFrame(drawNow), wait);
}

function drawNow() {
  drawWanted = false;
  drawnAt = performance.now();
  tail.draw();
  const shown = history.visible.length;
  const text = filterBox.dataset.active ? `${count(shown)} of ${count(history.length)} events match` : `${count(shown)} events`;
  setText(byId("shown"), text);
  const held = `${count(history.held)} held back`;
  const dropped = history.dropped > 0 ? `, ${count(history.dropped)} dropped` : "";
  setText(byId("held"), history.paused ? `Paused: ${held}${dropped}` : "");
  byId("held").hidden = !history.paused;
  byId("empty").hidden = history.length > 0;
  byId("unmatched").hidden = history.length === 0 || shown > 0;
}

function drawRates() {
  rates.advance(second());
  const snapshot = rates.snapshot();
  plot.draw(snapshot);
  const totals = snapshot.series.map(({ counts }) => counts);
  setText(byId("rate"), count(totals.reduce((sum, counts) => sum + counts.at(-1), 0)));
  byId("plot-empty").hidden = totals.some((counts) => counts.some((number) => number > 0));
}

// ---- statistics and state

async function pollStats() {
  if (!open) return;
  try {
    const stats = await fetchJson("stats");
    setText(byId("total"), count(stats.event_stats.total_events));
    const clients = stats.streaming?.connected_clients;
    setText(byId("clients"), count(clients));
    setText(byId("clients-name"), clients === 1 ? "client" : "clients");
    const number = handlers.draw(stats.handlers);
    byId("handlers-empty").hidden = number > 0;
    const letters = stats.dead_letters?.letters ?? 0;
    const given = letters > 0 ? `, ⚠ ${count(letters)} dead letter${letters === 1 ? "" : "s"}` : "";
    setText(byId("handlers-count"), number > 0 ? count(number) + given : "");
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}

function showState(state, seconds) {
  if (open && state !== "open") lostAt ??= Date.now();
  open = state === "open";
  const words = { connecting: "Connecting…", open: "Connected", waiting: `Disconnected, next try in ${seconds} s` };
  byId("state").dataset.state = state;
  setText(byId("state-text"), words[state]);
  byId("retry").hidden = state !== "waiting";
  document.body.classList.toggle("stale", !open);
}

// ---- filter and pause

function setFilter(text) {
  filterBox.value = text;
  applyFilter();
}

function applyFilter() {
  const text = filterBox.value.trim();
  const error = byId("filter-error");
  try {
    history.filter(parseFilter(text));
    filterBox.dataset.active = text;
    filterBox.removeAttribute("aria-invalid");
    setText(error, "");
    window.history.replaceState(null, "", text ? `#filter=${encodeURIComponent(text)}` : location.pathname);
  } catch (problem) {
    if (!(problem instanceof FilterError)) throw problem;
    filterBox.setAttribute("aria-invalid", "true");
    const still = filterBox.dataset.active ? `Still showing \`${filterBox.dataset.active}\`.` : "Still showing every event.";
    setText(error, `At character ${problem.at + 1}: ${problem.message}. ${still}`);
  }
  byId("clear").hidden = filterBox.value === "";
  tail.toTop();
  drawNow();
}

function pause() {
  if (history.paused) history.resume();
  else history.pause();
  const button = byId("pause");
  button.setAttribute("aria-pressed", String(history.paused));
  setText(byId("pause-text"), history.paused ? "Resume" : "Pause");
  byId("announce").textContent = history.paused ? "Paused" : "Resumed";
  drawNow();
}

function onKey(pressed) {
  if (pressed.ctrlKey || pressed.metaKey || pressed.altKey) return;
  if (pressed.key === "Escape") {
    if (details.open) details.close();
    else if (byId("help").open) byId("help").open = false;
    else if (document.activeElement === filterBox) filterBox.blur();
    return;
  }
  if (pressed.target.closest("input, button, summary, a, textarea")) return;
  if (pressed.key === "/") filterBox.focus();
  else if (pressed.key === " ") pause();
  else return;
  pressed.preventDefault();
}

// ---- start

let filterTimer;
filterBox.addEventListener("input", () => {
  clearTimeout(filterTimer);
  filterTimer = setTimeout(applyFilter, FILTER_WAIT_MS);
});
byId("filter-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  clearTimeout(filterTimer);
  applyFilter();
});
byId("clear").addEventListener("click", () => {
  setFilter("");
  filterBox.focus();
});
byId("unmatched-clear").addEventListener("click", () => setFilter(""));
byId("pause").addEventListener("click", pause);
byId("missed-close").addEventListener("click", () => (byId("missed").hidden = true));
byId("retry").addEventListener("click", () => connection.retry());
document.addEventListener("keydown", onKey);
setInterval(drawRates, 1_000);
setInterval(pollStats, STATS_EVERY_MS);

if (!PUBLISH_DEFAULT.includes(location.host)) byId("empty-url").textContent = ` --url ${location.origin}`;
setFilter(new URLSearchParams(location.hash.slice(1)).get("filter") ?? "");
drawRates();
connection.open();
