//! `nexus replay`: a part of a running server's log to its handlers again.

use std::fmt::Write;

use nexus_events_dispatch::{Clock, SystemClock};
use nexus_events_model::IsoFormat;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::{Output, ReplayArgs};
use crate::commands::client::Server;
use crate::exit::{Exit, Failure, Outcome};
use crate::keep::units;
use crate::output::{self, counted, grouped, plain};
use crate::progress::Bar;

pub(crate) async fn run(args: ReplayArgs) -> Outcome {
    let server = Server::new(&args.remote.url)?;
    let request = request(&args)?.to_string().into_bytes();
    let mut lines = server.lines("/replay", request).await?;
    let mut bar = Bar::new(if args.dry_run { "dry run" } else { "replay" });
    let mut first = None;
    let last = loop {
        let Some(line) = lines.next().await? else {
            let message = "the server broke off the replay; look at its output, and go on with --from where it was";
            return Err(Failure::new(Exit::Failed, message));
        };
        let line: Value = serde_json::from_str(&line)?;
        if line["done"] == true {
            break line;
        }
        let number = |name: &str| line[name].as_u64().unwrap_or(0);
        let first = *first.get_or_insert(number("last").saturating_sub(1));
        bar.show(number("last").saturating_sub(first), number("until").saturating_sub(first));
    };
    drop(bar);
    output::print(&match args.remote.output {
        Output::Json => format!("{last}\n"),
        Output::Text => summary(&last, args.dry_run),
    })?;
    match last["end"].as_str() {
        Some("done") if last["failed"] == 0 => Ok(Exit::Done),
        Some("done") => Ok(Exit::Failed),
        Some("stopped") => {
            let message = format!("the server stopped it; go on with --from {}", after(&last));
            Err(Failure::new(Exit::Interrupted, message))
        }
        _ => {
            let error = plain(&last["error"].to_string());
            let message = format!("it ended early: {error}; go on with --from {}", after(&last));
            Err(Failure::new(Exit::Failed, message))
        }
    }
}

fn after(last: &Value) -> u64 {
    last["last"].as_u64().unwrap_or(0) + 1
}

/// What the server is asked for.
fn request(args: &ReplayArgs) -> Outcome<Value> {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    match args.from.as_deref().map(|text| end("--from", text)).transpose()? {
        Some(End::Offset(first)) => add("after", Some(first.saturating_sub(1).into())),
        Some(End::Time(time)) => add("since", Some(time.into())),
        None => {}
    }
    match args.to.as_deref().map(|text| end("--to", text)).transpose()? {
        Some(End::Offset(last)) => add("until", Some(last.into())),
        Some(End::Time(time)) => add("before", Some(time.into())),
        None => {}
    }
    add("type", args.pattern.clone().map(Into::into));
    add("filter", args.filter.clone().map(Into::into));
    add("handler", args.handler.clone().map(Into::into));
    add("speed", args.speed.map(Into::into));
    add("rate", args.rate.map(Into::into));
    add("dry_run", args.dry_run.then(|| true.into()));
    Ok(fields.into())
}

/// Where a part of the log begins or ends.
#[derive(Debug, PartialEq)]
enum End {
    Offset(u64),
    Time(String),
}

fn end(option: &str, text: &str) -> Outcome<End> {
    if text == "start" && option == "--from" {
        return Ok(End::Offset(1));
    }
    if let Ok(offset) = text.parse() {
        return Ok(End::Offset(offset));
    }
    if OffsetDateTime::parse(text, &Rfc3339).is_ok() {
        return Ok(End::Time(text.to_owned()));
    }
    let ago =
        units::age(text).ok().and_then(|age| SystemClock.now().checked_sub(age.try_into().ok()?));
    match ago {
        Some(time) => Ok(End::Time(IsoFormat(time).to_string())),
        None => {
            let message = format!(
                "{option} is an offset, a time such as 2026-01-02T03:04:05Z, or 1h for an hour ago, not `{text}`"
            );
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// What it came to, for people.
fn summary(last: &Value, dry_run: bool) -> String {
    let number = |of: &Value, name: &str| grouped(of[name].as_u64().unwrap_or(0));
    let handled = if dry_run { "would be given" } else { "handled" };
    let events = counted(last["events"].as_u64().unwrap_or(0), "event");
    let mut text = format!("{events} {}\n", if dry_run { "would be replayed" } else { "replayed" });
    for (name, counts) in last["handlers"].as_object().into_iter().flatten() {
        let [done, failed, skipped, cancelled] =
            ["handled", "failed", "skipped", "cancelled"].map(|name| number(counts, name));
        let name = plain(name);
        let _ = writeln!(
            text,
            "  {name:<24} {done} {handled}, {failed} failed, {skipped} skipped, {cancelled} cancelled"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_end_is_an_offset_a_time_or_so_long_ago() {
        let from = |text| end("--from", text);
        assert_eq!(from("start").unwrap(), End::Offset(1));
        assert_eq!(from("42").unwrap(), End::Offset(42));
        let time = "2026-01-02T03:04:05Z";
        assert_eq!(from(time).unwrap(), End::Time(time.to_owned()));
        assert!(matches!(from("1h").unwrap(), End::Time(_)));
        for (option, wrong) in
            [("--from", "noon"), ("--to", "start"), ("--from", "-1"), ("--to", "")]
        {
            let failure = end(option, wrong).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage);
            assert!(failure.to_string().starts_with(option), "{failure}");
        }
    }

    #[test]
    fn a_summary_has_each_handler() {
        let counts = json!({"handled": 1200, "failed": 1, "skipped": 0, "cancelled": 2});
        let last = json!({"events": 1203, "handlers": {"billing": counts}});
        let expected = "1,203 events replayed\n  billing                  1,200 handled, 1 failed, 0 skipped, 2 cancelled\n";
        assert_eq!(summary(&last, false), expected);
        assert!(summary(&last, true).contains("1,200 would be given"));
    }
}
