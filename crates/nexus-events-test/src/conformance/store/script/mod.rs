//! Random operations, whose answers are those of a model, or of another store.

mod answer;
mod model;
mod step;

use std::fmt::Debug;

pub use self::step::{Draft, Step, Write, script};

use self::answer::{Answer, Driver};
use self::model::Model;
use super::candidate::{Candidate, Stop};

/// Runs a script on a store and on a model of it, and compares every answer.
///
/// ```
/// use std::sync::Arc;
/// use nexus_events_dispatch::store::MemoryStore;
/// use nexus_events_test::conformance::store::{Candidate, Step, follows_model};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let candidate = Candidate::new(Arc::new(MemoryStore::new()));
/// follows_model(candidate, &[Step::Bounds, Step::KeyVersion(0)]).await.unwrap();
/// # });
/// ```
///
/// # Errors
/// The first step at which they differ, and both answers.
pub async fn follows_model(candidate: Candidate, steps: &[Step]) -> Result<(), Stop> {
    let mut driver = Driver::new(candidate);
    let mut model = Model::new(driver.dedup_window());
    let (has_clock, can_reopen) = (driver.has_clock(), driver.can_reopen());
    for (number, step) in steps.iter().enumerate() {
        if !step.is_possible(has_clock, can_reopen) {
            continue;
        }
        let expected = model.answer(step);
        let actual;
        (driver, actual) = driver.answer(step).await?;
        same("the store", &actual, "the model", &expected, steps, number)?;
    }
    Ok(())
}

/// Runs a script on two stores and compares every answer. Times, epochs and the numbers of commits
/// are their own; a step that one of them cannot do is left out on both.
///
/// ```
/// use std::sync::Arc;
/// use nexus_events_dispatch::store::MemoryStore;
/// use nexus_events_test::conformance::store::{Candidate, Step, same_script};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let make = || Candidate::new(Arc::new(MemoryStore::new()));
/// same_script(make(), make(), &[Step::Bounds, Step::KeyVersion(0)]).await.unwrap();
/// # });
/// ```
///
/// # Errors
/// The first step at which they differ, and both answers.
pub async fn same_script(a: Candidate, b: Candidate, steps: &[Step]) -> Result<(), Stop> {
    let (mut a, mut b) = (Driver::new(a), Driver::new(b));
    let has_clock = a.has_clock() && b.has_clock();
    let can_reopen = a.can_reopen() && b.can_reopen();
    for (number, step) in steps.iter().enumerate() {
        if !step.is_possible(has_clock, can_reopen) {
            continue;
        }
        let (first, second);
        (a, first) = a.answer(step).await?;
        (b, second) = b.answer(step).await?;
        same("the first store", &first, "the second one", &second, steps, number)?;
    }
    Ok(())
}

fn same(
    one: impl Debug,
    its_answer: &Answer,
    other: impl Debug,
    other_answer: &Answer,
    steps: &[Step],
    number: usize,
) -> Result<(), Stop> {
    if its_answer == other_answer {
        return Ok(());
    }
    let step = &steps[number];
    Err(Stop::Failed(format!(
        "step {number}, {step:?}: {one:?} answers {its_answer:?}, {other:?} {other_answer:?}"
    )))
}
