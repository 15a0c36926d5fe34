//! What Linux says about another process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Linux shows times in hundredths of a second on every machine.
const STAT_TICK: Duration = Duration::from_millis(10);

/// A field of `/proc/PID/status` that is a size, such as `VmRSS`; in KiB.
pub(crate) fn memory_kib(pid: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).with_context(|| format!("no {field}"))
}

/// Makes `VmHWM`, the most there was, start again from what there is.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the peak cannot be reset")
}

/// Processor time used so far.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may have spaces.
    let (_, fields) = stat.rsplit_once(") ").context("no stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
    Ok(STAT_TICK * ticks.sum::<Result<u32, _>>()?)
}
