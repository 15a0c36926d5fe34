//! Writing a frame.

use foldhash::HashMap;
use nexus_events_dispatch::Result;
use nexus_events_dispatch::store::KeyedEvent;

use super::envelope::{self, Texts};
use super::{FORMAT, Heading, Named};
use crate::bytes::{put_bytes, put_number, put_signed};

/// A frame that is written.
pub(crate) struct FrameWriter {
    heading: Heading,
    lists: Lists,
    ends: Vec<u32>,
    events: Vec<u8>,
}

/// Texts that are written once.
#[derive(Default)]
struct List {
    numbers: HashMap<Box<str>, u64>,
    /// In the order of their numbers, one behind the other.
    written: Vec<u8>,
}

#[derive(Default)]
struct Lists {
    types: List,
    texts: List,
}

impl List {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len() as u64;
        put_bytes(&mut self.written, text.as_bytes());
        self.numbers.insert(text.into(), number);
        number
    }

    fn put(&self, into: &mut Vec<u8>) {
        put_number(into, self.numbers.len() as u64);
        into.extend_from_slice(&self.written);
    }
}

impl Texts for Lists {
    fn number(&mut self, text: &str) -> u64 {
        self.texts.number(text)
    }

    fn event_type(&mut self, name: &str) -> u64 {
        self.types.number(name)
    }
}

impl FrameWriter {
    /// Nothing yet; of the heading, events and commit are filled in later.
    pub(crate) fn new(heading: Heading) -> Self {
        Self {
            heading: Heading { events: 0, ..heading },
            lists: Lists::default(),
            ends: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Adds all of these or none.
    ///
    /// # Errors
    /// When a payload cannot be written as JSON.
    pub(crate) fn events(&mut self, events: &[KeyedEvent]) -> Result<()> {
        let before = (self.ends.len(), self.events.len());
        for keyed in events {
            let recorded = self.heading.recorded;
            let written = envelope::write(
                &mut self.events,
                &keyed.event,
                keyed.key.as_ref(),
                recorded,
                &mut self.lists,
            );
            if let Err(error) = written {
                self.ends.truncate(before.0);
                self.events.truncate(before.1);
                return Err(error);
            }
            self.ends.push(self.events.len() as u32);
        }
        self.heading.events = self.ends.len() as u64;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.events.len() as u64
    }

    /// Its body, when the last commit in it has this number, and these of its appends have an
    /// idempotency key.
    pub(crate) fn finish(&self, commit: u64, named: &[Named]) -> (Heading, Vec<u8>) {
        let heading = Heading { commit, ..self.heading };
        let Lists { types, texts } = &self.lists;
        let lists = types.written.len() + texts.written.len();
        let mut body = Vec::with_capacity(self.events.len() + lists + 4 * self.ends.len() + 128);
        body.push(FORMAT);
        put_number(&mut body, heading.events);
        put_number(&mut body, commit);
        put_signed(&mut body, heading.recorded);
        put_number(&mut body, heading.bytes_before);
        types.put(&mut body);
        texts.put(&mut body);
        put_number(&mut body, named.len() as u64);
        for named in named {
            put_bytes(&mut body, named.key.as_bytes());
            put_number(&mut body, named.first - heading.first);
            put_number(&mut body, named.last + 1 - named.first);
            put_number(&mut body, commit - named.version);
        }
        for end in &self.ends {
            body.extend_from_slice(&end.to_le_bytes());
        }
        body.extend_from_slice(&self.events);
        (heading, body)
    }
}
