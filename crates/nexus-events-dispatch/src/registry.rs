//! Who is subscribed. Every change builds a new snapshot and swaps it in; a publish reads the
//! snapshot it finds and takes no lock.

use std::collections::{BTreeMap, HashMap};

use nexus_events_model::{EventType, Pattern, SubscriptionId, Text};

use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::group::Head;
use crate::handler::{Handler, Mode};
use crate::index::PatternIndex;
use crate::lane::Lane;
use crate::route::Route;
use crate::shared::SharedLane;
use crate::subscription::SubscriptionOptions;
use crate::sync::{Arc, ArcSwap, AtomicU64, Guard, Handle, Mutex, Ordering};

pub(crate) struct Registry {
    snapshot: ArcSwap<Snapshot>,
    /// Held while a snapshot is built, never while a handler runs.
    writer: Mutex<Writer>,
    /// How many handlers have ended.
    ends: AtomicU64,
}

#[derive(Default)]
struct Writer {
    last_id: u64,
    entries: BTreeMap<SubscriptionId, Arc<Entry>>,
    names: HashMap<Text, SubscriptionId>,
    /// What stands in the index for the consumers of a group.
    groups: HashMap<Text, Arc<Entry>>,
    /// The last number given to handlers of one name of their own.
    numbers: HashMap<Text, u64>,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Snapshot(PatternIndex<Arc<Entry>>);

impl Snapshot {
    /// The route of an event type, found when so many handlers had ended.
    pub(crate) fn find(&self, event_type: &EventType, ends: u64) -> Route {
        let mut found = Vec::new();
        self.0.for_each_match(event_type, |entry| {
            // Who has ended and is not taken out yet was counted before the route was built.
            if !entry.has_ended() {
                found.push(entry.clone());
            }
        });
        Route::found(found, ends)
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { snapshot: ArcSwap::default(), writer: Mutex::default(), ends: AtomicU64::new(0) }
    }

    /// The registry as it is now. Lock-free.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// A number that changes whenever a handler ends, after that shows in its entry.
    pub(crate) fn ends(&self) -> u64 {
        self.ends.load(Ordering::SeqCst)
    }

    /// Lets no further run of this handler begin.
    pub(crate) fn end(&self, entry: &Entry) {
        entry.end();
        self.changes();
    }

    /// Has those who run handlers look before the next one.
    pub(crate) fn changes(&self) {
        self.ends.fetch_add(1, Ordering::SeqCst);
    }

    /// Registers a handler with a lane, shared or its own, if it needs one; a consumer shares that
    /// of its group.
    #[allow(clippy::too_many_arguments, reason = "as many as there are")]
    pub(crate) fn add(
        &self,
        pattern: Pattern,
        handler: Arc<dyn Handler>,
        options: SubscriptionOptions,
        mode: Mode,
        runtime: Option<Handle>,
        shared: Option<Arc<SharedLane>>,
        lane: impl FnOnce() -> Option<Arc<Lane>>,
        front: Option<Arc<dyn Handler>>,
    ) -> Result<Arc<Entry>> {
        // The handler's own code, so not under the lock.
        let own = || options.own_name.clone().unwrap_or_else(|| handler.name());
        let name = options.name.clone().map_or_else(|| Name::Own(own()), Name::Chosen);
        let mut writer = self.writer.lock();
        if writer.closed {
            return Err(Error::closed());
        }
        let group = options.group.as_ref().and_then(|name| writer.groups.get(name)).cloned();
        if let Some(group) = &group {
            group.admit(&pattern, mode, &options, front.as_ref())?;
        }
        let name = writer.name(name)?;
        let concurrency = options.concurrent_runs();
        let new = |writer: &mut Writer, name, handler| {
            let (filters, priority) = (options.filters.clone(), options.priority);
            let id = writer.next_id();
            let (pattern, runtime) = (pattern.clone(), runtime.clone());
            let mut entry = Entry::new(
                id,
                name,
                pattern,
                filters,
                priority,
                mode,
                runtime,
                concurrency,
                handler,
            );
            entry.responds = options.responds;
            Arc::new(entry)
        };
        let entry = new(&mut writer, name, handler);
        // What the index has of a durable handler rings on the publisher's stack.
        let face = |writer: &mut Writer, entry: &Arc<Entry>| {
            let Some(front) = front else { return entry.clone() };
            let (id, name, pattern) = (writer.next_id(), entry.name.clone(), entry.pattern.clone());
            let (filters, priority) = (entry.filters.clone(), entry.priority);
            let mode = Mode::Inline;
            let front = Entry::new(id, name, pattern, filters, priority, mode, None, 1, front);
            entry.front.get_or_init(|| Arc::new(front)).clone()
        };
        match (&options.group, group) {
            (None, _) => {
                if let Some(shared) = shared {
                    let _ = entry.shared.set(shared);
                } else if let Some(lane) = lane() {
                    entry.give(lane);
                }
                let face = face(&mut writer, &entry);
                self.change(|index| index.insert(&face.pattern, face.clone()));
            }
            (Some(_), Some(group)) => entry.join(&group),
            (Some(name), None) => {
                let head = new(&mut writer, name.clone(), Arc::new(Head));
                head.lead(lane());
                entry.join(&head);
                writer.groups.insert(name.clone(), head.clone());
                let face = face(&mut writer, &head);
                self.change(|index| index.insert(&face.pattern, face.clone()));
            }
        }
        writer.names.insert(entry.name.clone(), entry.id);
        writer.entries.insert(entry.id, entry.clone());
        Ok(entry)
    }

    /// `false` when it was removed before.
    pub(crate) fn remove(&self, entry: &Arc<Entry>) -> bool {
        let mut writer = self.writer.lock();
        let Some(removed) = writer.entries.remove(&entry.id) else { return false };
        writer.names.remove(&entry.name);
        let in_index = match entry.group.get() {
            None => Some(entry.clone()),
            Some(head) => {
                let another = writer
                    .entries
                    .values()
                    .any(|entry| entry.group.get().is_some_and(|other| Arc::ptr_eq(other, head)));
                if another { None } else { writer.groups.remove(&head.name) }
            }
        };
        let old = in_index.map(|entry| {
            // The last of a group ends what rings for it.
            let entry = entry.front.get().inspect(|front| front.end()).unwrap_or(&entry).clone();
            self.change(|index| {
                index.remove(&entry.pattern, |known| Arc::ptr_eq(known, &entry));
            })
        });
        drop(writer);
        // Handlers may go with these.
        drop((removed, old));
        true
    }

    /// Removes everything and admits nothing more.
    pub(crate) fn close(&self) -> Vec<Arc<Entry>> {
        let mut writer = self.writer.lock();
        writer.closed = true;
        writer.names.clear();
        writer.groups.clear();
        self.snapshot.store(Arc::default());
        let entries: Vec<_> = std::mem::take(&mut writer.entries).into_values().collect();
        let heads = entries.iter().filter_map(|entry| entry.group.get());
        heads.filter_map(|head| head.front.get()).for_each(|front| front.end());
        entries
    }

    /// In the order of registration.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.writer.lock().entries.values().cloned().collect()
    }

    pub(crate) fn entry(&self, id: SubscriptionId) -> Option<Arc<Entry>> {
        self.writer.lock().entries.get(&id).cloned()
    }

    /// The durable handler, or the head of its group, that this one stands for in the index; itself
    /// where it stands for none.
    pub(crate) fn behind(&self, face: &Arc<Entry>) -> Arc<Entry> {
        let writer = self.writer.lock();
        let own = writer.entries.values().chain(writer.groups.values());
        let is_front =
            |entry: &&Arc<Entry>| entry.front.get().is_some_and(|front| Arc::ptr_eq(front, face));
        own.into_iter().find(is_front).unwrap_or(face).clone()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        let writer = self.writer.lock();
        let name = Text::from(name);
        let handler = writer.names.get(&name).and_then(|id| writer.entries.get(id));
        handler.or_else(|| writer.groups.get(&name)).cloned()
    }

    /// Swaps in a changed copy and gives back the old one; the caller holds the writer's lock.
    fn change(&self, change: impl FnOnce(&mut PatternIndex<Arc<Entry>>)) -> Arc<Snapshot> {
        let mut index = self.snapshot.load().0.clone();
        change(&mut index);
        self.snapshot.swap(Arc::new(Snapshot(index)))
    }
}

impl Writer {
    fn next_id(&mut self) -> SubscriptionId {
        self.last_id += 1;
        SubscriptionId::new(self.last_id)
    }

    /// The chosen name if it is free, or the handler's own with a number where it is taken.
    fn name(&mut self, name: Name) -> Result<Text> {
        let name = match name {
            Name::Chosen(name) if self.names.contains_key(&name) => {
                let message = format!(
                    "a handler named `{name}` is registered already; choose another name or unsubscribe the first"
                );
                return Err(Error::new(ErrorKind::DuplicateName, message));
            }
            Name::Chosen(name) => name,
            Name::Own(own) => self.numbered(own),
        };
        Ok(name)
    }

    fn numbered(&mut self, own: Text) -> Text {
        let mut name = own.clone();
        while self.names.contains_key(&name) {
            let number = self.numbers.entry(own.clone()).or_insert(1);
            *number += 1;
            name = format!("{own}-{number}").into();
        }
        name
    }
}

/// Where a name comes from.
enum Name {
    Chosen(Text),
    Own(Text),
}
