//! `nexus store`: looking after the store of a server that does not run, or of one that does.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use nexus_events_dispatch as dispatch;
use nexus_events_dispatch::layers::DeadLetters;
use nexus_events_dispatch::store::{
    Cursor, CursorInfo, Damage, EventStore, Integrity, Offset, Progress, Retention, StoreStats,
};
use nexus_events_store::Store;
use serde_json::{Value, json};

use crate::cli::{Output, Place, Source, StoreAction, StoreArgs};
use crate::commands::client::{Server, query};
use crate::exit::{Exit, Failure, Outcome};
use crate::http::store::json_of;
use crate::keep::units::shown_bytes;
use crate::keep::{self, Address, file_in};
use crate::output::{self, counted, grouped, plain};
use crate::progress::Bar;

/// How long a server may take for work on all of its store: a day.
const WORK_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn run(args: StoreArgs) -> Outcome {
    match args.action {
        StoreAction::Verify(Source { url: Some(url), place }) => verify_at(&url, &place).await,
        StoreAction::Verify(Source { place, .. }) => verify(&place).await,
        StoreAction::Backup { url: Some(url), name, place, .. } => {
            backup_of_server(&url, name.as_deref(), &place).await
        }
        StoreAction::Backup { file, place, .. } => backup(&file.unwrap_or_default(), &place).await,
        StoreAction::Restore { file, place } => restore(file, &place).await,
        StoreAction::Compact(place) => compact(&place).await,
        StoreAction::Stats(Source { url: Some(url), place }) => stats_at(&url, &place).await,
        StoreAction::Stats(Source { place, .. }) => stats(&place).await,
        StoreAction::Repair { accept_loss, place } => repair(accept_loss, &place).await,
    }
}

/// The file of a store that is there.
fn file(place: &Place) -> Outcome<PathBuf> {
    let file = file_in(&place.data);
    if file.exists() {
        return Ok(file);
    }
    let message = format!(
        "there is no store in `{}` ({} is not there); name its directory with --data",
        place.data.display(),
        file.display()
    );
    Err(Failure::new(Exit::NotFound, message))
}

async fn open(place: &Place) -> Outcome<Arc<Store>> {
    let file = file(place)?;
    keep::open(&place.data, Retention::new()).await.map_err(|failure| match failure.exit() {
        Exit::Conflict => {
            let url = Address::read(&place.data);
            let message = format!(
                "`{}` is in use, most likely by a server; stop that first, or ask it, as verify, stats and backup can: nexus store backup --url {}",
                file.display(),
                url.as_deref().unwrap_or("URL, which it shows at its start")
            );
            Failure::new(Exit::Conflict, message)
        }
        _ => failure,
    })
}

/// A bar that another thread moves.
fn bar(what: &str) -> (Arc<Mutex<Bar>>, Progress) {
    let bar = Arc::new(Mutex::new(Bar::new(what)));
    let moved = bar.clone();
    let progress = Progress::new(move |done, total| {
        moved.lock().unwrap_or_else(PoisonError::into_inner).show(done, total);
    });
    (bar, progress)
}

fn say(place: &Place, json: &Value, text: &str) -> Outcome {
    output::print(&match place.output {
        Output::Json => format!("{json}\n"),
        Output::Text => format!("{text}\n"),
    })?;
    Ok(Exit::Done)
}

async fn closed(store: &Store) -> Outcome<()> {
    store.close().await.map(drop).map_err(Failure::of_store)
}

async fn verify(place: &Place) -> Outcome {
    let store = match open(place).await {
        Err(failure) if failure.exit() == Exit::CheckFailed => {
            return Err(unopened(place, failure).await);
        }
        store => store?,
    };
    let (bar, progress) = bar("verify");
    let found = store.verify(progress).await.map_err(Failure::of_store)?;
    drop(bar);
    closed(&store).await?;
    say(place, &json_of(&found), &text_of(&found))?;
    if found.is_sound() {
        return Ok(Exit::Done);
    }
    Err(damaged(&store.path().display().to_string(), ""))
}

fn damaged(what: &str, first: &str) -> Failure {
    let message = format!(
        "`{what}` is damaged; {first}`nexus store repair` lists what a repair would lose, or restore a backup"
    );
    Failure::new(Exit::CheckFailed, message)
}

async fn verify_at(url: &str, place: &Place) -> Outcome {
    let server = Server::new(url)?;
    let answer = server.ask_for(Method::POST, "/store/verify", Vec::new(), WORK_WAIT_MAX).await?;
    let mut found = Integrity::default();
    found.events = answer["events"].as_u64().unwrap_or(0);
    found.states = answer["states"].as_u64().unwrap_or(0);
    for damage in answer["damage"].as_array().into_iter().flatten() {
        let offset = |name: &str| damage[name].as_u64().map(Offset::new);
        let what = damage["what"].as_str().unwrap_or_default();
        found.damage.push(Damage::new(offset("first").zip(offset("last")), what.to_owned()));
    }
    say(place, &answer, &text_of(&found))?;
    match found.is_sound() {
        true => Ok(Exit::Done),
        false => Err(damaged(&format!("the store of {url}"), "stop the server, then ")),
    }
}

/// Damage that keeps a store from being opened. What a repair would lose says where it is.
async fn unopened(place: &Place, failure: Failure) -> Failure {
    let path = file_in(&place.data);
    let work = tokio::task::spawn_blocking(move || Store::repair(path, false));
    match work.await {
        Ok(Err(error)) => Failure::of_store(error),
        _ => failure,
    }
}

fn text_of(found: &Integrity) -> String {
    let (events, states) = (counted(found.events, "event"), counted(found.states, "state"));
    let mut text = format!("{events} and {states} are sound");
    for damage in &found.damage {
        text += &format!("\n  damaged: {}", plain(&damage.to_string()));
    }
    text
}

async fn backup(to: &Path, place: &Place) -> Outcome {
    let store = open(place).await?;
    let (bar, progress) = bar("backup");
    let copied = store.backup(to, progress).await.map_err(Failure::of_store)?;
    drop(bar);
    closed(&store).await?;
    let shown = to.display().to_string();
    let json = json!({"path": shown, "events": copied.events, "states": copied.states});
    let (events, states) = (counted(copied.events, "event"), counted(copied.states, "state"));
    say(place, &json, &format!("{events} and {states} are in {shown}"))
}

async fn backup_of_server(url: &str, name: Option<&str>, place: &Place) -> Outcome {
    let server = Server::new(url)?;
    let path = format!("/store/backup{}", query(&[("name", name)]));
    let answer = server.ask_for(Method::POST, &path, Vec::new(), WORK_WAIT_MAX).await?;
    let number = |name: &str| answer[name].as_u64().unwrap_or(0);
    let shown = plain(answer["path"].as_str().unwrap_or_default());
    let events = counted(number("events"), "event");
    let states = counted(number("states"), "state");
    let text = format!("{events} and {states} are in {shown}, on the server's machine");
    say(place, &answer, &text)
}

async fn restore(backup: PathBuf, place: &Place) -> Outcome {
    if !backup.exists() {
        let message = format!("there is no backup `{}`", backup.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    std::fs::create_dir_all(&place.data)?;
    let (from, to) = (backup.display().to_string(), file_in(&place.data));
    let shown = to.display().to_string();
    let work = tokio::task::spawn_blocking(move || Store::restore(backup, to));
    let restored = keep::meanwhile(work, &format!("restoring {from}")).await?;
    let restored = restored.map_err(Failure::of_store)?;
    let json = json!({"path": shown, "events": restored.events, "states": restored.states});
    let (events, states) = (counted(restored.events, "event"), counted(restored.states, "state"));
    say(place, &json, &format!("{events} and {states} are in {shown}"))
}

async fn compact(place: &Place) -> Outcome {
    let store = open(place).await?;
    let (bar, progress) = bar("compact");
    let bytes = store.compact(progress).await.map_err(Failure::of_store)?;
    drop(bar);
    let left = store.stats().disk_bytes;
    closed(&store).await?;
    let json = json!({"given_back_bytes": bytes, "disk_bytes": left});
    let (bytes, left) = (shown_bytes(bytes), shown_bytes(left));
    say(place, &json, &format!("{bytes} given back to the disk, {left} are left"))
}

async fn stats(place: &Place) -> Outcome {
    let store = open(place).await?;
    let (bounds, stats) = (store.bounds(), store.stats());
    let cursors = CursorInfo::each(&*store).await.map_err(Failure::of_store)?;
    let letters = DeadLetters::stored(store.clone()).await.map_err(Failure::of_store)?;
    let letters = letters.stats().letters;
    closed(&store).await?;
    let consumers: Vec<Value> = cursors.into_iter().map(|it| of_cursor(it, bounds.last)).collect();
    let StoreStats { events, bytes, disk_bytes, .. } = stats;
    let json = json!({
        "epoch": bounds.epoch.to_string(), "first": bounds.first, "last": bounds.last,
        "events": events, "bytes": bytes, "disk_bytes": disk_bytes,
        "dead_letters": letters, "consumers": consumers,
    });
    say(place, &json, &stats_text(&json))
}

async fn stats_at(url: &str, place: &Place) -> Outcome {
    let server = Server::new(url)?;
    let mut json = server.ask(Method::GET, "/store").await?;
    let mut consumers = server.ask(Method::GET, "/consumers").await?;
    json["consumers"] = consumers["consumers"].take();
    say(place, &json, &stats_text(&json))
}

fn of_cursor((name, cursor): (String, dispatch::Result<Cursor>), last: Offset) -> Value {
    match cursor {
        Ok(Cursor { acked, .. }) => {
            json!({"name": name, "acked": acked, "lag": last.number().saturating_sub(acked.number())})
        }
        Err(error) => json!({"name": name, "failing": error.to_string()}),
    }
}

/// For people.
fn stats_text(json: &Value) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let bytes = |value: &Value| shown_bytes(number(value));
    let mut all = format!(
        "events        {}, offsets {} to {}\nbytes         {} of events, {} on the disk\ndead letters  {}\nepoch         {}",
        grouped(number(&json["events"])),
        number(&json["first"]),
        number(&json["last"]),
        bytes(&json["bytes"]),
        bytes(&json["disk_bytes"]),
        number(&json["dead_letters"]),
        text(&json["epoch"]),
    );
    for it in json["consumers"].as_array().into_iter().flatten() {
        all += &format!("\nconsumer      {}", text(&it["name"]));
        if let Some(acked) = it["acked"].as_u64() {
            let behind = grouped(number(&it["lag"]));
            all += &format!(": handled up to {acked}, {behind} behind");
        }
        if it["failing"].is_string() {
            all += &format!("\n  failing: {}", text(&it["failing"]));
        }
    }
    all
}

async fn repair(accept_loss: bool, place: &Place) -> Outcome {
    let path = file(place)?;
    let shown = path.display().to_string();
    let work = tokio::task::spawn_blocking(move || Store::repair(path, accept_loss));
    let repaired = keep::meanwhile(work, &format!("repairing {shown}")).await?;
    let repaired = repaired.map_err(|error| {
        let failure = Failure::of_store(error);
        let text = failure.to_string();
        match text.split_once("; `nexus store verify`") {
            Some((damage, _)) => {
                let message = format!("{damage}; nothing can be read of it, restore a backup");
                Failure::new(failure.exit(), message)
            }
            None if failure.exit() == Exit::CheckFailed && !accept_loss => {
                Failure::new(failure.exit(), format!("{text}; --accept-loss does that"))
            }
            None => failure,
        }
    })?;
    let mut lost = Integrity::default();
    lost.damage = repaired.lost;
    let damaged = repaired.damaged.map(|path| path.display().to_string());
    let json = json!({
        "events": repaired.events, "states": repaired.states,
        "lost": json_of(&lost)["damage"], "damaged": damaged,
    });
    let (events, states) = (counted(repaired.events, "event"), counted(repaired.states, "state"));
    let mut text = format!("{events} and {states} are in {shown}");
    match damaged {
        None => text += "; nothing was damaged",
        Some(damaged) => text += &format!("; the damaged file is {damaged}"),
    }
    for damage in &lost.damage {
        text += &format!("\n  lost: {}", plain(&damage.to_string()));
    }
    say(place, &json, &text)
}
