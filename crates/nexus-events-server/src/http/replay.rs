//! `POST /replay`: a part of the log to handlers again, told line by line while it goes on.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use nexus_events_dispatch::store::{Offset, Select};
use nexus_events_dispatch::{
    Bus, Pace, Replay, ReplayCounts, ReplayEnd, ReplayStop, ReplayedRange, Result as Replayed,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::http::error::ApiError;
use crate::http::incoming::Incoming;
use crate::http::{intake, query, store};
use crate::limits::JSON_BODY_WAIT_MAX;
use crate::wire::App;

const HELP: &str = r#"send {} for all of the log to all handlers, or choose with after, until, type, source, correlation_id, key, since, before, filter and handler; speed or rate, and dry_run, say how"#;

/// How often a line says how far it is.
const LINE_EVERY: Duration = Duration::from_millis(200);

/// What is replayed, to whom and how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    after: u64,
    until: Option<u64>,
    r#type: Option<String>,
    source: Option<String>,
    correlation_id: Option<String>,
    key: Option<String>,
    since: Option<String>,
    before: Option<String>,
    filter: Option<String>,
    handler: Option<String>,
    speed: Option<f64>,
    rate: Option<f64>,
    dry_run: bool,
}

impl Asked {
    fn read(text: &str) -> Result<Self, ApiError> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))
    }

    fn replay(&self) -> Result<Replay, ApiError> {
        let mut replay = Replay::after(Offset::new(self.after)).select(self.select()?);
        if let Some(until) = self.until {
            replay = replay.until(Offset::new(until));
        }
        if let Some(handler) = &self.handler {
            replay = replay.to_handler(handler.clone());
        }
        let replay = match (self.speed, self.rate) {
            (None, None) => replay,
            (Some(speed), None) => replay.pace(Pace::Speed(speed)),
            (None, Some(rate)) => replay.pace(Pace::PerSecond(rate)),
            _ => return Err(wrong("it takes `speed` or `rate`, not both".to_owned())),
        };
        Ok(if self.dry_run { replay.dry_run() } else { replay })
    }

    fn select(&self) -> Result<Select, ApiError> {
        let text = |field: &Option<String>| field.as_deref().map(Into::into);
        let mut select = Select::new();
        select.patterns = query::patterns(self.r#type.as_deref())?;
        select.source = text(&self.source);
        select.correlation_id = text(&self.correlation_id);
        select.key = text(&self.key);
        select.since = query::time("since", self.since.as_deref())?;
        select.before = query::time("before", self.before.as_deref())?;
        select.filter = query::filter(self.filter.as_deref())?;
        Ok(select)
    }
}

fn wrong(message: String) -> ApiError {
    ApiError::bad_request("invalid_replay", message, HELP)
}

/// Ends the replay when whoever reads of it is gone.
struct Reader {
    far: watch::Receiver<Value>,
    end: Option<oneshot::Receiver<Replayed<ReplayedRange>>>,
    stop: ReplayStop,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

pub(crate) async fn replay(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    store::of(&app)?;
    let text = intake::whole(Incoming::new(body, JSON_BODY_WAIT_MAX, app.stopping())).await?;
    let stop = ReplayStop::new();
    let (tell, mut far) = watch::channel(Value::Null);
    let replay = Asked::read(&text)?.replay()?.stop_with(stop.clone());
    let replay = replay.progress(move |report| drop(tell.send_replace(line(report))));
    let (ended, end) = oneshot::channel();
    tokio::spawn(run(app.bus().clone(), replay, stop.clone(), app.stopping(), ended));
    // What is refused is refused with its status, so the first event or the end is waited for.
    let mut reader = Reader { far: far.clone(), end: Some(end), stop };
    let first = tokio::select! {
        biased;
        end = ended_of(&mut reader.end) => Some(end?),
        _ = far.changed() => None,
    };
    let lines = futures_util::stream::unfold((reader, first), next);
    let lines = Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

async fn run(
    bus: Bus,
    replay: Replay,
    stop: ReplayStop,
    mut stopping: watch::Receiver<bool>,
    ended: oneshot::Sender<Replayed<ReplayedRange>>,
) {
    let mut replay = std::pin::pin!(bus.replay(replay));
    let stops = async { drop(stopping.wait_for(|stopping| *stopping).await) };
    let report = tokio::select! {
        biased;
        report = &mut replay => report,
        () = stops => {
            stop.stop();
            replay.await
        }
    };
    drop(ended.send(report));
}

/// The last line, or why there is none; never when it was taken.
async fn ended_of(
    end: &mut Option<oneshot::Receiver<Replayed<ReplayedRange>>>,
) -> Result<Value, ApiError> {
    let Some(waiting) = end else { return std::future::pending().await };
    let report = waiting.await.map_err(|_| store::cut_off());
    *end = None;
    Ok(last_line(&report??))
}

/// The next line: how far it is, when that has changed, or the end.
async fn next(
    (mut reader, end): (Reader, Option<Value>),
) -> Option<(Result<String, Infallible>, (Reader, Option<Value>))> {
    if let Some(end) = end {
        return Some((Ok(format!("{end}\n")), (reader, None)));
    }
    reader.end.as_ref()?;
    let pause = tokio::time::sleep(LINE_EVERY);
    let line = tokio::select! {
        biased;
        end = ended_of(&mut reader.end) => match end {
            Ok(line) => line,
            Err(error) => json!({"done": true, "end": "failed", "error": error.to_json()}),
        },
        () = pause => reader.far.borrow_and_update().clone(),
    };
    Some((Ok(format!("{line}\n")), (reader, None)))
}

fn line(report: &ReplayedRange) -> Value {
    let mut line = counts(&report.total);
    line["events"] = report.events.into();
    line["last"] = json!(report.last);
    line["until"] = json!(report.until);
    line
}

fn counts(counts: &ReplayCounts) -> Value {
    json!({
        "handled": counts.handled, "failed": counts.failed,
        "skipped": counts.skipped, "cancelled": counts.cancelled,
    })
}

fn last_line(report: &ReplayedRange) -> Value {
    let mut line = line(report);
    let handlers = report.handlers.iter().map(|(name, it)| (name.clone(), counts(it)));
    line["handlers"] = handlers.collect::<serde_json::Map<String, Value>>().into();
    line["done"] = true.into();
    line["end"] = match &report.end {
        ReplayEnd::Done => "done",
        ReplayEnd::Stopped => "stopped",
        _ => "failed",
    }
    .into();
    if let ReplayEnd::Failed(error) = &report.end {
        line["error"] = error.to_string().into();
    }
    line
}
