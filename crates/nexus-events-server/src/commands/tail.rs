//! `nexus tail`: events as they are published.

use nexus_events_model::{Event, EventBuilder, Filter, Pattern, UnknownFields};
use serde_json::{Map, Value, json};
use time::macros::format_description;

use crate::cli::{Format, TailArgs};
use crate::commands::client::Server;
use crate::commands::subscription::{Retry, Subscription, event_of};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, plain};

pub(crate) async fn run(args: TailArgs) -> Outcome {
    let pattern = Pattern::new(args.pattern.clone()).map_err(|error| usage(&error.to_string()))?;
    let selection = args.filter.as_deref().map(selection).transpose()?.unwrap_or_default();
    let server = Server::new(&args.url)?;
    let request = request(&pattern, &selection.fields);
    let mut subscription = Subscription::open(&server, &request).await?;

    let mut retry = Retry::default();
    let colours = output::colours(&std::io::stdout());
    let mut left = args.count;
    while left != Some(0) {
        let text = match subscription.text().await {
            Ok(text) => text,
            Err(lost) if lost.may_return => {
                output::note(&format!("nexus: {lost}; connecting again"));
                subscription.close().await;
                subscription = retry.open(&server, &request).await?;
                output::note("nexus: connected again; missed events published in between");
                continue;
            }
            Err(lost) => return Err(lost.into_failure()),
        };
        let Some(raw) = event_of(&text)? else { continue };
        retry.reset();
        let event = EventBuilder::from_json_lenient(raw.get())?.build()?;
        if selection.filter.as_ref().is_some_and(|filter| !filter.matches(&event)) {
            continue;
        }
        let line = match args.output {
            Format::Json => format!("{}\n", raw.get()),
            Format::Line => line(&event, colours),
        };
        if !output::print(&line)? {
            return Ok(Exit::Done);
        }
        left = left.map(|left| left - 1);
    }
    subscription.close().await;
    Ok(Exit::Done)
}

fn usage(message: &str) -> Failure {
    Failure::new(Exit::Usage, message.to_owned())
}

/// What is shown of the events that match the pattern.
#[derive(Debug, Default)]
struct Selection {
    /// Fields and their values: the server sends nothing else.
    fields: Map<String, Value>,
    /// An expression, which only this side understands.
    filter: Option<Filter>,
}

/// `source=shop` as a field and its value, anything else as an expression.
fn selection(text: &str) -> Outcome<Selection> {
    let wrong = |error| usage(&format!("--filter `{text}`: {error}"));
    let field = text.split_once('=').filter(|(name, value)| {
        let name_only = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        name_only && !name.is_empty() && !value.starts_with('=')
    });
    let Some((name, value)) = field else {
        let filter = Some(Filter::parse(text).map_err(wrong)?);
        return Ok(Selection { filter, ..Selection::default() });
    };
    let fields = Map::from_iter([(name.to_owned(), value.into())]);
    // A server ignores fields that it does not know; here they are a mistake.
    Filter::from_fields(&fields, UnknownFields::Reject).map_err(wrong)?;
    Ok(Selection { fields, filter: None })
}

fn request(pattern: &Pattern, fields: &Map<String, Value>) -> String {
    json!({"type": "subscribe", "event_types": [pattern.as_str()], "filters": fields}).to_string()
}

/// Time, type, source and payload.
fn line(event: &Event, colours: bool) -> String {
    let (dim, bold, end) = if colours { ("\x1b[2m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    let format =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");
    let time = event.timestamp().format(format).unwrap_or_default();
    let payload = event.payload().json().unwrap_or("?");
    format!(
        "{dim}{time}{end}  {bold}{:<24}{end}  {:<16}  {}\n",
        event.event_type().as_str(),
        plain(event.source()),
        plain(payload)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let event =
            Event::builder("order.created").id("1").timestamp_text("2026-01-02T03:04:05.6Z");
        event.source("shop\u{7}").payload(json!({"amount": 12})).build().unwrap()
    }

    #[test]
    fn a_filter_is_a_field_for_the_server_or_an_expression() {
        let expression = |text| selection(text).unwrap().filter.unwrap();
        assert!(expression("payload.amount > 10").matches(&event()));
        assert!(!expression("payload.amount == 10").matches(&event()));
        let Selection { fields, filter } = selection("source=shop").unwrap();
        assert!(filter.is_none());
        let expected =
            json!({"type": "subscribe", "event_types": ["a.*"], "filters": {"source": "shop"}});
        let request = request(&Pattern::new("a.*").unwrap(), &fields);
        assert_eq!(serde_json::from_str::<Value>(&request).unwrap(), expected);
        for wrong in ["amount >", "colour=red"] {
            assert_eq!(selection(wrong).unwrap_err().exit(), Exit::Usage);
        }
    }

    #[test]
    fn a_line_has_time_type_source_and_payload() {
        let expected = "2026-01-02 03:04:05.600  order.created             shop\u{fffd}             {\"amount\":12}\n";
        assert_eq!(line(&event(), false), expected);
        assert!(line(&event(), true).contains("\x1b[1morder.created"));
    }
}
