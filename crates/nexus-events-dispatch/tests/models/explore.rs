//! Runs a model under many schedules and says how to repeat the one that fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use nexus_events_dispatch::model::begin;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// Schedules of each model: one half drawn step by step, the other with fixed priorities that
/// change a few times (PCT), which finds what a few switches at the right moments break.
pub(crate) const SCHEDULES: usize = 6_000;

/// How many steps have to meet for what is looked for, in one half of the PCT schedules each.
const PCT_DEPTHS: [usize; 2] = [3, 5];

/// The same schedules in every run. `SHUTTLE_RANDOM_SEED` chooses others.
const SEED: u64 = 0x6e65_7875_735f_6576;

/// More steps than this are a model that runs in circles.
const STEPS_MAX: usize = 100_000;

const STACK_BYTES: usize = 256 * 1024;

/// A file with a schedule to repeat, instead of exploring.
const REPLAY: &str = "NEXUS_MODEL_REPLAY";

pub(crate) fn explore(schedules: usize, model: impl Fn() + Send + Sync + 'static) {
    explore_boxed(schedules, Arc::new(model));
}

/// Built once for all models.
fn explore_boxed(schedules: usize, model: Arc<dyn Fn() + Send + Sync>) {
    let name = std::thread::current().name().unwrap_or("model").to_owned();
    let model = move || {
        begin();
        model();
    };
    if let Some(file) = std::env::var_os(REPLAY) {
        return shuttle::replay_from_file(model, PathBuf::from(file));
    }
    let start = Instant::now();
    let random = RandomScheduler::new_from_seed(SEED, schedules / 2);
    let mut explored = run(&name, random, model.clone());
    for depth in PCT_DEPTHS {
        let pct = PctScheduler::new_from_seed(SEED, depth, schedules / 4);
        explored += run(&name, pct, model.clone());
    }
    // `cargo xtask models` adds these up.
    println!("{name}: {} schedules in {:.1} s", explored, start.elapsed().as_secs_f64());
}

fn run(
    name: &str,
    scheduler: impl Scheduler + 'static,
    model: impl Fn() + Send + Sync + 'static,
) -> usize {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::File(Some(env!("CARGO_TARGET_TMPDIR").into()));
    let says_how = SaysHow(name);
    let explored = Runner::new(scheduler, config).run(model);
    drop(says_how);
    explored
}

/// Says how to repeat the schedule of a model that has failed.
struct SaysHow<'a>(&'a str);

impl Drop for SaysHow<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let name = self.0;
            println!("{name} failed; with the last file named above, this repeats it:");
            println!("{REPLAY}=FILE cargo xtask models {name}");
        }
    }
}
