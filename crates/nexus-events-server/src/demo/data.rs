//! The events to replay, read and checked before the first one is published.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use flate2::bufread::MultiGzDecoder;
use nexus_events_model::{Event, EventBuilder, EventType};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::limits::DATA_BYTES_MAX;

/// See `data/README.md` for where they come from and their licences.
const FLIGHTS: (&str, &[u8]) = (
    "nycflights-2013-02-05_11.ndjson.gz",
    include_bytes!("../../data/nycflights-2013-02-05_11.ndjson.gz"),
);
const GITHUB: (&str, &[u8]) =
    ("github-webhooks.ndjson.gz", include_bytes!("../../data/github-webhooks.ndjson.gz"));

/// The row of everything that GitHub sent, of 58 kinds.
const GITHUB_ROW: &str = "github";

/// The row of what a handler publishes: one event for each departure over an hour late.
pub(super) const FOLLOW_UP_ROW: &str = "flight.delayed (follow-up)";

/// How many events of each row the shipped data has, or leads to.
const SHIPPED_COUNTS: [(&str, u64); 6] = [
    ("flight.departed", 5_109),
    ("flight.landed", 5_089),
    ("flight.cancelled", 992),
    ("weather.observed", 504),
    (GITHUB_ROW, 329),
    (FOLLOW_UP_ROW, 452),
];

/// How long events that carry no time take, when none of the data does.
const UNTIMED_SPAN: time::Duration = time::Duration::WEEK;

/// Where an event came from is kept in its metadata under this name.
const REPLAYED_FROM: &str = "replayed_from";

/// Events in the order in which they are published.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) events: Vec<Replayed>,
    /// Where they come from, for people.
    pub(super) origin: String,
    /// How many events each row of the table must have.
    pub(super) expected: BTreeMap<Cow<'static, str>, u64>,
    /// Whether events carry the times at which they happened.
    pub(super) is_timed: bool,
}

/// One event to publish.
#[derive(Debug)]
pub(super) struct Replayed {
    /// When it happened. Events without a time are spread evenly over those that have one.
    pub(super) at: OffsetDateTime,
    /// The row of the table that counts it.
    pub(super) row: Cow<'static, str>,
    pub(super) event: EventBuilder,
}

/// An event as read from a file, with its own time if it has one.
struct Untimed {
    at: Option<OffsetDateTime>,
    row: Cow<'static, str>,
    event: EventBuilder,
}

impl Data {
    /// The data that comes with the program.
    pub(super) fn shipped() -> Result<Self> {
        let mut read = read(FLIGHTS.0, FLIGHTS.1, |event_type| event_type.to_owned().into())?;
        read.extend(self::read(GITHUB.0, GITHUB.1, |_| GITHUB_ROW.into())?);
        let expected = SHIPPED_COUNTS.into_iter().map(|(row, count)| (row.into(), count)).collect();
        Ok(Self::in_order(
            read,
            "a week at New York's airports and from GitHub".to_owned(),
            expected,
        ))
    }

    /// The data of these files, one event a line.
    pub(super) fn of_files(paths: &[PathBuf]) -> Result<Self> {
        let mut all = Vec::new();
        for path in paths {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
            all.extend(read(&name, file, |event_type| event_type.to_owned().into())?);
        }
        let mut expected = BTreeMap::new();
        for event in &all {
            *expected.entry(event.row.clone()).or_insert(0) += 1;
        }
        let names: Vec<String> = paths.iter().map(|path| short(path)).collect();
        Ok(Self::in_order(all, names.join(", "), expected))
    }

    fn in_order(
        read: Vec<Untimed>,
        origin: String,
        expected: BTreeMap<Cow<'static, str>, u64>,
    ) -> Self {
        let times = || read.iter().filter_map(|event| event.at);
        let is_timed = times().next().is_some();
        let first = times().min().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let last = times().max().unwrap_or(first + UNTIMED_SPAN);
        let untimed = read.iter().filter(|event| event.at.is_none()).count();
        let step = (last - first) / u32::try_from(untimed + 1).unwrap_or(u32::MAX);
        let mut next = first;
        let mut events: Vec<Replayed> = read
            .into_iter()
            .map(|Untimed { at, row, event }| {
                if let Some(at) = at {
                    return Replayed { at, row, event };
                }
                next += step;
                // Among events of another year it would seem out of order by the wall clock.
                let event = if is_timed { event.timestamp(next) } else { event };
                Replayed { at: next, row, event }
            })
            .collect();
        events.sort_by_key(|event| event.at);
        Self { events, origin, expected, is_timed }
    }
}

fn short(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Reads events from JSON lines, gzipped or not. A mistake is reported with its line.
fn read(
    name: &str,
    from: impl Read,
    row: impl Fn(&str) -> Cow<'static, str>,
) -> Result<Vec<Untimed>> {
    let mut lines =
        unpacked(from).with_context(|| format!("cannot read {name}"))?.take(DATA_BYTES_MAX + 1);
    let mut events = Vec::new();
    let mut text = Vec::new();
    for number in 1_u64.. {
        text.clear();
        let cut = |error| anyhow!("{name} is cut off or damaged in line {number}: {error}");
        if lines.read_until(b'\n', &mut text).map_err(cut)? == 0 {
            break;
        }
        if lines.limit() == 0 {
            bail!(
                "{name} has more than {} MiB, at line {number}; split it",
                DATA_BYTES_MAX / 1024 / 1024
            );
        }
        let ended = text.ends_with(b"\n");
        let line = std::str::from_utf8(&text)
            .with_context(|| format!("{name}, line {number} is not UTF-8 text"))?
            .trim();
        if line.is_empty() {
            continue;
        }
        let place = || match ended {
            true => format!("{name}, line {number}"),
            false => format!("{name} is cut off in line {number}, or that line is wrong"),
        };
        let event = EventBuilder::from_json(line)
            .map_err(|error| anyhow!("{}: {}", place(), within_line(&error.to_string())))?;
        let head: Head<'_> = serde_json::from_str(line).with_context(place)?;
        let event = event.metadata(REPLAYED_FROM, format!("{}:{number}", short(Path::new(name))));
        events.push(Untimed {
            at: head.time().with_context(place)?,
            row: row(&head.event_type()),
            event,
        });
    }
    if events.is_empty() {
        bail!("{name} has no event; write one JSON object a line");
    }
    Ok(events)
}

/// A mistake without the number that its line has by itself, which is always 1.
fn within_line(mistake: &str) -> String {
    mistake.replace("at line 1 column ", "at column ")
}

/// The bytes themselves, or what they are the gzip of.
fn unpacked<'a>(from: impl Read + 'a) -> std::io::Result<Box<dyn BufRead + 'a>> {
    let mut from = BufReader::new(from);
    match from.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        true => Ok(Box::new(BufReader::new(MultiGzDecoder::new(from)))),
        false => Ok(Box::new(from)),
    }
}

/// What the replay itself wants to know of an event.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    event_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    timestamp: Option<Cow<'a, str>>,
}

impl Head<'_> {
    /// The type as the model reads it.
    fn event_type(&self) -> Cow<'_, str> {
        let given = self.event_type.as_deref().map(Cow::Borrowed);
        given.unwrap_or_else(|| EventType::CUSTOM_EVENT.to_string().into())
    }

    /// The time as the model reads it.
    fn time(&self) -> Result<Option<OffsetDateTime>> {
        let Some(text) = &self.timestamp else { return Ok(None) };
        let event =
            Event::builder(EventType::CUSTOM_EVENT).id("time").timestamp_text(text).build()?;
        Ok(Some(event.timestamp()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        match read("my.ndjson", text.as_bytes(), |event_type| event_type.to_owned().into()) {
            Ok(events) => {
                let rows: Vec<&str> = events.iter().map(|event| &*event.row).collect();
                assert_eq!(rows.join(" "), expected);
            }
            Err(error) => assert_eq!(format!("{error:#}"), expected),
        }
    }

    #[test]
    fn the_shipped_data_has_the_counts_of_its_readme() {
        let data = Data::shipped().unwrap();
        let mut counts = BTreeMap::new();
        for event in &data.events {
            *counts.entry(event.row.clone()).or_insert(0) += 1;
        }
        counts.insert(FOLLOW_UP_ROW.into(), data.expected[FOLLOW_UP_ROW]);
        assert_eq!(counts, data.expected);
        assert!(data.events.is_sorted_by_key(|event| event.at));
        let github: Vec<usize> =
            (0..data.events.len()).filter(|place| data.events[*place].row == GITHUB_ROW).collect();
        assert!(github[0] < 500 && github[328] > 11_000, "spread over the week");
    }

    #[test]
    fn lines_are_events() {
        check("{\"event_type\":\"a.b\"}\n\n{\"payload\":1}", "a.b custom.event");
    }

    #[test]
    fn a_mistake_is_reported_with_its_line() {
        check("", "my.ndjson has no event; write one JSON object a line");
        let wrong =
            read("my.ndjson", &b"{}\n{\"event_type\":\"a b\"}\n"[..], |row| row.to_owned().into());
        let wrong = format!("{:#}", wrong.err().unwrap());
        assert!(wrong.starts_with("my.ndjson, line 2: event type `a b`"), "{wrong}");
        check(
            "{}\nnonsense\n",
            "my.ndjson, line 2: event is not valid JSON: expected ident at column 2",
        );
        let cut = read("my.ndjson", &b"{}\n{\"event_ty"[..], |row| row.to_owned().into());
        assert!(cut.err().unwrap().to_string().starts_with("my.ndjson is cut off in line 2"));
    }

    #[test]
    fn a_gzip_that_is_cut_is_reported_with_the_line_it_ends_in() {
        let half = &FLIGHTS.1[..FLIGHTS.1.len() / 2];
        let error = read("half.gz", half, |row| row.to_owned().into()).err().unwrap().to_string();
        assert!(error.starts_with("half.gz is cut off or damaged in line 5"), "{error}");
    }

    #[test]
    fn events_without_a_time_are_spread_evenly() {
        let text = r#"{"timestamp":"2026-01-01T00:00:00Z"}
{"timestamp":"2026-01-01T00:00:30Z"}
{"event_type":"late"}
{"event_type":"later"}"#;
        let read = read("f", text.as_bytes(), |row| row.to_owned().into()).unwrap();
        let data = Data::in_order(read, String::new(), BTreeMap::new());
        let seconds: Vec<u8> = data.events.iter().map(|event| event.at.second()).collect();
        assert_eq!(seconds, [0, 10, 20, 30]);
        let stamped = data.events.into_iter().map(|Replayed { event, .. }| {
            let event = event.id("x").build();
            event.unwrap().timestamp().second()
        });
        assert_eq!(stamped.collect::<Vec<_>>(), seconds, "as if they had happened then");
    }
}
