//! The console page in a real browser, served by the real binary.

use std::process::Stdio;

use nexus_events_model::{Event, Filter};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::chromium::{Browser, Page};

const OPEN: &str = "document.querySelector('#state').dataset.state === 'open'";
/// The event types in sight, newest first.
const TYPES: &str = "[...document.querySelectorAll('#rows-space .row:not([hidden]) .type .name')].map((name) => name.textContent)";
/// How many events the table has.
const SHOWN: &str =
    "Number(document.querySelector('#shown').textContent.split(' ')[0].replaceAll(',', ''))";

/// A running `nexus`, killed at the end of the test.
struct Server {
    _process: Child,
    url: String,
}

impl Server {
    /// Starts it and waits until it says where it listens.
    async fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_nexus"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, url)) = line.split_once("console  ") {
                let url = url.trim().to_owned();
                // Read to the end: a program that nobody listens to may end early.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Self { _process: process, url };
            }
        }
        panic!("nexus {arguments:?} ended without saying where it listens");
    }

    async fn stop(mut self) {
        self._process.kill().await.unwrap();
    }
}

/// Publishes from within the page, as any program of the same origin may.
async fn publish(page: &Page, events: &[Value]) {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let lines = json!(lines.join("\n"));
    let answer = page
        .evaluate(&format!(
            "fetch('/events', {{ method: 'POST', headers: {{ 'content-type': 'application/x-ndjson' }}, body: {lines} }})
                .then((answer) => answer.ok || answer.text())"
        ))
        .await;
    assert_eq!(answer, true);
}

async fn filter(page: &Page, text: &str) {
    page.evaluate("document.querySelector('#filter').select()").await;
    page.click("#filter").await;
    page.evaluate("document.querySelector('#filter').select()").await;
    page.type_text(text).await;
    page.press("Enter").await;
}

async fn assert_clean(page: &Page) {
    let problems = page.problems().await;
    assert!(problems.is_empty(), "the browser found:\n{}", problems.join("\n"));
}

#[tokio::test]
async fn console_shows_live_rows_while_the_demo_runs() {
    let Some(browser) = Browser::start().await else { return };
    let demo = Server::start(&["demo", "--port", "0"]).await;
    let page = browser.open(&demo.url, 1280, 800).await;
    page.prefer("light").await;

    page.wait_for(&format!("{OPEN} && {SHOWN} > 20")).await;
    let before = page.evaluate(SHOWN).await;
    page.wait_for(&format!("{SHOWN} > {before} + 20")).await;
    page.wait_for("document.querySelectorAll('#handlers tbody tr').length >= 4").await;
    page.wait_for("Number(document.querySelector('#handlers tbody tr').children[3].textContent.replaceAll(',', '')) > 0").await;
    page.wait_for("document.querySelector('#legend li:not([hidden]) .value')").await;
    page.wait_for("/now \\d/.test(document.querySelector('#plot').ariaLabel)").await;
    let drawn = "(() => { const canvas = document.querySelector('#plot canvas');
        return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0); })()";
    assert_eq!(page.evaluate(drawn).await, true);
    page.wait_for("document.querySelector('#clients').textContent === '1'").await;

    // Narrow it to one event type, by keyboard.
    page.press("/").await;
    page.type_text("flight.cancelled").await;
    page.wait_for(&format!(
        "{TYPES}.length > 3 && {TYPES}.every((type) => type === 'flight.cancelled')"
    ))
    .await;
    let before = page.evaluate(SHOWN).await;
    page.wait_for(&format!("{SHOWN} > {before}")).await;
    assert_eq!(
        page.evaluate(&format!("{TYPES}.every((type) => type === 'flight.cancelled')")).await,
        true
    );
    page.click("#clear").await;
    page.wait_for(&format!("new Set({TYPES}).size > 1")).await;

    // Pause holds events back, resume shows them.
    page.click("#pause").await;
    page.wait_for("document.querySelector('#held').textContent.startsWith('Paused')").await;
    let (shown, types) = (page.evaluate(SHOWN).await, page.evaluate(TYPES).await);
    page.wait_for("Number(document.querySelector('#held').textContent.match(/[\\d,]+/)[0].replaceAll(',', '')) > 20").await;
    assert_eq!((page.evaluate(SHOWN).await, page.evaluate(TYPES).await), (shown.clone(), types));
    page.click("#pause").await;
    page.wait_for(&format!("document.querySelector('#held').hidden && {SHOWN} > {shown} + 20"))
        .await;

    page.wait_for(&format!("{SHOWN} > 3000")).await;
    page.screenshot("console-light").await;
    page.prefer("dark").await;
    page.click("#rows-space .row:nth-child(5)").await;
    page.wait_for("!document.querySelector('#details').hidden").await;
    page.screenshot("console-dark").await;
    page.press("Escape").await;
    page.prefer("light").await;
    page.resize(360, 740).await;
    let beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(page.evaluate(beyond).await, 0);
    page.screenshot("console-narrow").await;
    assert_clean(&page).await;
}

#[tokio::test]
async fn console_shows_hostile_payloads_as_text() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start(&["serve", "--port", "0", "--ephemeral"]).await;
    let page = browser.open(&server.url, 1280, 800).await;
    page.wait_for(OPEN).await;
    let hostile = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>";
    let event = json!({
        "event_type": "user.created", "source": hostile, "correlation_id": hostile, "user_id": hostile,
        "payload": {"name": hostile, hostile: hostile}, "metadata": {hostile: hostile},
    });
    let before = page.evaluate("document.images.length").await;
    publish(&page, &[event]).await;
    page.wait_for(
        "document.querySelector('#rows-space .facts')?.textContent?.includes('<img src=x onerror=')",
    )
    .await;
    page.click("#rows-space .row").await;
    page.wait_for(
        "document.querySelector('#details-json').textContent.includes('<img src=x onerror=')",
    )
    .await;
    // In what the page itself says, too.
    filter(&page, "<img src=x onerror=window.pwned=1>").await;
    page.wait_for("document.querySelector('#filter-error').textContent !== ''").await;
    page.click("#details-same").await;
    page.wait_for(&format!(
        "document.querySelector('#filter').value.includes('<img') && {SHOWN} === 1"
    ))
    .await;
    assert_eq!(page.evaluate("typeof window.pwned").await, "undefined");
    assert_eq!(page.evaluate("document.images.length").await, before);
    assert_eq!(page.evaluate("document.querySelectorAll('main img, main script').length").await, 0);
    assert_clean(&page).await;
}

#[tokio::test]
async fn console_filters_and_explains() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start(&["serve", "--port", "0", "--ephemeral"]).await;
    let page = browser.open(&server.url, 1280, 800).await;
    page.wait_for(OPEN).await;
    let failures = page.evaluate(include_str!("console_units.js")).await;
    assert_eq!(failures, json!([]), "{failures:#}");

    // An empty page says what fills it.
    page.wait_for("document.querySelector('#empty').checkVisibility()").await;
    let empty = page.evaluate("document.querySelector('main').innerText").await;
    let command = format!(
        "nexus publish user.created '{{\"user_id\":\"42\"}}' --url {}",
        server.url.trim_end_matches('/')
    );
    assert!(empty.as_str().unwrap().contains(&command), "{empty}");
    assert!(empty.as_str().unwrap().contains("nexus demo"), "{empty}");

    // A wrong filter is explained, and the last good one stays.
    publish(&page, &[json!({"event_type": "a.b"}), json!({"event_type": "c"})]).await;
    filter(&page, "a.*").await;
    page.wait_for(&format!("{TYPES}.join() === 'a.b'")).await;
    filter(&page, "a.* colour=red").await;
    page.wait_for("document.querySelector('#filter').ariaInvalid === 'true'").await;
    let error = page.evaluate("document.querySelector('#filter-error').textContent").await;
    let error = error.as_str().unwrap();
    assert!(
        error.starts_with("At character 5: ")
            && error.contains("payload.colour")
            && error.contains("`a.*`"),
        "{error}"
    );
    assert_eq!(page.evaluate(TYPES).await, json!(["a.b"]));
    filter(&page, "nothing.here").await;
    page.wait_for("document.querySelector('#unmatched').checkVisibility()").await;
    page.click("#unmatched-clear").await;
    page.wait_for(&format!(
        "{TYPES}.length === 2 && document.querySelector('#filter-error').textContent === ''"
    ))
    .await;
    assert_clean(&page).await;
}

#[tokio::test]
async fn console_compares_as_filters_do() {
    const FILTERS: [&str; 19] = [
        "payload.amount > 100 && priority == 'high'",
        "payload.amount >= 100",
        "payload.amount != 100",
        "payload.amount == null",
        "payload.name == 'b' || payload.name == 'c'",
        "!(payload.name == 'b')",
        "payload.name != 'b'",
        "payload.name > 'a'",
        "payload.deep.ok == true",
        "payload.tags == 'b'",
        "payload.tags != 'd'",
        "payload.items.id == 2",
        "payload.tags < 'c'",
        "payload.amount > '1'",
        "source == 'shop'",
        "session_id != 's1'",
        "session_id == null",
        "priority >= 'normal' && priority < 'critical'",
        "(payload.amount < 50 || payload.amount > 150) && source != 'shop'",
    ];
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start(&["serve", "--port", "0", "--ephemeral"]).await;
    let page = browser.open(&server.url, 1280, 800).await;
    page.wait_for(OPEN).await;
    let amounts =
        [json!(10), json!(100), json!(100.5), json!(200), json!("100"), json!(null), json!(-3)];
    let mut events = Vec::new();
    for (number, amount) in amounts.iter().cycle().take(56).enumerate() {
        let priority = ["low", "normal", "high", "critical"][number % 4];
        let name = ["a", "b", "c", "d"][number % 4];
        let mut payload = json!({"amount": amount, "name": name, "deep": {"ok": number % 2 == 0}, "tags": ["d", name], "items": [{"id": number % 4}, {"id": 9}]});
        if number % 5 == 0 {
            payload.as_object_mut().unwrap().remove("amount");
        }
        let source = ["shop", "bank"][number / 7 % 2];
        let session = ["s1", "s2"].get(number % 3);
        events.push(json!({"event_type": "a.b", "source": source, "priority": priority, "session_id": session, "payload": payload}));
    }
    publish(&page, &events).await;
    let history = page.evaluate("fetch('/events').then((answer) => answer.json())").await;
    let history = history["events"].as_array().unwrap();
    assert_eq!(history.len(), events.len());
    for text in FILTERS {
        let model = Filter::parse(text).unwrap();
        let expected: Vec<&Value> = history
            .iter()
            .filter(|event| model.matches(&Event::from_json(&event.to_string()).unwrap()))
            .map(|event| &event["event_id"])
            .collect();
        assert!(!expected.is_empty() && expected.len() < events.len(), "{text} says nothing here");
        let found = page
            .evaluate(&format!(
                "Promise.all([import('/console/filter.js'), fetch('/events').then((answer) => answer.json())])
                    .then(([{{ parseFilter }}, {{ events }}]) => events.filter(parseFilter({text:?})).map((event) => event.event_id))"
            ))
            .await;
        assert!(
            found == json!(expected),
            "{text}: {} instead of {}",
            found.as_array().unwrap().len(),
            expected.len()
        );
    }
    assert_clean(&page).await;
}

#[tokio::test]
async fn console_works_by_keyboard_with_few_rows_in_the_document() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start(&["serve", "--port", "0", "--ephemeral"]).await;
    let page = browser.open(&server.url, 1280, 800).await;
    page.wait_for(OPEN).await;
    let events: Vec<Value> = (0..6_000)
        .map(|number| json!({"event_type": "a.b", "payload": {"number": number}}))
        .collect();
    for events in events.chunks(1_000) {
        publish(&page, events).await;
    }
    page.wait_for(&format!("{SHOWN} === 5000 && document.querySelector('#rows-space .facts')?.textContent === 'number 5999'")).await;
    let rows = page.evaluate("document.querySelectorAll('#rows-space .row').length").await;
    assert!((10..=60).contains(&rows.as_u64().unwrap()), "{rows} rows");

    // After a reload the history is there at once.
    page.navigate(&server.url).await;
    page.wait_for(&format!("{OPEN} && {SHOWN} === 5000")).await;
    page.evaluate("document.querySelector('#rows').focus()").await;
    page.press("ArrowDown").await;
    page.press("ArrowDown").await;
    page.wait_for("document.querySelector('#details-json').textContent.includes('5998')").await;
    let active = "document.querySelector('#' + document.querySelector('#rows').getAttribute('aria-activedescendant'))?.textContent";
    assert!(page.evaluate(active).await.as_str().unwrap().contains("number 5998"));
    page.press("Enter").await;
    page.wait_for("document.activeElement.id === 'details-close'").await;
    page.press("Escape").await;
    page.wait_for(
        "document.querySelector('#details').hidden && document.activeElement.id === 'rows'",
    )
    .await;

    // Down to the oldest row; a reader there keeps the place while events arrive.
    let place = |number: u32| {
        format!(
            "[...document.querySelectorAll('#rows-space .row:not([hidden])')]
                .filter((row) => row.querySelector('.facts').textContent === 'number {number}')
                .map((row) => [row.getBoundingClientRect().top, Number(row.ariaRowIndex)])[0]"
        )
    };
    page.evaluate("document.querySelector('#rows').scrollTop = 30 * 4995").await;
    page.wait_for(&place(1_000)).await;
    page.evaluate("document.querySelector('#rows').scrollTop = 30 * 1000").await;
    let before = page.wait_for(&place(4_995)).await;
    let more: Vec<Value> = (0..50).map(|_| json!({"event_type": "e.f"})).collect();
    publish(&page, &more).await;
    let index = before[1].as_u64().unwrap() + 50;
    let after = page.wait_for(&format!("({0})?.[1] === {index} && {0}", place(4_995))).await;
    assert_eq!(after[0], before[0]);
    page.evaluate("document.querySelector('#rows').scrollTop = 0").await;

    page.press(" ").await;
    page.wait_for("document.querySelector('#pause').ariaPressed === 'true'").await;
    let more: Vec<Value> = (0..5_003)
        .map(|number| json!({"event_type": "c.d", "payload": {"number": number}}))
        .collect();
    for events in more.chunks(1_000) {
        publish(&page, events).await;
    }
    page.wait_for(
        "document.querySelector('#held').textContent === 'Paused: 5,000 held back, 3 dropped'",
    )
    .await;
    page.press(" ").await;
    page.wait_for(&format!("{TYPES}.every((type) => type === 'c.d')")).await;
    assert_clean(&page).await;
}

#[tokio::test]
async fn console_comes_back_when_the_server_does() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start(&["serve", "--port", "0", "--ephemeral"]).await;
    let page = browser.open(&server.url, 1280, 800).await;
    page.wait_for(OPEN).await;
    publish(&page, &[json!({"event_type": "before.it"})]).await;
    page.wait_for(&format!("{TYPES}.includes('before.it')")).await;
    assert_clean(&page).await;

    let url = server.url.clone();
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    server.stop().await;
    page.wait_for("document.querySelector('#state').dataset.state === 'waiting'").await;
    page.wait_for("document.querySelector('#state').innerText.startsWith('Disconnected')").await;
    page.wait_for("document.querySelector('#retry').checkVisibility()").await;

    assert_eq!(page.evaluate("document.querySelector('#missed').hidden").await, true);
    // So that the next connection can be cut from here.
    page.evaluate(
        "window.WebSocket = class extends WebSocket {
            constructor(url) { super(url); window.lastSocket = this; }
        }; true",
    )
    .await;

    let server = Server::start(&["serve", "--port", &port, "--ephemeral"]).await;
    assert_eq!(server.url, url);
    page.evaluate("document.querySelector('#retry').click()").await;
    page.wait_for(OPEN).await;
    // What the first server published after the loss nobody knows.
    page.wait_for("document.querySelector('#missed').checkVisibility()").await;
    let missed = page.evaluate("document.querySelector('#missed-text').textContent").await;
    assert!(missed.as_str().unwrap().contains("were missed"), "{missed}");
    page.screenshot("console-missed").await;
    page.click("#missed-close").await;
    page.wait_for("document.querySelector('#missed').hidden").await;
    publish(&page, &[json!({"event_type": "after.it"})]).await;
    page.wait_for(&format!("{TYPES}.join() === 'after.it,before.it'")).await;

    // A history that reaches back to what is shown leaves nothing out.
    page.evaluate("window.lastSocket.close(); true").await;
    page.wait_for("document.querySelector('#state').dataset.state === 'waiting'").await;
    publish(&page, &[json!({"event_type": "in.between"})]).await;
    page.wait_for(&format!("{TYPES}.join() === 'in.between,after.it,before.it'")).await;
    assert_eq!(page.evaluate("document.querySelector('#missed').hidden").await, true);
}
