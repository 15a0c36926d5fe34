//! The parts of a definition while it is built.

use std::marker::PhantomData;
use std::time::Duration;

use nexus_events_dispatch::HandlerError;
use nexus_events_model::Text;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::{Compensation, StepContext};
use super::function;
use super::options::of_the_last_step;
use super::plan::{Policy, Step};
use super::retry::StepRetry;
use crate::error::Error;

/// Steps that run at the same time, from [`StepSaga::parallel`](super::StepSaga::parallel). `R` is
/// what the last one returns.
#[must_use = "a group does nothing until it is given back to its saga"]
pub struct Parallel<S, R = ()> {
    pub(super) steps: Vec<Step<S>>,
    pub(super) failed: Option<Error>,
    result: PhantomData<fn() -> R>,
}

impl<S, R> std::fmt::Debug for Parallel<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| &step.name)).finish()
    }
}

impl<S> Parallel<S, ()> {
    pub(super) fn new() -> Self {
        Self { steps: Vec::new(), failed: None, result: PhantomData }
    }
}

impl<S, R> Parallel<S, R>
where
    S: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Another step of the group.
    pub fn step<T, E, F>(
        mut self,
        name: impl Into<Text>,
        run: impl Fn(StepContext<S>) -> F + Send + Sync + 'static,
    ) -> Parallel<S, T>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Into<HandlerError>,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.steps.push(Step::new(name.into(), function::step(run)));
        Parallel { steps: self.steps, failed: self.failed, result: PhantomData }
    }

    fn last(&mut self, option: &str, change: impl FnOnce(&mut Step<S>)) {
        match self.steps.last_mut() {
            Some(step) => change(step),
            None => {
                self.failed.get_or_insert_with(|| no_step(option));
            }
        }
    }
}

of_the_last_step!(Parallel);

pub(super) fn no_step(option: &str) -> Error {
    let message = format!(
        "`.{option}(..)` is about a step and there is none before it; put it after `.step(..)`"
    );
    Error::invalid_option(message)
}

impl<S> Step<S> {
    pub(super) fn new(name: Text, run: super::plan::RunStep<S>) -> Self {
        let policy = |retry| Policy { retry, timeout: None, timeout_is_final: false };
        Self {
            name,
            run,
            policy: policy(StepRetry::of_steps()),
            back: None,
            back_policy: policy(StepRetry::of_compensations()),
        }
    }
}
