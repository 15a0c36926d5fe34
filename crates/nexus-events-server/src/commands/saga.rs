//! `nexus saga`: the sagas of a running server.

use hyper::Method;
use serde_json::{Value, json};

use crate::cli::{Output, Remote, SagaAction, SagaArgs};
use crate::commands::client::{Server, query};
use crate::exit::{Exit, Outcome};
use crate::limits::{ANSWER_WAIT_MAX, LOG_ANSWER_DEFAULT};
use crate::output::{self, plain};

pub(crate) async fn run(args: SagaArgs) -> Outcome {
    match args.action {
        SagaAction::List { saga, status, ended, limit, remote } => {
            let which = [("saga", saga.as_deref()), ("status", status.as_deref())];
            list(&which, ended, limit, &remote).await
        }
        SagaAction::Show { saga, key, remote } => {
            let path = path(&saga, &key);
            let shown = Server::new(&remote.url)?.ask(Method::GET, &path).await?;
            output::print(&match remote.output {
                Output::Json => format!("{shown}\n"),
                Output::Text => page(&shown),
            })?;
            Ok(Exit::Done)
        }
        SagaAction::Resume { saga, key, remote } => {
            let path = format!("{}/resume", path(&saga, &key));
            let answer = Server::new(&remote.url)?.ask(Method::POST, &path).await?;
            let replayed = answer["replayed"].as_u64().unwrap_or(0);
            output::print(&match remote.output {
                Output::Json => format!("{answer}\n"),
                Output::Text => {
                    format!("goes on; {replayed} dead letters were given to it again\n")
                }
            })?;
            Ok(Exit::Done)
        }
        SagaAction::Cancel { saga, key, reason, remote } => {
            let path = format!("{}/cancel", path(&saga, &key));
            let content = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
            let content = content.to_string().into_bytes();
            let server = Server::new(&remote.url)?;
            let now = server.ask_for(Method::POST, &path, content, ANSWER_WAIT_MAX).await?;
            output::print(&match remote.output {
                Output::Json => format!("{now}\n"),
                Output::Text => format!("{}\n", line(&now)),
            })?;
            Ok(Exit::Done)
        }
    }
}

/// Name and key may have anything in them.
fn path(saga: &str, key: &str) -> String {
    let escaped = |text| query(&[("x", Some(text))]).trim_start_matches("?x=").to_owned();
    format!("/sagas/{}/{}", escaped(saga), escaped(key))
}

async fn list(which: &[(&str, Option<&str>)], ended: bool, limit: u64, remote: &Remote) -> Outcome {
    let server = Server::new(&remote.url)?;
    let page = limit.min(LOG_ANSWER_DEFAULT as u64).to_string();
    let mut asked = which.to_vec();
    asked.push(("limit", Some(&page)));
    asked.push(("ended", ended.then_some("true")));
    let mut next = Some(format!("/sagas{}", query(&asked)));
    let mut shown = 0;
    while shown < limit
        && let Some(path) = next
    {
        let page = server.ask(Method::GET, &path).await?;
        next = page["next"].as_str().map(str::to_owned);
        for saga in page["sagas"].as_array().into_iter().flatten() {
            if shown == limit {
                break;
            }
            shown += 1;
            let line = match remote.output {
                Output::Json => saga.to_string(),
                Output::Text => line(saga),
            };
            if !output::print(&format!("{line}\n"))? {
                return Ok(Exit::Done);
            }
        }
    }
    if remote.output == Output::Text {
        let more = if next.is_some() { ", there are more" } else { "" };
        output::note(&format!("{shown} shown{more}"));
    }
    Ok(Exit::Done)
}

fn text(value: &Value) -> String {
    plain(value.as_str().unwrap_or_default())
}

/// Name, key, status, and when it changed last.
fn line(saga: &Value) -> String {
    let status = text(&saga["status"]["name"]);
    let reason = match saga["status"]["reason"].as_str() {
        Some(reason) => format!("  {}", plain(reason)),
        None => String::new(),
    };
    let (name, key, changed) = (text(&saga["saga"]), text(&saga["key"]), text(&saga["changed"]));
    format!("{name:<16}  {key:<24}  {status:<14}  {changed}{reason}")
}

/// All of it, for people.
fn page(saga: &Value) -> String {
    let mut page = format!("{}\nid       {}\n", line(saga), text(&saga["id"]));
    page += &format!(
        "started  {}\nstate    {}\n",
        text(&saga["started"]),
        plain(&saga["state"].to_string())
    );
    for timer in saga["timers"].as_array().into_iter().flatten() {
        page += &format!("timeout  {}  {}\n", text(&timer["due"]), text(&timer["name"]));
    }
    for step in saga["steps"].as_array().into_iter().flatten() {
        let error = step["error"].as_str().map(|it| format!("  {}", plain(it))).unwrap_or_default();
        let (name, status) = (text(&step["name"]), text(&step["status"]));
        page += &format!("step     {name:<16}  {status}, attempt {}{error}\n", step["attempts"]);
    }
    for entry in saga["history"].as_array().into_iter().flatten() {
        page += &format!("{}  {}\n", text(&entry["at"]), text(&entry["what"]));
    }
    page
}
