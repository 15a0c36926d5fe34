//! One run of a program, from the opening of its store to the end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::store::{Ack, Append, Appended, EventStore, Progress};
use nexus_events_dispatch::{ManualClock, Result};
use nexus_events_store::Store;

use crate::medium::{End, Machine, Sabotage, SimMedium, Trace};
use crate::model::Model;
use crate::random::Random;
use crate::script::Step;
use crate::view::View;
use crate::wait::wait;

/// Bytes of the file that a store keeps in memory: few, so that it has to read.
const CACHE_BYTES: usize = 256 * 1024;

pub(crate) fn open(medium: &SimMedium, clock: &ManualClock) -> Result<Store> {
    // Without a lag, so that which appends share a commit is the same each time.
    let builder = Store::builder().cache_bytes(CACHE_BYTES).clock(clock.clone());
    let builder = builder.lag(Duration::ZERO);
    builder.open_on(Arc::new(medium.clone()), Path::new("data/events.nexus"))
}

/// How many of the things done must be there, and how many may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) after_power_cut: usize,
    pub(crate) after_kill: usize,
    pub(crate) most: usize,
}

impl Allowed {
    pub(crate) fn exactly(count: usize) -> Self {
        Self { after_power_cut: count, after_kill: count, most: count }
    }

    pub(crate) fn least(self, end: End) -> usize {
        match end {
            End::PowerCut(_) => self.after_power_cut,
            End::Killed => self.after_kill,
        }
    }
}

/// Something that was done, and what was said of it.
#[derive(Debug)]
struct Deed {
    /// How many things were done with it.
    count: usize,
    /// How many calls there were when it was asked for, and when it was answered.
    asked: usize,
    answered: usize,
    ack: Ack,
}

#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) trace: Trace,
    /// How many calls there were when the store was open.
    pub(crate) opened: usize,
    before: Allowed,
    deeds: Vec<Deed>,
}

impl Life {
    /// Lives it on this machine, whose store shows what the model does.
    pub(crate) fn live(
        machine: Machine,
        before: Allowed,
        model: &mut Model,
        sabotage: Sabotage,
        random: &mut Random,
    ) -> std::result::Result<Self, String> {
        let medium = SimMedium::new(machine, random.next());
        medium.set(|state| state.sabotage = sabotage);
        let store = open(&medium, model.clock()).map_err(|error| format!("open: {error}"))?;
        let mut life = Self::of(&medium, before);
        for _ in 0..1 + random.below(8) {
            let step = Step::random(random, model);
            life.step(&medium, &store, step, model)?;
        }
        let view = View::of(&store).map_err(|error| format!("read: {error}"))?;
        if view != *model.view() {
            return Err(format!(
                "before any crash: {}, expected: {}",
                view.summary(),
                model.view().summary()
            ));
        }
        if random.percent(50) {
            wait(store.close()).map_err(|error| format!("close: {error}"))?;
        }
        drop(store);
        life.trace = medium.trace();
        Ok(life)
    }

    pub(crate) fn of(medium: &SimMedium, before: Allowed) -> Self {
        Self { opened: medium.calls(), trace: medium.trace(), before, deeds: Vec::new() }
    }

    /// Does it with the store and the model, and compares what they say.
    pub(crate) fn step(
        &mut self,
        medium: &SimMedium,
        store: &Store,
        step: Step,
        model: &mut Model,
    ) -> std::result::Result<(), String> {
        let asked = medium.calls();
        match step {
            Step::Appends(appends) => return self.appends(medium, store, &appends, model),
            Step::Trim(retention) => {
                let (is, should) = (wait(store.trim(retention)), model.trim(retention));
                same("trim", &is, &should)?;
                // One that changes nothing promises nothing.
                if is.is_ok_and(|trimmed| trimmed.events > 0) {
                    let answered = medium.calls();
                    let count = model.len();
                    self.deeds.push(Deed { count, asked, answered, ack: Ack::Synced });
                }
            }
            Step::Compact => {
                wait(store.compact(Progress::none())).map_err(|error| error.to_string())?;
            }
            Step::Time(passes) => model.clock().advance(passes),
        }
        Ok(())
    }

    fn appends(
        &mut self,
        medium: &SimMedium,
        store: &Store,
        appends: &[Append],
        model: &mut Model,
    ) -> std::result::Result<(), String> {
        let asked = medium.calls();
        let is_held = appends.len() > 1;
        if is_held {
            medium.hold();
        }
        let mut answers = Vec::new();
        for (index, append) in appends.iter().enumerate() {
            answers.push((index, append.ack, store.append(append.clone())));
            if is_held && index == 0 {
                medium.held();
            }
        }
        medium.release();
        answers.sort_by_key(|(_, ack, _)| *ack);
        let mut said: Vec<Option<(usize, Result<Appended>)>> =
            appends.iter().map(|_| None).collect();
        for (index, _, answer) in answers {
            let answer = wait(answer);
            said[index] = Some((medium.calls(), answer));
        }
        for (append, said) in appends.iter().zip(said) {
            let before = model.len();
            let should = model.append(append);
            let Some((answered, is)) = said else { continue };
            same("append", &is, &should)?;
            if model.len() > before {
                self.deeds.push(Deed { count: model.len(), asked, answered, ack: append.ack });
            }
        }
        Ok(())
    }

    /// What has to be there when it ends before this call.
    pub(crate) fn allowed(&self, at: usize) -> Allowed {
        if at < self.opened {
            return self.before;
        }
        let mut allowed = Allowed::exactly(self.before.most);
        for deed in &self.deeds {
            if deed.answered <= at && deed.ack >= Ack::Synced {
                allowed.after_power_cut = deed.count;
            }
            if deed.answered <= at && deed.ack >= Ack::Buffered {
                allowed.after_kill = deed.count;
            }
            if deed.asked <= at {
                allowed.most = deed.count;
            }
        }
        allowed
    }
}

/// Whether the store says what the reference says.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    is: &Result<T>,
    should: &Result<T>,
) -> std::result::Result<(), String> {
    let same = match (is, should) {
        (Ok(is), Ok(should)) => is == should,
        (Err(is), Err(should)) => is.kind() == should.kind(),
        _ => false,
    };
    match same {
        true => Ok(()),
        false => Err(format!("{what}: {is:?}, the reference says {should:?}")),
    }
}
