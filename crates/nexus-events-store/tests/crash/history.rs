//! Lives of one store, one after another, each ended by a crash; and what is there after each
//! crash that could have been.

use nexus_events_dispatch::ManualClock;
use nexus_events_dispatch::store::{EventStore, Progress};

use crate::life::{Allowed, Life, open};
use crate::medium::{Call, End, Machine, Sabotage, SimMedium, Trace};
use crate::model::Model;
use crate::random::Random;
use crate::tally::Counts;
use crate::view::View;
use crate::wait::wait;

/// Crashes in the recovery from a crash, in that one again, and so on.
const NESTED_MAX: usize = 3;

/// Crash points that are tried of one life.
const POINTS_MAX: usize = 48;

#[derive(Debug)]
pub(crate) struct History<'c> {
    random: Random,
    sabotage: Sabotage,
    counts: &'c mut Counts,
}

pub(crate) const POINTS: &str = "crash points";
const IN_RECOVERY: &str = "of them while a store was being opened";

type Found<T> = Result<T, String>;

impl<'c> History<'c> {
    /// Goes through all of it; the error says what is wrong.
    pub(crate) fn run(seed: u64, sabotage: Sabotage, counts: &'c mut Counts) -> Found<()> {
        Self { random: Random::new(seed), sabotage, counts }.lives()
    }

    fn count(&mut self, what: &'static str, more: bool) {
        *self.counts.entry(what).or_default() += u64::from(more);
    }

    fn lives(&mut self) -> Found<()> {
        let mut model = Model::new();
        let (mut machine, mut allowed) = (Machine::default(), Allowed::exactly(0));
        for number in 1..=1 + self.random.below(3) {
            let mut random = self.random.branch();
            let context = |what: String| format!("life {number}: {what}");
            let life = Life::live(machine, allowed, &mut model, self.sabotage, &mut random)
                .map_err(context)?;
            self.count("lives", true);
            (machine, allowed) = self.crashes(&life, &mut model, number > 1).map_err(context)?;
        }
        Ok(())
    }

    /// Ends a life in many ways; gives back the last of them.
    fn crashes(
        &mut self,
        life: &Life,
        model: &mut Model,
        was_there: bool,
    ) -> Found<(Machine, Allowed)> {
        let points = self.points(life);
        let going_on = self.random.pick(&points);
        let mut next = None;
        life.trace.visit(&points, |at, machine| -> Found<()> {
            let (end, call) = (End::random(&mut self.random), life.trace.calls.get(at));
            let allowed = life.allowed(at);
            let crashed = end.apply(machine, call, &mut self.random);
            let count = self.crashed(&crashed, model, allowed, end, 0).map_err(|what| {
                let (opened, place) = (life.opened, place(&life.trace, at, end));
                format!("{place}, open since call {opened}: {what}")
            })?;
            self.count(IN_RECOVERY, was_there && at < life.opened);
            if at == going_on {
                next = Some((crashed, settled(allowed, end, count)));
            }
            Ok(())
        })?;
        let (machine, allowed) = next.ok_or("it has no calls")?;
        model.truncate(allowed.most);
        Ok((machine, allowed))
    }

    fn points(&mut self, life: &Life) -> Vec<usize> {
        let calls = life.trace.calls.len();
        let mut points: Vec<usize> = (0..=calls).collect();
        while points.len() > POINTS_MAX {
            let any = self.random.below(points.len());
            // In three of ten cases while it opens, where it is so long.
            let opening = points.partition_point(|at| *at < life.opened);
            let is_much = opening * 10 > points.len() * 3;
            let gone = if is_much { self.random.below(opening) } else { any };
            points.remove(gone);
        }
        points
    }

    /// Opens the store after a crash, and compares; gives back how many things are there.
    fn crashed(
        &mut self,
        machine: &Machine,
        model: &Model,
        allowed: Allowed,
        end: End,
        nested: usize,
    ) -> Found<usize> {
        self.count(POINTS, true);
        let medium = SimMedium::new(machine.clone(), self.random.next());
        medium.set(|state| state.sabotage = self.sabotage);
        let (count, view) = compare(&medium, model, allowed.least(end), allowed.most)?;
        let opened = medium.calls();
        let settled = settled(allowed, end, count);
        match self.random.below(10) {
            0..3 if nested < NESTED_MAX => {
                let trace = medium.trace();
                let at = match self.random.percent(70) {
                    true => self.random.below(opened + 1),
                    false => self.random.below(trace.calls.len() + 1),
                };
                let again = End::random(&mut self.random);
                let allowed = if at < opened { settled } else { Allowed::exactly(count) };
                let mut crashed = Machine::default();
                trace.visit(&[at], |_, machine| {
                    crashed = again.apply(machine, trace.calls.get(at), &mut self.random);
                    Found::Ok(())
                })?;
                self.count(IN_RECOVERY, at < opened);
                self.crashed(&crashed, model, allowed, again, nested + 1).map_err(|what| {
                    format!("after {count} things, again {}: {what}", place(&trace, at, again))
                })?;
            }
            3..6 => {
                let again = SimMedium::new(medium.machine(), 0);
                let (_, now) = compare(&again, model, count, count)?;
                if now != view {
                    return Err(format!("{}, then {}", view.summary(), now.summary()));
                }
            }
            _ => (),
        }
        Ok(count)
    }
}

/// Opens, looks, closes.
fn compare(medium: &SimMedium, model: &Model, least: usize, most: usize) -> Found<(usize, View)> {
    let clock: &ManualClock = model.clock();
    let store = open(medium, clock).map_err(|error| format!("it does not open: {error}"))?;
    let view = View::of(&store).map_err(|error| format!("it cannot be read: {error}"))?;
    if let Some(wrong) = view.contradiction() {
        return Err(wrong);
    }
    let integrity = wait(store.verify(Progress::none())).map_err(|error| error.to_string())?;
    if !integrity.is_sound() {
        return Err(format!("damage: {:?}", integrity.damage));
    }
    let Some(count) = model.find(&view, least, most) else {
        let shown = model.views().iter().position(|shown| *shown == view);
        let what = match shown {
            Some(count) => format!("{count} things are there"),
            None => "what is there was never there before".to_owned(),
        };
        return Err(format!("{what}, not {least} to {most}: {}", view.summary()));
    };
    Ok((count, view))
}

/// What is allowed after another crash, before a store was opened on what this one has left.
fn settled(allowed: Allowed, end: End, count: usize) -> Allowed {
    match end {
        End::PowerCut(_) => Allowed::exactly(count),
        // The disk may not have what the system has.
        End::Killed => Allowed { after_kill: count, most: count, ..allowed },
    }
}

fn place(trace: &Trace, at: usize, end: End) -> String {
    let call = match trace.calls.get(at) {
        None => "after the last call".to_owned(),
        Some(Call::Write(file, offset, data)) => {
            format!("before write of {} bytes at {offset} of file {file}", data.len())
        }
        Some(call) => format!("before {call:?}"),
    };
    format!("{end:?} at call {at} of {}, {call}", trace.calls.len())
}
