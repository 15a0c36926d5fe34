//! Running the cases.

use std::fmt;

use nexus_events_dispatch::BoxFuture;

use super::candidate::{Candidate, Stop};
use super::cases::CASES;
use crate::limits::CASE_WAIT_MAX;

pub(super) type Done = Result<(), Stop>;

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) run: fn(Candidate) -> BoxFuture<'static, Done>,
}

/// What became of all cases, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Outcomes {
    /// Those that hold.
    pub passed: Vec<&'static str>,
    /// Those that do not apply, and what they need.
    pub skipped: Vec<(&'static str, String)>,
    /// Those that do not hold, and why.
    pub failed: Vec<(&'static str, String)>,
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, skipped, failed) = (&self.passed, &self.skipped, &self.failed);
        let counts = (passed.len(), skipped.len(), failed.len());
        writeln!(f, "{} passed, {} skipped, {} failed", counts.0, counts.1, counts.2)?;
        for (name, why) in skipped {
            writeln!(f, "skipped {name}: {why}")?;
        }
        for (name, why) in failed {
            writeln!(f, "failed {name}: {why}")?;
        }
        Ok(())
    }
}

/// Runs all cases, each on a store of its own, and says what became of them. It needs a tokio
/// runtime with time; on one with several threads, appends are truly concurrent.
///
/// The example stands in the description of the module.
pub async fn run(make: impl AsyncFn() -> Candidate) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for case in CASES {
        match run_case(case, make().await).await {
            Ok(()) => outcomes.passed.push(case.name),
            Err(Stop::Skipped(why)) => outcomes.skipped.push((case.name, why)),
            Err(Stop::Failed(why)) => outcomes.failed.push((case.name, why)),
        }
    }
    outcomes
}

async fn run_case(case: &Case, candidate: Candidate) -> Done {
    // On a task, so that a failed assertion is an outcome, and so is a thread that hangs.
    let task = tokio::spawn((case.run)(candidate));
    match tokio::time::timeout(CASE_WAIT_MAX, task).await {
        Ok(Ok(done)) => done,
        Err(_) => Err(Stop::Failed(format!("it did not end within {CASE_WAIT_MAX:?}"))),
        Ok(Err(error)) => {
            let panic = error.into_panic();
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Stop::Failed(text.unwrap_or("it panicked").to_owned()))
        }
    }
}

/// Runs one case, on a runtime of its own, for those who write a `#[test]` themselves; otherwise
/// [`store_conformance!`](crate::store_conformance) does that for all.
///
/// ```
/// use std::sync::Arc;
/// use nexus_events_dispatch::store::MemoryStore;
/// use nexus_events_test::conformance::store::{self, Candidate};
/// store::check("appends::one_event", async || Candidate::new(Arc::new(MemoryStore::new())));
/// ```
///
/// # Panics
/// When the case does not hold, or there is none of this name.
#[allow(clippy::print_stderr, reason = "a test that was skipped says so")]
pub fn check(name: &str, make: impl AsyncFn() -> Candidate) {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.unwrap_or_else(|| panic!("there is no case `{name}`"));
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_time().build().expect("threads can be started");
    let done = runtime.block_on(async { run_case(case, make().await).await });
    runtime.shutdown_background();
    match done {
        Ok(()) => {}
        Err(Stop::Skipped(why)) => eprintln!("skipped {name}: {why}"),
        Err(Stop::Failed(why)) => panic!("{name}: {why}"),
    }
}

/// One `#[test]` for each case of [`conformance::store`](crate::conformance::store), in a module
/// for each subject. Takes an async function or closure that makes a
/// [`Candidate`](crate::conformance::store::Candidate); the example is
/// [there](crate::conformance::store).
#[macro_export]
macro_rules! store_conformance {
    ($make:expr) => {
        $crate::__store_cases! { $crate::__store_tests [$make] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ([$make:expr] $($subject:ident { $($case:ident)* })*) => { $(
        mod $subject {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $case() {
                    let name = concat!(stringify!($subject), "::", stringify!($case));
                    $crate::conformance::store::check(name, $make);
                }
            )*
        }
    )* };
}
