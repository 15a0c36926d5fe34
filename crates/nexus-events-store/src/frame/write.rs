//! Writing a frame.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::HashMap;
use nexus_events_dispatch::Result;
use nexus_events_dispatch::store::KeyedEvent;

use super::envelope::{self, Texts};
use super::{FORMAT, Heading, Named};
use crate::bytes::{put_bytes, put_number, put_signed};
use crate::limits::BATCH_BYTES_MAX;

/// A frame that is written. It is used for one after the other, and keeps its room.
#[derive(Default)]
pub(crate) struct FrameWriter {
    heading: Heading,
    lists: Lists,
    ends: Vec<u32>,
    events: Vec<u8>,
    body: Vec<u8>,
}

/// Texts that are written once.
#[derive(Default)]
struct List {
    /// The hash of each text to its number and where it is written. Of two with one hash the later
    /// one is found, and the other written again.
    numbers: HashMap<u64, (u64, Range<usize>)>,
    count: u64,
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
        let hash = self.numbers.hasher().hash_one(text);
        if let Some((number, place)) = self.numbers.get(&hash)
            && self.written[place.clone()] == *text.as_bytes()
        {
            return *number;
        }
        let number = self.count;
        self.count += 1;
        put_bytes(&mut self.written, text.as_bytes());
        let end = self.written.len();
        self.numbers.insert(hash, (number, end - text.len()..end));
        number
    }

    fn clear(&mut self) {
        self.numbers.clear();
        self.count = 0;
        self.written.clear();
    }

    fn put(&self, into: &mut Vec<u8>) {
        put_number(into, self.count);
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
    /// Begins another one; of its heading, events and commit are filled in later.
    pub(crate) fn begin(&mut self, heading: Heading) {
        self.heading = Heading { events: 0, ..heading };
        self.lists.types.clear();
        self.lists.texts.clear();
        self.ends.clear();
        for bytes in [&mut self.events, &mut self.body] {
            bytes.clear();
            // One append may be larger than most commits.
            bytes.shrink_to(BATCH_BYTES_MAX);
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
    pub(crate) fn finish(&mut self, commit: u64, named: &[Named]) -> (Heading, &[u8]) {
        let heading = Heading { commit, ..self.heading };
        let Lists { types, texts } = &self.lists;
        let lists = types.written.len() + texts.written.len();
        let body = &mut self.body;
        body.reserve(self.events.len() + lists + 4 * self.ends.len() + 128);
        body.push(FORMAT);
        put_number(body, heading.events);
        put_number(body, commit);
        put_signed(body, heading.recorded);
        put_number(body, heading.bytes_before);
        types.put(body);
        texts.put(body);
        put_number(body, named.len() as u64);
        for named in named {
            put_bytes(body, named.key.as_bytes());
            put_number(body, named.first - heading.first);
            put_number(body, named.last + 1 - named.first);
            put_number(body, commit - named.version);
        }
        for end in &self.ends {
            body.extend_from_slice(&end.to_le_bytes());
        }
        body.extend_from_slice(&self.events);
        (heading, body)
    }
}
