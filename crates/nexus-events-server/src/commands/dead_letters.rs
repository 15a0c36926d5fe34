//! `nexus dead-letters`: what handlers gave up, on a running server.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::cli::{Choice, DeadLettersAction, DeadLettersArgs, Output, Remote, Which};
use crate::commands::client::{Server, query};
use crate::commands::payload;
use crate::exit::{Exit, Outcome};
use crate::limits::LOG_ANSWER_DEFAULT;
use crate::output::{self, plain};
use crate::progress::Bar;

/// How long the replays of one key may take, which are one request: a day.
const KEY_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn run(args: DeadLettersArgs) -> Outcome {
    match args.action {
        DeadLettersAction::List { choice, limit, remote } => list(&choice, limit, &remote).await,
        DeadLettersAction::Show { id, remote } => {
            let letter = Server::new(&remote.url)?.ask(Method::GET, &path(id)).await?;
            print(&(serde_json::to_string_pretty(&letter)? + "\n"))
        }
        DeadLettersAction::Edit { id, fields, remote } => edit(id, &fields, &remote).await,
        DeadLettersAction::Replay { which, remote } => replay(&which, &remote).await,
        DeadLettersAction::Discard { which, remote } => discard(&which, &remote).await,
        DeadLettersAction::Export { choice, remote } => export(&choice, &remote).await,
    }
}

fn path(id: u64) -> String {
    format!("/dead-letters/{id}")
}

fn print(text: &str) -> Outcome {
    output::print(text)?;
    Ok(Exit::Done)
}

impl Choice {
    fn parameters(&self) -> [(&'static str, Option<&str>); 4] {
        [
            ("handler", self.handler.as_deref()),
            ("type", self.pattern.as_deref()),
            ("key", self.key.as_deref()),
            ("filter", self.filter.as_deref()),
        ]
    }
}

/// Those that match, page by page.
struct Pages<'a> {
    server: &'a Server,
    next: Option<String>,
}

impl<'a> Pages<'a> {
    fn new(server: &'a Server, choice: &Choice, limit: u64) -> Self {
        let limit = limit.min(LOG_ANSWER_DEFAULT as u64).to_string();
        let parameters = [&choice.parameters()[..], &[("limit", Some(&*limit))]].concat();
        Self { server, next: Some(format!("/dead-letters{}", query(&parameters))) }
    }

    /// The next of them, and how many there are at all.
    async fn next(&mut self) -> Outcome<Option<(Vec<Value>, u64)>> {
        let Some(path) = self.next.take() else { return Ok(None) };
        let mut page = self.server.ask(Method::GET, &path).await?;
        self.next = page["next"].as_str().map(str::to_owned);
        let letters = page["dead_letters"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(Some((letters, page["total"].as_u64().unwrap_or(0))))
    }
}

async fn list(choice: &Choice, limit: u64, remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    let mut pages = Pages::new(&server, choice, limit);
    let (mut shown, mut all) = (0, 0);
    while shown < limit
        && let Some((letters, total)) = pages.next().await?
    {
        all = total;
        for letter in letters.iter().take((limit - shown) as usize) {
            shown += 1;
            let line = match remote.output {
                Output::Json => letter.to_string(),
                Output::Text => line(letter),
            };
            if !output::print(&format!("{line}\n"))? {
                return Ok(Exit::Done);
            }
        }
    }
    if remote.output == Output::Text {
        output::note(&format!("{shown} shown, {all} there are"));
    }
    Ok(Exit::Done)
}

/// Number, handler, type, attempts and error.
fn line(letter: &Value) -> String {
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let attempts = letter["attempts"].as_array().map_or(0, Vec::len);
    let tried = match letter["behind"].as_bool() {
        Some(true) => "behind another of its key".to_owned(),
        _ => format!("{attempts} attempts"),
    };
    format!(
        "{:>6}  {:<16}  {:<24}  {}, {tried}: {}",
        letter["id"].as_u64().unwrap_or(0),
        text(&letter["handler"]),
        text(&letter["event"]["event_type"]),
        text(&letter["last_failure"]),
        text(&letter["error"]),
    )
}

async fn edit(id: u64, fields: &str, remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    let content = payload::text(fields)?.into_bytes();
    let wait = crate::limits::ANSWER_WAIT_MAX;
    let letter = server.ask_for(Method::PATCH, &path(id), content, wait).await?;
    match remote.output {
        Output::Json => print(&format!("{letter}\n")),
        Output::Text => print(&format!(
            "dead letter {id} is edited; replay it with: nexus dead-letters replay {id}\n"
        )),
    }
}

/// The numbers of those that are meant.
async fn ids(server: &Server, which: &Which) -> Outcome<Vec<u64>> {
    if !which.ids.is_empty() {
        return Ok(which.ids.clone());
    }
    let mut pages = Pages::new(server, &which.choice, u64::MAX);
    let mut ids = Vec::new();
    while let Some((letters, _)) = pages.next().await? {
        ids.extend(letters.iter().filter_map(|letter| letter["id"].as_u64()));
    }
    Ok(ids)
}

/// What replays came to.
#[derive(Default)]
struct Count {
    succeeded: u64,
    failed: u64,
    skipped: u64,
}

async fn replay(which: &Which, remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    let mut count = Count::default();
    if let Choice { handler: Some(_), key: Some(_), pattern: None, filter: None } = &which.choice {
        // The server keeps the order of a key.
        let path = format!("/dead-letters/replay{}", query(&which.choice.parameters()));
        let report = server.ask_for(Method::POST, &path, Vec::new(), KEY_WAIT_MAX).await?;
        let number = |name: &str| report[name].as_u64().unwrap_or(0);
        count = Count {
            succeeded: number("succeeded"),
            failed: number("failed"),
            skipped: number("skipped"),
        };
    } else {
        let ids = ids(&server, which).await?;
        let mut bar = Bar::new("replay");
        for (done, id) in ids.iter().enumerate() {
            bar.show(done as u64, ids.len() as u64);
            one(&server, *id, !which.ids.is_empty(), &mut count).await?;
        }
    }
    let Count { succeeded, failed, skipped } = count;
    match remote.output {
        Output::Json => {
            let counts = json!({"succeeded": succeeded, "failed": failed, "skipped": skipped});
            output::print(&format!("{counts}\n"))?;
        }
        Output::Text => {
            let counts = format!("{succeeded} succeeded, {failed} failed again, {skipped} skipped");
            output::print(&format!("{counts}\n"))?;
        }
    }
    Ok(if failed + skipped == 0 { Exit::Done } else { Exit::Failed })
}

async fn one(server: &Server, id: u64, named: bool, count: &mut Count) -> Outcome<()> {
    let path = format!("/dead-letters/{id}/replay");
    let replayed = match server.ask_for(Method::POST, &path, Vec::new(), KEY_WAIT_MAX).await {
        Ok(replayed) => replayed,
        // Somebody else was quicker.
        Err(failure) if failure.exit() == Exit::NotFound && !named => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let error = plain(replayed["error"].as_str().unwrap_or_default());
    match replayed["outcome"].as_str() {
        Some("succeeded") => count.succeeded += 1,
        Some("failed") => {
            count.failed += 1;
            output::note(&format!("dead letter {id} failed again: {error}"));
        }
        _ => {
            count.skipped += 1;
            output::note(&format!("dead letter {id} was skipped: {error}"));
        }
    }
    Ok(())
}

async fn discard(which: &Which, remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    let mut discarded = 0;
    if which.ids.is_empty() {
        let all = which.all.then_some("true");
        let parameters = [&which.choice.parameters()[..], &[("all", all)]].concat();
        let path = format!("/dead-letters{}", query(&parameters));
        let answer = server.ask(Method::DELETE, &path).await?;
        discarded = answer["discarded"].as_u64().unwrap_or(0);
    }
    for id in &which.ids {
        server.ask(Method::DELETE, &path(*id)).await?;
        discarded += 1;
    }
    match remote.output {
        Output::Json => print(&format!("{}\n", json!({"discarded": discarded}))),
        Output::Text => print(&format!("{discarded} discarded\n")),
    }
}

async fn export(choice: &Choice, remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    let mut pages = Pages::new(&server, choice, u64::MAX);
    while let Some((letters, _)) = pages.next().await? {
        let lines: String = letters.iter().map(|letter| format!("{letter}\n")).collect();
        if !output::print(&lines)? {
            break;
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_was_given_up_and_why() {
        let letter = json!({
            "id": 7, "handler": "billing", "behind": false, "error": "no\u{1b}account",
            "event": {"event_type": "order.created"}, "attempts": [{}, {}],
            "last_failure": "2026-01-02T03:04:05+00:00",
        });
        let expected = "     7  billing           order.created             2026-01-02T03:04:05+00:00, 2 attempts: no\u{fffd}account";
        assert_eq!(line(&letter), expected);
    }
}
