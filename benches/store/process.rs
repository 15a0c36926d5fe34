//! What the system says of processes, and of the machine.

use std::fs;

/// Bytes that a process has given to the system to write, and bytes that it has made the system
/// write to a disk, which are whole pages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Io {
    pub(crate) written: u64,
    pub(crate) to_disk: u64,
}

impl Io {
    pub(crate) fn of(process: Option<u32>) -> Self {
        let process = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
        let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
        let field = |name: &str| number(&text, name);
        Self { written: field("wchar:"), to_disk: field("write_bytes:") }
    }
}

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

/// The most memory this process has had, in bytes.
pub(crate) fn peak_memory() -> u64 {
    1024 * number(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:")
}

/// Processor time, in hundredths of a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Busy {
    machine: u64,
    /// This process, and its children that have ended.
    ours: u64,
    uptime: f64,
}

impl Busy {
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let sum = |text: &str, which: &[usize]| -> u64 {
            let field = |at: &usize| text.split_whitespace().nth(*at)?.parse::<u64>().ok();
            which.iter().filter_map(field).sum()
        };
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let uptime = uptime.split_whitespace().next().and_then(|field| field.parse().ok());
        Self {
            // user, nice, system, irq, softirq, steal, behind the word `cpu`
            machine: sum(stat.lines().next().unwrap_or_default(), &[1, 2, 3, 6, 7, 8]),
            // utime, stime, cutime, cstime; fields are counted behind the name
            ours: sum(own.rsplit_once(')').map_or("", |(_, rest)| rest), &[11, 12, 13, 14]),
            uptime: uptime.unwrap_or_default(),
        }
    }

    /// How many cores others have used since, on average.
    pub(crate) fn others_since(self, before: Self) -> f64 {
        let all = self.machine.saturating_sub(before.machine);
        let ours = self.ours.saturating_sub(before.ours);
        all.saturating_sub(ours) as f64 / 100.0 / (self.uptime - before.uptime).max(0.01)
    }
}
