//! Whether a definition of steps is sound.

use std::collections::{BTreeMap, HashSet};

use super::super::states::Upcast;
use super::plan::{Policy, Stage, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{SAGA_PARALLEL_MAX, SAGA_STEP_NAME_BYTES_MAX, SAGA_STEPS_MAX};

/// Of both styles.
pub(in super::super) fn version(
    saga: &str,
    version: u32,
    upcasts: &BTreeMap<u32, Upcast>,
) -> Result<()> {
    if version == 0 {
        let message = format!("the version of the saga `{saga}` is 1 or more, not 0");
        return Err(Error::invalid_option(message));
    }
    if let Some((from, _)) = upcasts.iter().find(|(from, _)| **from >= version) {
        return Err(Error::invalid_option(format!(
            "the saga `{saga}` is at version {version}, so an upcast from {from} is never used; set `.version({})`",
            from.saturating_add(1)
        )));
    }
    Ok(())
}

pub(super) fn stages<S>(saga: &str, stages: &[Stage<S>]) -> Result<()> {
    let number: usize = stages.iter().map(|stage| stage.steps.len()).sum();
    if !(1..=SAGA_STEPS_MAX).contains(&number) {
        return Err(Error::invalid_option(format!(
            "the saga `{saga}` has {number} steps; it needs 1 to {SAGA_STEPS_MAX}, each by `.step(name, function)`"
        )));
    }
    let mut names = HashSet::new();
    let mut pivot: Option<&Step<S>> = None;
    for stage in stages {
        group(saga, stage)?;
        for step in &stage.steps {
            if !names.insert(step.name.as_str()) {
                return Err(Error::new(
                    ErrorKind::DuplicateName,
                    format!(
                        "the saga `{saga}` has two steps named `{}`; name them apart",
                        step.name
                    ),
                ));
            }
            self::step(saga, step)?;
            if let Some(pivot) = pivot.filter(|_| step.back.is_some()) {
                return Err(Error::invalid_option(format!(
                    "the step `{}` of the saga `{saga}` comes behind the pivot `{}`, so it is never taken back; leave its compensation out",
                    step.name, pivot.name
                )));
            }
        }
        if stage.is_pivot {
            let step = stage.steps.first();
            if let (Some(first), Some(second)) = (pivot, step) {
                return Err(Error::invalid_option(format!(
                    "the saga `{saga}` has two pivots, `{}` and `{}`; the first one decides, make the other a step",
                    first.name, second.name
                )));
            }
            if let Some(step) = step.filter(|step| step.back.is_some()) {
                return Err(Error::invalid_option(format!(
                    "the step `{}` of the saga `{saga}` is its pivot, so it is never taken back; leave its compensation out",
                    step.name
                )));
            }
            pivot = step;
        }
    }
    Ok(())
}

fn group<S>(saga: &str, stage: &Stage<S>) -> Result<()> {
    let Some(name) = &stage.name else { return Ok(()) };
    named(saga, "parallel group", name)?;
    let number = stage.steps.len();
    if (1..=SAGA_PARALLEL_MAX).contains(&number) {
        return Ok(());
    }
    Err(Error::invalid_option(format!(
        "the parallel group `{name}` of the saga `{saga}` has 1 to {SAGA_PARALLEL_MAX} steps, not {number}"
    )))
}

fn step<S>(saga: &str, step: &Step<S>) -> Result<()> {
    named(saga, "step", &step.name)?;
    let name = &step.name;
    policy(&format!("the step `{name}` of the saga `{saga}`"), &step.policy)?;
    policy(
        &format!("the compensation of the step `{name}` of the saga `{saga}`"),
        &step.back_policy,
    )
}

fn named(saga: &str, what: &str, name: &str) -> Result<()> {
    let most = SAGA_STEP_NAME_BYTES_MAX;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=most).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::invalid_option(format!(
        "the name of a {what} of the saga `{saga}` is 1 to {most} letters, digits, `-` and `_`, not `{name}`"
    )))
}

fn policy(what: &str, policy: &Policy) -> Result<()> {
    if policy.timeout.is_some_and(|timeout| timeout.is_zero()) {
        let message = format!("{what} has a timeout of no time; leave it out, or give it some");
        return Err(Error::invalid_option(message));
    }
    policy.retry.check(what)
}
