//! `nexus tail`: events as they are published.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nexus_events_model::{Event, EventBuilder, Filter, Pattern, UnknownFields};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use time::macros::format_description;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::cli::{Format, TailArgs};
use crate::commands::client::Server;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, plain};

/// How long a server may take to confirm the subscription.
const SUBSCRIBE_WAIT_MAX: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<TcpStream>;

/// A frame of the server, as far as it is read here.
#[derive(Deserialize)]
struct Frame<'a> {
    r#type: String,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(default)]
    message: Option<String>,
}

pub(crate) async fn run(args: TailArgs) -> Outcome {
    let pattern = Pattern::new(args.pattern.clone()).map_err(|error| usage(&error.to_string()))?;
    let filter = args.filter.as_deref().map(filter).transpose()?;
    let server = Server::new(&args.url)?;
    let mut socket = open(&server).await?;
    subscribe(&mut socket, &pattern).await?;

    let colours = output::colours(&std::io::stdout());
    let mut left = args.count;
    while left != Some(0) {
        let text = next_frame(&mut socket).await?;
        let Some(raw) = event_of(&text)? else { continue };
        let event = EventBuilder::from_json_lenient(raw.get())?.build()?;
        if filter.as_ref().is_some_and(|filter| !filter.matches(&event)) {
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
    // The server notices an end without a farewell, too.
    let _ = socket.close(None).await;
    Ok(Exit::Done)
}

fn usage(message: &str) -> Failure {
    Failure::new(Exit::Usage, message.to_owned())
}

/// `source=shop` as a field and its value, anything else as an expression.
fn filter(text: &str) -> Outcome<Filter> {
    let field = text.split_once('=').filter(|(name, value)| {
        let name_only = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        name_only && !name.is_empty() && !value.starts_with('=')
    });
    let parsed = match field {
        Some((name, value)) => {
            let fields = serde_json::Map::from_iter([(name.to_owned(), value.into())]);
            Filter::from_fields(&fields, UnknownFields::Reject)
        }
        None => Filter::parse(text),
    };
    parsed.map_err(|error| usage(&format!("--filter `{text}`: {error}")))
}

async fn open(server: &Server) -> Outcome<Socket> {
    let stream = server.connect().await?;
    let handshake = tokio_tungstenite::client_async(server.socket_url(), stream);
    match tokio::time::timeout(SUBSCRIBE_WAIT_MAX, handshake).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => {
            let message =
                format!("{} is no WebSocket of Nexus events: {error}", server.socket_url());
            Err(Failure::new(Exit::Unreachable, message))
        }
        Err(_) => {
            Err(Failure::new(Exit::Unreachable, format!("{} does not answer", server.socket_url())))
        }
    }
}

async fn subscribe(socket: &mut Socket, pattern: &Pattern) -> Outcome<()> {
    let request = json!({"type": "subscribe", "event_types": [pattern.as_str()], "filters": {}});
    socket.send(Message::text(request.to_string())).await?;
    let confirmed = async {
        loop {
            let text = next_frame(socket).await?;
            let frame: Frame<'_> = serde_json::from_str(&text)?;
            match &*frame.r#type {
                "subscription_created" => return Ok(()),
                "error" => return Err(refused(&frame)),
                _ => {}
            }
        }
    };
    let late = |_| Failure::new(Exit::Unreachable, "the server does not confirm the subscription");
    tokio::time::timeout(SUBSCRIBE_WAIT_MAX, confirmed).await.map_err(late)?
}

fn refused(frame: &Frame<'_>) -> Failure {
    let message = frame.message.as_deref().unwrap_or("the server refused, without a reason");
    Failure::new(Exit::Rejected, plain(message))
}

async fn next_frame(socket: &mut Socket) -> Outcome<String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Close(Some(frame)))) => {
                let message = format!(
                    "the server closed the connection: {} {}",
                    u16::from(frame.code),
                    plain(&frame.reason)
                );
                return Err(Failure::new(Exit::Failed, message));
            }
            Some(Ok(Message::Close(None))) | None => {
                return Err(Failure::new(Exit::Failed, "the server closed the connection"));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                return Err(Failure::new(Exit::Failed, format!("the connection broke: {error}")));
            }
        }
    }
}

fn event_of(text: &str) -> Outcome<Option<&RawValue>> {
    let frame: Frame<'_> = serde_json::from_str(text)?;
    match &*frame.r#type {
        "event" => Ok(frame.event),
        "error" => Err(refused(&frame)),
        _ => Ok(None),
    }
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
    fn a_filter_is_a_field_or_an_expression() {
        assert!(filter("payload.amount > 10").unwrap().matches(&event()));
        assert!(!filter("payload.amount == 10").unwrap().matches(&event()));
        assert!(filter("priority=normal").unwrap().matches(&event()));
        assert!(!filter("source=other").unwrap().matches(&event()));
        assert_eq!(filter("amount >").unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn a_line_has_time_type_source_and_payload() {
        let expected = "2026-01-02 03:04:05.600  order.created             shop\u{fffd}             {\"amount\":12}\n";
        assert_eq!(line(&event(), false), expected);
        assert!(line(&event(), true).contains("\x1b[1morder.created"));
    }
}
