//! Events to filters.

use nexus_events_dispatch::FilterIndex;
use nexus_events_model::{Event, Filter};
use serde_json::json;

use nexus_events_benches::{Cell, Numbers, Peer, Report, compare};

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];

/// Events that take turns; a power of two.
const EVENTS: usize = 256;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Each wants another value of one field.
    Equal,
    /// Ten kinds of conditions on eight fields.
    Mixed,
}

pub(crate) fn run(report: &mut Report) {
    for (kind, title) in [
        (Kind::Equal, "Filters: equality on one field, one of them matches"),
        (Kind::Mixed, "Filters: equality, lists, starts, ranges, presence, alternatives, mixed"),
    ] {
        let mut rows: Vec<(String, Vec<Option<Cell>>)> = ["`FilterIndex`", "scan of all filters"]
            .map(|name| (name.to_owned(), Vec::new()))
            .into();
        for size in SIZES {
            let cells = measure(kind, size);
            rows.iter_mut().zip(cells).for_each(|(row, (_, cell))| row.1.push(Some(cell)));
        }
        report.table(title, &SIZES.map(|size| format!("{size} filters")), &rows);
    }
}

fn measure(kind: Kind, size: usize) -> Vec<(String, Cell)> {
    let filters: Vec<(Filter, usize)> = (0..size)
        .map(|number| (Filter::parse(&filter_text(kind, number)).expect("a valid filter"), number))
        .collect();
    let mut index = FilterIndex::new();
    filters.iter().for_each(|(filter, number)| index.insert(filter, *number));
    let mut numbers = Numbers(11);
    let events: Vec<Event> = (0..EVENTS).map(|_| event(&mut numbers, size)).collect();
    let indexed = |event: &Event| {
        let mut sum = 0;
        index.for_each_match(event, |value| sum += value + 1);
        sum
    };
    let scanned = |event: &Event| {
        filters
            .iter()
            .filter(|(filter, _)| filter.matches(event))
            .map(|(_, value)| value + 1)
            .sum::<usize>()
    };
    for event in events.iter().take(32) {
        assert_eq!(indexed(event), scanned(event));
    }
    let at = |number: usize| &events[number & (EVENTS - 1)];
    compare(vec![
        Peer::new("`FilterIndex`", |number| indexed(at(number))),
        Peer::new("scan of all filters", |number| scanned(at(number))),
    ])
}

pub(crate) fn filter_text(kind: Kind, number: usize) -> String {
    if let Kind::Equal = kind {
        return format!("payload.id == {number}");
    }
    match number % 10 {
        0 | 1 => format!("source == 'shop-{}' && payload.id == {number}", number % 50),
        2 => format!("payload.sku in ['s{number}', 't{number}', 'u{number}']"),
        3 => format!("payload.path.startsWith('/orders/{number}/')"),
        4 => format!("payload.amount >= {number} && payload.amount < {}", number + 10),
        5 => format!("session_id == 'session-{number}' && priority >= 'high'"),
        6 => format!("payload.lines.exists(x, x.sku == 's{number}' && x.count > 1)"),
        7 => format!("payload.id == {number} || payload.sku == 'v{number}'"),
        8 => format!("exists(payload.flag{number})"),
        _ => format!("user_id == 'user-{number}' && payload.note != 'none'"),
    }
}

/// An event that a few of the filters match.
fn event(numbers: &mut Numbers, size: usize) -> Event {
    let mut near = || numbers.below(size);
    let (id, flag) = (near(), format!("flag{}", near()));
    let event = Event::builder("order.created")
        .id("1")
        .timestamp_text("2026-01-02T03:04:05Z")
        .source(format!("shop-{}", id % 50))
        .session_id(format!("session-{}", near()))
        .user_id(format!("user-{}", near()))
        .payload(json!({
            "id": id, "sku": format!("t{}", near()), "path": format!("/orders/{}/lines", near()),
            "amount": near(), "note": "none", flag: true,
            "lines": [{"sku": format!("s{}", near()), "count": 2}, {"sku": "x", "count": 1}],
        }));
    event.build().expect("a valid event")
}
