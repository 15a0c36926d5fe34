//! Losses of power and kills at the calls of random histories.

use crate::history::{History, POINTS};
use crate::life::{Allowed, Life, open};
use crate::medium::{Call, Machine, Sabotage, SimMedium};
use crate::model::Model;
use crate::random::Random;
use crate::tally::{prove, times, tried};

const HISTORIES: u64 = 420;

/// Histories in which a deception has to be noticed.
const UNTIL_NOTICED: u64 = 5_000;

#[test]
fn d02_nothing_answered_is_lost_when_the_power_goes() {
    let counts =
        prove("power", HISTORIES, |seed, counts| History::run(seed, Sabotage::default(), counts));
    if let (Some(points), None) = (times(50_000), std::env::var_os("NEXUS_PROVE_SEED")) {
        assert!(counts[POINTS] >= points, "{counts:?}");
    }
}

fn is_noticed(sabotage: Sabotage) {
    let (_, noticed) = tried(0..UNTIL_NOTICED, |seed, counts| History::run(seed, sabotage, counts));
    let (seed, what) = noticed.expect("nobody noticed");
    println!("seed {seed}: {what}");
}

#[test]
fn d02_a_disk_that_lies_about_two_of_a_hundred_syncs_is_noticed() {
    is_noticed(Sabotage { lies: 2, ..Sabotage::default() });
}

#[test]
fn d02_a_folder_that_is_not_synced_is_noticed() {
    is_noticed(Sabotage { forgets_folders: true, ..Sabotage::default() });
}

fn calls(seed: u64) -> Vec<Call> {
    let (mut model, mut random) = (Model::new(), Random::new(seed));
    let allowed = Allowed::exactly(0);
    let sabotage = Sabotage::default();
    Life::live(Machine::default(), allowed, &mut model, sabotage, &mut random).unwrap().trace.calls
}

/// What a call changes and where: its content may have the name of the log, which is always another.
fn place(call: &Call) -> (usize, usize, usize) {
    match call {
        Call::Write(file, offset, data) => (*file, *offset, data.len()),
        Call::SetLen(file, len) => (*file, *len, usize::MAX),
        _ => (usize::MAX, 0, 0),
    }
}

/// Otherwise a seed would not repeat what has failed.
#[test]
fn a_seed_repeats_all_calls() {
    for seed in 0..20 {
        let (one, other) = (calls(seed), calls(seed));
        assert!(one.iter().map(place).eq(other.iter().map(place)), "seed {seed}");
    }
}

/// What a trace says was there is what is there when the power goes at that call.
#[test]
fn a_trace_shows_what_a_loss_of_power_leaves() {
    let all = calls(1);
    let mut made = 0;
    for at in 0..all.len() {
        let medium = SimMedium::new(Machine::default(), 0);
        medium.set(|state| state.off_at = Some(at));
        let is_open = open(&medium, Model::new().clock()).is_ok();
        if is_open {
            break;
        }
        let done = medium.trace().calls;
        assert!(done.iter().map(place).eq(all[..at].iter().map(place)), "call {at}");
        made = at;
    }
    assert!(made > 20, "{made}");
}
