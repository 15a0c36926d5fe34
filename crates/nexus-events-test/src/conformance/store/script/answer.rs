//! What a store answers to a step, in a form that can be compared.

use std::collections::HashMap;
use std::time::Duration;

use nexus_events_dispatch::store::{
    Append, Appended, Cursor, CursorInfo, EventStore, Expected, Offset, Progress, Read, Retention,
    Scan, Select, StateEntry, Trimmed, Versioned,
};
use nexus_events_dispatch::{ErrorKind, Result};
use nexus_events_model::Event;

use super::step::{Draft, Step, Write};
use crate::conformance::store::candidate::{Candidate, Stop};
use crate::limits::PAGES_MAX;

/// Numbers of commits are those of the appends that happened, counted from 1.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Nothing,
    Appended { first: u64, last: u64, append: u64, duplicate: bool },
    Refused(ErrorKind),
    Events(Vec<(u64, Option<String>, Event)>),
    State(Option<(Vec<u8>, u64)>),
    States(Vec<(Vec<u8>, Vec<u8>, u64)>),
    Number(u64),
    Numbers(u64, u64),
    Cursors(Vec<(String, u64)>),
    Trimmed { events: u64, first: u64, held: Option<(u64, String)>, lost: Vec<(String, u64)> },
}

pub(super) fn space(space: u8) -> String {
    format!("space-{space}")
}

pub(super) fn key(key: u8) -> String {
    // One is the beginning of the next.
    "k".repeat(usize::from(key))
}

pub(super) fn consumer(consumer: u8) -> String {
    format!("consumer-{consumer}")
}

/// Asks a store.
pub(super) struct Driver {
    candidate: Candidate,
    /// Numbers of commits, and of the appends that they were.
    appends: HashMap<u64, u64>,
    /// What state was last seen, by space and key.
    seen: HashMap<(u8, u8), u64>,
}

impl Driver {
    pub(super) fn new(candidate: Candidate) -> Self {
        Self { candidate, appends: HashMap::new(), seen: HashMap::new() }
    }

    pub(super) fn has_clock(&self) -> bool {
        self.candidate.its_clock().is_ok()
    }

    pub(super) fn can_reopen(&self) -> bool {
        self.candidate.can_reopen().is_ok()
    }

    pub(super) fn dedup_window(&self) -> Duration {
        self.store().capabilities().dedup_window
    }

    fn store(&self) -> &dyn EventStore {
        &**self.candidate.store()
    }

    pub(super) async fn answer(mut self, step: &Step) -> Result<(Self, Answer), Stop> {
        if let Step::Reopen = step {
            self.candidate = self.candidate.reopened().await?;
            return Ok((self, Answer::Nothing));
        }
        let answer = match self.ask(step).await {
            Ok(answer) => answer,
            Err(error) => Answer::Refused(error.kind()),
        };
        Ok((self, answer))
    }

    async fn ask(&mut self, step: &Step) -> Result<Answer> {
        Ok(match step {
            Step::Append(draft) => {
                let append = self.append(draft).await?;
                let appended = self.store().append(append).await?;
                self.appended(&appended)
            }
            Step::Read { .. } => self.read(step).await?,
            Step::Get(in_space, under) => {
                let state = self.store().get(&space(*in_space), key(*under).as_bytes()).await?;
                let version = state.as_ref().map_or(0, |state| state.version);
                self.seen.insert((*in_space, *under), version);
                Answer::State(state.map(|state| self.state(state)))
            }
            Step::Scan(in_space, prefix, after, limit) => {
                let mut scan = Scan::of(space(*in_space)).limit(*limit);
                scan.prefix = prefix.map(|prefix| key(prefix).into()).unwrap_or_default();
                scan.after = after.map(|after| key(after).into());
                let entries = self.store().scan(scan).await?;
                Answer::States(entries.into_iter().map(|entry| self.entry(entry)).collect())
            }
            Step::KeyVersion(of) => Answer::Number(self.store().key_version(&key(*of)).await?),
            Step::Bounds => {
                let bounds = self.store().bounds();
                Answer::Numbers(bounds.first.number(), bounds.last.number())
            }
            Step::Cursors => {
                let infos = CursorInfo::list(self.store()).await?.into_iter();
                let at = infos.map(|info| (info.consumer, info.cursor.acked.number()));
                Answer::Cursors(at.collect())
            }
            Step::Trim(events, held) => {
                self.trim(Retention::new().events(*events).held(*held)).await?
            }
            Step::TrimByAge(seconds) => {
                self.trim(Retention::new().age(Duration::from_secs(*seconds))).await?
            }
            Step::Advance(seconds) => {
                if let Ok(clock) = self.candidate.its_clock() {
                    clock.advance(Duration::from_secs(*seconds));
                }
                Answer::Nothing
            }
            Step::Verify => {
                let found = self.store().verify(Progress::none()).await?;
                match found.is_sound() {
                    true => Answer::Numbers(found.events, found.states),
                    false => Answer::Refused(ErrorKind::Corrupt),
                }
            }
            Step::Reopen => Answer::Nothing,
        })
    }

    async fn append(&self, draft: &Draft) -> Result<Append> {
        let mut append = Append::new();
        for (with_key, event) in &draft.events {
            append = match with_key {
                Some(with_key) => append.keyed_event(key(*with_key), event.clone()),
                None => append.event(event.clone()),
            };
        }
        for (of, more) in &draft.expected {
            let expected = match more {
                None => Expected::Absent,
                Some(more) => {
                    let there = self.store().key_version(&key(*of)).await?;
                    Expected::Exact(there.saturating_add_signed(i64::from(*more)))
                }
            };
            append = append.expect_key(key(*of), expected);
        }
        for write in &draft.state {
            let (space, key, expected) = (space(write.space), key(write.key), self.expected(write));
            append = match write.value {
                Some(value) => append.put_if(expected, space, key, [value]),
                None => append.delete_if(expected, space, key),
            };
        }
        if let Some((of, at)) = draft.cursor {
            append = append.cursor(&consumer(of), &Cursor::at(Offset::new(at)));
        }
        Ok(match draft.idempotency_key {
            Some(once) => append.idempotency_key(key(once)),
            None => append,
        })
    }

    fn expected(&self, write: &Write) -> Expected {
        match (write.is_as_seen, write.is_there) {
            (true, _) => {
                let seen = self.seen.get(&(write.space, write.key));
                Expected::Exact(seen.copied().unwrap_or_default())
            }
            (false, Some(true)) => Expected::Present,
            (false, Some(false)) => Expected::Absent,
            (false, None) => Expected::Any,
        }
    }

    fn appended(&mut self, appended: &Appended) -> Answer {
        let next = self.appends.len() as u64 + 1;
        let append = match appended.duplicate {
            true => self.append_of(appended.version),
            false => *self.appends.entry(appended.version).or_insert(next),
        };
        let (first, last) = (appended.first.number(), appended.last.number());
        Answer::Appended { first, last, append, duplicate: appended.duplicate }
    }

    /// Which append this commit was; a number that is none for an unknown one.
    fn append_of(&self, version: u64) -> u64 {
        self.appends.get(&version).copied().unwrap_or(u64::MAX)
    }

    fn state(&self, state: Versioned) -> (Vec<u8>, u64) {
        (state.value, self.append_of(state.version))
    }

    fn entry(&self, entry: StateEntry) -> (Vec<u8>, Vec<u8>, u64) {
        let (value, append) = self.state(entry.state);
        (entry.key, value, append)
    }

    async fn read(&self, step: &Step) -> Result<Answer> {
        let Step::Read { after, until, backward, events: most, pattern, key: of, priority } = step
        else {
            return Ok(Answer::Nothing);
        };
        let mut select = Select::new();
        select.patterns.extend(pattern.clone());
        select.key = of.map(|of| key(of).into());
        select.priority_min = *priority;
        let mut read = Read::after(Offset::new(*after)).events(*most).select(select);
        read.until = until.map(Offset::new);
        if *backward {
            read = read.backward();
        }
        let (mut events, mut next) = (Vec::new(), Some(read));
        for _ in 0..PAGES_MAX {
            let Some(read) = next else { break };
            let page = self.store().read(read).await?;
            next = page.next;
            events.extend(page.events.into_iter().map(|stored| {
                (stored.offset.number(), stored.key.map(|key| key.to_string()), stored.event)
            }));
        }
        Ok(Answer::Events(events))
    }

    async fn trim(&self, retention: Retention) -> Result<Answer> {
        let Trimmed { events, first, held, lost, .. } = self.store().trim(retention).await?;
        Ok(Answer::Trimmed { events, first: first.number(), held, lost })
    }
}
