//! Who is subscribed. Every change builds a new snapshot and swaps it in; a publish reads the
//! snapshot it finds and takes no lock.

use std::collections::{HashMap, HashSet};

use nexus_events_model::{EventType, Pattern, SubscriptionId, Text};

use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::handler::{Handler, Mode};
use crate::index::PatternIndex;
use crate::limits::ROUTES_CACHED_MAX;
use crate::subscription::SubscriptionOptions;
use crate::sync::{Arc, ArcSwap, Mutex};

/// The handlers of one event type in the order of their turns.
pub(crate) type Route = Arc<[Arc<Entry>]>;

pub(crate) struct Registry {
    snapshot: ArcSwap<Snapshot>,
    /// Held while a snapshot is built, never while a handler runs.
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    last_id: u64,
    names: HashSet<Text>,
    /// The last number given to handlers of one name of their own.
    numbers: HashMap<Text, u64>,
    closed: bool,
}

#[derive(Default)]
struct Snapshot {
    /// In the order of registration.
    entries: Vec<Arc<Entry>>,
    index: PatternIndex<Arc<Entry>>,
    /// Routes already found. It belongs to this snapshot, so a change forgets it as a whole.
    routes: ArcSwap<HashMap<EventType, Route>>,
}

impl Snapshot {
    fn find(&self, event_type: &EventType) -> Route {
        let mut found = Vec::new();
        self.index.for_each_match(event_type, |entry| found.push(entry.clone()));
        found.sort_by_key(|entry| (std::cmp::Reverse(entry.priority), entry.id));
        found.into()
    }

    fn remember(&self, event_type: &EventType, route: &Route) {
        if self.routes.load().len() < ROUTES_CACHED_MAX {
            self.routes.rcu(|routes| {
                let mut routes = HashMap::clone(routes);
                routes.insert(event_type.clone(), route.clone());
                routes
            });
        }
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { snapshot: ArcSwap::default(), writer: Mutex::default() }
    }

    /// The handlers of this type. Lock-free: a hit is a load and a look-up.
    pub(crate) fn route(&self, event_type: &EventType) -> Route {
        let snapshot = self.snapshot.load();
        if let Some(route) = snapshot.routes.load().get(event_type) {
            return route.clone();
        }
        let route = snapshot.find(event_type);
        snapshot.remember(event_type, &route);
        route
    }

    /// Registers a handler; `prepare` gives the entry what it needs before anybody sees it.
    pub(crate) fn add(
        &self,
        pattern: Pattern,
        handler: Arc<dyn Handler>,
        options: SubscriptionOptions,
        mode: Mode,
        prepare: impl FnOnce(&Arc<Entry>),
    ) -> Result<Arc<Entry>> {
        // The handler's own code, so not under the lock.
        let own = || options.own_name.unwrap_or_else(|| handler.name());
        let name = options.name.map_or_else(|| Name::Own(own()), Name::Chosen);
        let mut writer = self.writer.lock();
        if writer.closed {
            return Err(Error::closed());
        }
        let name = writer.name(name)?;
        writer.last_id += 1;
        let id = SubscriptionId::new(writer.last_id);
        let entry = Arc::new(Entry::new(
            id,
            name,
            pattern,
            options.filters,
            options.priority,
            mode,
            handler,
        ));
        prepare(&entry);
        self.change(|entries, index| {
            entries.push(entry.clone());
            index.insert(&entry.pattern, entry.clone());
        });
        Ok(entry)
    }

    /// `false` when it was removed before.
    pub(crate) fn remove(&self, entry: &Arc<Entry>) -> bool {
        let mut writer = self.writer.lock();
        let mut removed = false;
        self.change(|entries, index| {
            removed = index.remove(&entry.pattern, |known| Arc::ptr_eq(known, entry));
            entries.retain(|known| !Arc::ptr_eq(known, entry));
        });
        if removed {
            writer.names.remove(&entry.name);
        }
        removed
    }

    /// Removes everything and admits nothing more.
    pub(crate) fn close(&self) -> Vec<Arc<Entry>> {
        let mut writer = self.writer.lock();
        writer.closed = true;
        writer.names.clear();
        let entries = self.entries();
        self.snapshot.store(Arc::default());
        entries
    }

    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.snapshot.load().entries.clone()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.snapshot.load().entries.iter().find(|entry| entry.name == name).cloned()
    }

    /// Swaps in a changed copy; the caller holds the writer's lock.
    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Entry>>, &mut PatternIndex<Arc<Entry>>)) {
        let current = self.snapshot.load();
        let (mut entries, mut index) = (current.entries.clone(), current.index.clone());
        change(&mut entries, &mut index);
        self.snapshot.store(Arc::new(Snapshot { entries, index, routes: ArcSwap::default() }));
    }
}

impl Writer {
    /// The chosen name if it is free, or the handler's own with a number where it is taken.
    fn name(&mut self, name: Name) -> Result<Text> {
        let name = match name {
            Name::Chosen(name) if self.names.contains(&name) => {
                let message = format!(
                    "a handler named `{name}` is registered already; choose another name or unsubscribe the first"
                );
                return Err(Error::new(ErrorKind::DuplicateName, message));
            }
            Name::Chosen(name) => name,
            Name::Own(own) => self.numbered(own),
        };
        self.names.insert(name.clone());
        Ok(name)
    }

    fn numbered(&mut self, own: Text) -> Text {
        let mut name = own.clone();
        while self.names.contains(&name) {
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
