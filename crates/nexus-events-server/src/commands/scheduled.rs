//! `nexus scheduled`: events that wait for their time on a running server.

use hyper::Method;
use serde_json::{Value, json};

use crate::cli::{Output, Remote, ScheduledAction, ScheduledArgs};
use crate::commands::client::{Server, query};
use crate::exit::{Exit, Outcome};
use crate::keep::units;
use crate::limits::{ANSWER_WAIT_MAX, LOG_ANSWER_DEFAULT};
use crate::output::{self, plain};

pub(crate) async fn run(args: ScheduledArgs) -> Outcome {
    match args.action {
        ScheduledAction::List { pattern, limit, remote } => {
            list(pattern.as_deref(), limit, &remote).await
        }
        ScheduledAction::Cancel { ids, remote } => cancel(&ids, &remote).await,
        ScheduledAction::Move { id, to, remote } => reschedule(&id, &to, &remote).await,
    }
}

/// Its id may have anything in it.
fn path(id: &str) -> String {
    let query = query(&[("id", Some(id))]);
    format!("/scheduled/{}", query.trim_start_matches("?id="))
}

async fn list(pattern: Option<&str>, limit: u64, remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    let page = limit.min(LOG_ANSWER_DEFAULT as u64).to_string();
    let mut next =
        Some(format!("/scheduled{}", query(&[("type", pattern), ("limit", Some(&page))])));
    let (mut shown, mut all) = (0, 0);
    while shown < limit
        && let Some(path) = next
    {
        let page = server.ask(Method::GET, &path).await?;
        next = page["next"].as_str().map(str::to_owned);
        all = page["total"].as_u64().unwrap_or(0);
        for scheduled in page["scheduled"].as_array().into_iter().flatten() {
            if shown == limit {
                break;
            }
            shown += 1;
            let line = match remote.output {
                Output::Json => scheduled.to_string(),
                Output::Text => line(scheduled),
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

/// Due time, event type and id.
fn line(scheduled: &Value) -> String {
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let (due, id) = (text(&scheduled["due"]), text(&scheduled["id"]));
    format!("{due}  {:<24}  {id}", text(&scheduled["event"]["event_type"]))
}

async fn cancel(ids: &[String], remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    for id in ids {
        server.ask(Method::DELETE, &path(id)).await?;
    }
    output::print(&match remote.output {
        Output::Json => format!("{}\n", json!({"cancelled": ids.len()})),
        Output::Text => format!("{} cancelled\n", ids.len()),
    })?;
    Ok(Exit::Done)
}

async fn reschedule(id: &str, to: &str, remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    let content = match units::age(to) {
        Ok(after) => json!({"after_ms": u64::try_from(after.as_millis()).unwrap_or(u64::MAX)}),
        Err(_) => json!({"due": to}),
    };
    let content = content.to_string().into_bytes();
    let moved = server.ask_for(Method::PATCH, &path(id), content, ANSWER_WAIT_MAX).await?;
    output::print(&match remote.output {
        Output::Json => format!("{moved}\n"),
        Output::Text => format!("{}\n", line(&moved)),
    })?;
    Ok(Exit::Done)
}
