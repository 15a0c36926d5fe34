//! An aggregator whose windows are in the store of the bus.
//!
//! What an event does to windows, what is published for it, and that it is handled are one commit.
//! The clock has no event, so it gets one: when something is due, one is published, and a second
//! durable handler closes what is due in a commit of its own.

use std::collections::HashSet;
use std::sync::Arc;

use nexus_events_dispatch::store::{Append, Scan};
use nexus_events_dispatch::{Bus, Context, ErrorKind, HandlerError, HandlerResult};
use nexus_events_model::{Event, EventType, Text};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::core::{AggregateKey, Core, Ended, Out, State};
use super::output::Held;
use crate::error::{Error, Result};
use crate::limits::AGGREGATE_PAUSE;
use crate::window::{CloseReason, Moment, OpenWindow, OpenWindows, Span};

/// Under which key of the space the newest time is; no key in JSON is empty.
const NEWEST: &[u8] = b"";

/// A key and its open windows.
type Restored<K, A> = (K, Vec<OpenWindow<Held<A>>>);

type Read<K, A> = fn(&[u8], &[u8]) -> serde_json::Result<Restored<K, A>>;

/// How windows are written down and read.
pub(super) struct Kept<K, A> {
    pub(super) name: Text,
    space: Text,
    /// The type of the event that says that something is due.
    pub(super) due: EventType,
    write: fn(&OpenWindows<Held<A>>) -> serde_json::Result<Vec<u8>>,
    read: Read<K, A>,
    /// Whether what is in memory is what is in the store; held by whoever changes both.
    loaded: tokio::sync::Mutex<bool>,
}

/// One window, as it is written down.
#[derive(Serialize, Deserialize)]
struct Written<A> {
    span: (i64, i64),
    times: (i64, i64),
    count: u64,
    bytes: u64,
    value: A,
}

impl<K, A> Kept<K, A>
where
    K: AggregateKey + DeserializeOwned,
    A: Serialize + DeserializeOwned,
{
    pub(super) fn new(name: Text, publish_as: &EventType) -> Result<Self> {
        let due = format!("{publish_as}.due");
        let due = EventType::new(due).map_err(|error| {
            Error::invalid_option("a durable aggregator also publishes its type with `.due` behind it, which is too long; choose a shorter one").caused_by(error)
        })?;
        Ok(Self {
            space: format!("aggregate.{name}").into(),
            name,
            due,
            write: write::<A>,
            read: read::<K, A>,
            loaded: tokio::sync::Mutex::new(false),
        })
    }
}

fn write<A: Serialize>(open: &OpenWindows<Held<A>>) -> serde_json::Result<Vec<u8>> {
    let written = |open: &OpenWindow<Held<A>>| {
        let value = serde_json::to_value(&open.value)?;
        let (span, times) = (open.span, (open.first.micros(), open.last.micros()));
        let span = (span.start.micros(), span.end.micros());
        Ok(Written { span, times, count: open.count, bytes: open.bytes, value })
    };
    let all: serde_json::Result<Vec<Written<Value>>> = open.iter().map(written).collect();
    serde_json::to_vec(&all?)
}

fn read<K: DeserializeOwned, A: DeserializeOwned>(
    key: &[u8],
    windows: &[u8],
) -> serde_json::Result<Restored<K, A>> {
    let written: Vec<Written<Held<A>>> = serde_json::from_slice(windows)?;
    let at = Moment::from_micros;
    let open = |it: Written<Held<A>>| {
        let (span, times) =
            (Span::new(at(it.span.0), at(it.span.1)), (at(it.times.0), at(it.times.1)));
        OpenWindow::restore(span, times, it.count, it.bytes, it.value)
    };
    Ok((serde_json::from_slice(key)?, written.into_iter().map(open).collect()))
}

impl<I, K, A> Core<I, K, A>
where
    I: 'static,
    K: AggregateKey,
    A: Send + 'static,
{
    /// Takes an event in, in one commit with what comes of it.
    pub(super) async fn take_kept(
        self: &Arc<Self>,
        kept: &Kept<K, A>,
        event: &Event,
        context: &Context,
    ) -> HandlerResult {
        self.change(kept, context, |state| {
            let mut keys = HashSet::new();
            (self.view)(event, &mut |item| match (self.key)(item) {
                Some(key) => {
                    keys.insert(key.clone());
                    self.put_in(event, item, key, state, context.bus());
                }
                None => state.counts.unkeyed += 1,
            })?;
            Ok(keys)
        })
        .await
    }

    /// Closes what is due, or everything where that is asked for, in one commit.
    pub(super) async fn close_kept(
        self: &Arc<Self>,
        kept: &Kept<K, A>,
        event: &Event,
        context: &Context,
    ) -> HandlerResult {
        let all = event.payload().get("all").is_some();
        self.change(kept, context, |state| {
            if all {
                let closed = state.windows.close_all(CloseReason::Forced);
                state.put_out(closed);
            } else {
                self.close_due(state);
            }
            Ok(HashSet::new())
        })
        .await
    }

    /// Changes windows in memory and in the store, and publishes what is closed: all of it or
    /// nothing.
    async fn change(
        self: &Arc<Self>,
        kept: &Kept<K, A>,
        context: &Context,
        change: impl FnOnce(&mut State<K, A>) -> Result<HashSet<K>, HandlerError> + Send,
    ) -> HandlerResult {
        let mut loaded = kept.loaded.lock().await;
        self.load(kept, context.bus(), &mut loaded).await?;
        // Until it is in the store, what is in memory is not what is there.
        *loaded = false;
        let append = self.append_of(kept, context.bus(), change)?;
        let published = append.events.len() as u64;
        if !append.is_empty() {
            context.commit(append).await?;
        }
        *loaded = true;
        drop(loaded);
        let mut state = self.state.lock();
        state.counts.published += published;
        self.see_to_it(state, context.bus());
        self.work.notify_one();
        Ok(Value::Null)
    }

    fn append_of(
        &self,
        kept: &Kept<K, A>,
        bus: &Bus,
        change: impl FnOnce(&mut State<K, A>) -> Result<HashSet<K>, HandlerError>,
    ) -> Result<Append, HandlerError> {
        let (mut append, out) = {
            let mut state = self.state.lock();
            let newest = state.newest;
            let mut keys = change(&mut state)?;
            let out = std::mem::take(&mut state.out);
            keys.extend(out.iter().filter_map(|out| match out {
                Out::Window(window) => Some(window.key.clone()),
                Out::Late(_) => None,
            }));
            let mut append = Append::new();
            for key in keys {
                let name = serde_json::to_vec(&key).map_err(HandlerError::permanent)?;
                append = match state.windows.get(&key) {
                    Some(open) => {
                        let value = (kept.write)(open).map_err(HandlerError::permanent)?;
                        append.put(kept.space.clone(), name, value)
                    }
                    None => append.delete(kept.space.clone(), name),
                };
            }
            if state.newest > newest {
                let newest = state.newest.micros().to_be_bytes();
                append = append.put(kept.space.clone(), NEWEST, newest);
            }
            (append, out)
        };
        for out in out {
            append = append.event(bus.stamp(self.event_of(out))?);
        }
        Ok(append)
    }

    /// Reads all windows, unless they are in memory as they are in the store.
    async fn load(
        &self,
        kept: &Kept<K, A>,
        bus: &Bus,
        loaded: &mut bool,
    ) -> Result<(), HandlerError> {
        if *loaded {
            return Ok(());
        }
        let store = bus.store().ok_or("the bus has no store")?;
        let mut scan = Scan::of(kept.space.clone());
        let mut keys = Vec::new();
        let mut newest = Moment::MIN;
        loop {
            let entries = store.scan(scan.clone()).await?;
            let Some(last) = entries.last() else { break };
            scan.after = Some(last.key.clone());
            for entry in entries {
                if entry.key == NEWEST {
                    let micros = entry.state.value.as_slice().try_into();
                    newest = Moment::from_micros(micros.map_or(i64::MIN, i64::from_be_bytes));
                } else {
                    keys.push((kept.read)(&entry.key, &entry.state.value)?);
                }
            }
        }
        let mut state = self.state.lock();
        state.windows.clear();
        (state.newest, state.out) = (newest, std::collections::VecDeque::new());
        keys.into_iter().for_each(|(key, windows)| state.windows.restore(key, windows));
        *loaded = true;
        Ok(())
    }

    /// Reads all windows and sees to it that the clock closes them.
    pub(super) async fn begin(self: Arc<Self>, bus: Bus) {
        let Some(kept) = &self.kept else { return };
        let mut loaded = kept.loaded.lock().await;
        // Where it fails, the first event tries again.
        if self.load(kept, &bus, &mut loaded).await.is_ok() {
            drop(loaded);
            self.see_to_it(self.state.lock(), &bus);
        }
    }

    /// Asks the handler that closes, when something is due, and waits until it has.
    pub(super) async fn ask_if_due(&self, kept: &Kept<K, A>, bus: &Bus) -> Result<(), Ended> {
        let is_due = {
            let state = self.state.lock();
            self.next_due(&state).is_some_and(|due| due <= tokio::time::Instant::now())
        };
        if is_due {
            self.ask(kept, bus, false).await?;
            let _ = timeout(AGGREGATE_PAUSE, self.work.notified()).await;
        }
        Ok(())
    }

    pub(super) async fn ask(&self, kept: &Kept<K, A>, bus: &Bus, all: bool) -> Result<(), Ended> {
        let event = Event::builder(&kept.due).source(&self.source);
        let event = match all {
            true => event.payload(serde_json::json!({"all": true})),
            false => event,
        };
        match bus.publish(event).await {
            Err(error) if error.kind() == ErrorKind::Closed => Err(Ended),
            _ => Ok(()),
        }
    }
}
