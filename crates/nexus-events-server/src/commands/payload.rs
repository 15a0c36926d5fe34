//! The event that the words of a command line make.

use std::io::Read;

use anyhow::Context;
use nexus_events_model::limits::EVENT_BYTES_MAX;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::cli::PublishArgs;
use crate::exit::{Exit, Failure, Outcome};

/// The JSON of one event. The server judges it.
pub(crate) fn event(event_type: &str, args: &PublishArgs) -> Outcome<String> {
    let mut fields = Map::new();
    let given = [
        ("event_type", Some(event_type)),
        ("source", args.source.as_deref()),
        ("priority", args.priority.as_deref()),
        ("user_id", args.user_id.as_deref()),
        ("session_id", args.session_id.as_deref()),
        ("correlation_id", args.correlation_id.as_deref()),
    ];
    for (field, value) in given {
        if let Some(value) = value {
            fields.insert(field.to_owned(), value.into());
        }
    }
    let mut json = Value::from(fields).to_string();
    if let Some(payload) = args.payload.as_deref() {
        // As it was written: numbers keep their digits.
        let payload = checked(text(payload)?)?;
        json.truncate(json.len() - 1);
        json.push_str(&format!(r#","payload":{payload}}}"#));
    }
    Ok(json)
}

/// JSON as it is given, or from a file, or from standard input.
pub(crate) fn text(given: &str) -> Outcome<String> {
    match given.strip_prefix('@') {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("cannot read {path}"))?;
            read(file).with_context(|| format!("cannot read {path}")).map_err(Into::into)
        }
        None if given == "-" => Ok(read(std::io::stdin()).context("cannot read standard input")?),
        None => Ok(given.to_owned()),
    }
}

/// No more than the server takes.
fn read(from: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    from.take(EVENT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() <= EVENT_BYTES_MAX, "an event has at most {EVENT_BYTES_MAX} bytes");
    Ok(text)
}

fn checked(text: String) -> Outcome<Box<RawValue>> {
    serde_json::from_str(&text).map_err(|error| {
        let message = format!(r#"the payload is not JSON: {error}; write it as '{{"amount":12}}', and text as '"hello"'"#);
        Failure::new(Exit::Usage, message)
    })
}
