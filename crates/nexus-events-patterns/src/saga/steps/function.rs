//! What the functions of steps and compensations look like, and what they become.

use std::sync::Arc;

use nexus_events_dispatch::HandlerError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::{Compensation, StepContext, StepOutcome};
use super::plan::{Returned, RunBack, RunStep};

pub(super) fn step<S, R, E, F>(
    run: impl Fn(StepContext<S>) -> F + Send + Sync + 'static,
) -> RunStep<S>
where
    S: Send + Sync + 'static,
    R: Serialize,
    E: Into<HandlerError>,
    F: Future<Output = Result<R, E>> + Send + 'static,
{
    let run = Arc::new(run);
    Arc::new(move |context| {
        let run = run.clone();
        // Called inside of the future, where a panic is contained.
        Box::pin(async move {
            match run(context).await {
                Ok(result) => match serde_json::to_value(result) {
                    Ok(log) => Returned::Well(log),
                    Err(error) => {
                        Returned::Unwritable(format!("what it returned is no JSON: {error}"))
                    }
                },
                Err(error) => Returned::Badly(error.into()),
            }
        })
    })
}

pub(super) fn compensation<S, R, E, F>(
    run: impl Fn(Compensation<S, R>) -> F + Send + Sync + 'static,
) -> RunBack<S>
where
    S: Send + Sync + 'static,
    R: DeserializeOwned + Send + 'static,
    E: Into<HandlerError>,
    F: Future<Output = Result<(), E>> + Send + 'static,
{
    let run = Arc::new(run);
    Arc::new(move |context, step_key, outcome| {
        let run = run.clone();
        Box::pin(async move {
            let outcome = match outcome {
                StepOutcome::Unknown => StepOutcome::Unknown,
                StepOutcome::Completed(log) => match serde_json::from_value(log) {
                    Ok(result) => StepOutcome::Completed(result),
                    Err(error) => {
                        let error = format!(
                            "what the step returned does not fit its compensation: {error}"
                        );
                        return Returned::Badly(HandlerError::permanent(error));
                    }
                },
            };
            match run(Compensation::new(context, step_key, outcome)).await {
                Ok(()) => Returned::Well(Value::Null),
                Err(error) => Returned::Badly(error.into()),
            }
        })
    })
}
