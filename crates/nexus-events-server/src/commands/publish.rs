//! `nexus publish`: one event from the command line, or many from standard input.

use std::io::{BufRead, IsTerminal, Read};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::cli::PublishArgs;
use crate::commands::client::{Server, refused};
use crate::commands::payload;
use crate::exit::{Exit, Failure, Outcome};
use crate::limits::{JSON_BODY_BYTES_MAX, PUBLISH_BATCH_LINES};
use crate::output::{self, grouped, plain};

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(args: PublishArgs) -> Outcome {
    let server = Server::new(&args.url)?;
    match args.event_type.as_deref() {
        Some(event_type) if event_type != "-" => one(&server, event_type, &args).await,
        None if std::io::stdin().is_terminal() => {
            let message =
                "nothing to publish; name an event type, or pipe events in, one JSON object a line";
            Err(Failure::new(Exit::Usage, message))
        }
        _ => many(&server, &args).await,
    }
}

async fn one(server: &Server, event_type: &str, args: &PublishArgs) -> Outcome {
    let event = payload::event(event_type, args)?;
    if args.at.is_some() || args.after.is_some() {
        return later(server, &event, args).await;
    }
    let path = if args.no_wait { "/events?wait=false" } else { "/events" };
    let answer = server.post(path, "application/json", event.into_bytes()).await?;
    if answer.status.is_success() {
        output::print(&(answer.text + "\n"))?;
        return Ok(Exit::Done);
    }
    Err(refused(answer.status.as_u16(), &answer.text))
}

/// Schedules it: the server publishes it when its time has come.
async fn later(server: &Server, event: &str, args: &PublishArgs) -> Outcome {
    let due = match (&args.at, args.after) {
        (Some(at), _) => format!(r#""due":{}"#, json!(at)),
        (None, after) => format!(r#""after_ms":{}"#, after.unwrap_or_default().as_millis()),
    };
    let content = format!(r#"{{"event":{event},{due}}}"#);
    let answer = server.post("/scheduled", "application/json", content.into_bytes()).await?;
    if answer.status.is_success() {
        output::print(&(answer.text + "\n"))?;
        return Ok(Exit::Done);
    }
    Err(refused(answer.status.as_u16(), &answer.text))
}

async fn many(server: &Server, args: &PublishArgs) -> Outcome {
    if args.payload.is_some()
        || args.source.is_some()
        || args.priority.is_some()
        || args.user_id.is_some()
        || args.session_id.is_some()
        || args.correlation_id.is_some()
        || args.at.is_some()
        || args.after.is_some()
    {
        let message = "events from standard input carry their own fields and are published at once; leave the payload and --source, --priority, --user-id, --session-id, --correlation-id, --at and --after out";
        return Err(Failure::new(Exit::Usage, message));
    }
    // Told at once, not when the first line has come.
    drop(server.connect().await?);
    let mut lines = standard_input();
    let mut batch = Vec::new();
    let mut progress = Progress::new();
    // Whatever has come is sent, so a slow source is not held up.
    while lines.recv_many(&mut batch, PUBLISH_BATCH_LINES).await > 0 {
        publish(server, std::mem::take(&mut batch), &mut progress).await?;
        progress.show();
    }
    progress.end();
    if progress.accepted + progress.rejected == 0 {
        let message = "standard input has no event; write one JSON object a line";
        return Err(Failure::new(Exit::Usage, message));
    }
    let totals = json!({"accepted": progress.accepted, "rejected": progress.rejected});
    output::print(&format!("{totals}\n"))?;
    Ok(if progress.rejected == 0 { Exit::Done } else { Exit::Rejected })
}

async fn publish(server: &Server, batch: Vec<Input>, progress: &mut Progress) -> Outcome<()> {
    let mut numbers = Vec::with_capacity(batch.len());
    let mut content = Vec::new();
    for input in batch {
        match input {
            Input::Line(number, line) => {
                numbers.push(number);
                content.extend_from_slice(&line);
                content.push(b'\n');
            }
            Input::TooLong(number) => progress.reject(number, "is longer than 1 MiB"),
            Input::Broken(error) => {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("cannot read standard input: {error}"),
                ));
            }
        }
    }
    if numbers.is_empty() {
        return Ok(());
    }
    let answer = server.post("/events", "application/x-ndjson", content).await?;
    let parsed: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let Some(results) = parsed["results"].as_array() else {
        return Err(refused(answer.status.as_u16(), &answer.text));
    };
    for result in results {
        let number =
            result["index"].as_u64().and_then(|index| numbers.get(usize::try_from(index).ok()?));
        match (result["error"]["message"].as_str(), number) {
            (None, _) => progress.accepted += 1,
            // The server counts the lines of one request only.
            (Some(message), Some(number)) => {
                progress
                    .reject(*number, message.split_once(": ").map_or(message, |(_, rest)| rest));
            }
            (Some(message), None) => progress.reject(0, message),
        }
    }
    if answer.status.is_success() || results.len() == numbers.len() {
        return Ok(());
    }
    Err(refused(answer.status.as_u16(), &answer.text))
}

/// A line of standard input and its number, counted from 1.
enum Input {
    Line(u64, Vec<u8>),
    TooLong(u64),
    Broken(std::io::Error),
}

/// Reads on a thread of its own: a read that waits for a keyboard can not be stopped.
fn standard_input() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(PUBLISH_BATCH_LINES);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        for number in 1.. {
            let next = match next_line(&mut input) {
                Ok(None) => return,
                Ok(Some(Some(line))) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Ok(Some(Some(line))) => Input::Line(number, line),
                Ok(Some(None)) => Input::TooLong(number),
                Err(error) => Input::Broken(error),
            };
            let last = matches!(next, Input::Broken(_));
            if sender.blocking_send(next).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// The next line; `Some(None)` for one that is too long, which is skipped.
fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Option<Vec<u8>>>> {
    let mut line = Vec::new();
    let read = input.by_ref().take(JSON_BODY_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > JSON_BODY_BYTES_MAX {
        input.skip_until(b'\n')?;
        return Ok(Some(None));
    }
    Ok(Some(Some(line)))
}

/// How far it is, for whoever watches.
struct Progress {
    accepted: u64,
    rejected: u64,
    started: Instant,
    shown: Instant,
    terminal: bool,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            accepted: 0,
            rejected: 0,
            started: now,
            shown: now,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn reject(&mut self, line: u64, why: &str) {
        self.rejected += 1;
        self.end();
        output::note(&format!("line {line}: {}", plain(why)));
    }

    fn show(&mut self) {
        if self.terminal && self.shown.elapsed() >= PROGRESS_EVERY {
            self.shown = Instant::now();
            let rate = self.accepted as f64 / self.started.elapsed().as_secs_f64();
            output::status(&format!(
                "published {}  {}/s",
                grouped(self.accepted),
                grouped(rate as u64)
            ));
        }
    }

    fn end(&self) {
        if self.terminal {
            output::status("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_one_by_one_and_long_ones_skipped() {
        let long = "x".repeat(JSON_BODY_BYTES_MAX + 1);
        let text = format!("a\n\n{long}\nb");
        let mut input = text.as_bytes();
        let mut next = || next_line(&mut input).unwrap();
        assert_eq!(next(), Some(Some(b"a".to_vec())));
        assert_eq!(next(), Some(Some(Vec::new())));
        assert_eq!(next(), Some(None));
        assert_eq!(next(), Some(Some(b"b".to_vec())));
        assert_eq!(next(), None);
    }
}
