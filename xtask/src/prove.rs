//! `prove`: crashes, damage and failing disks, far more of them than every run of the tests has.
//!
//! The harnesses are tests of the store and of the facade. What they counted becomes a part of `docs/reliability.md`.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::{Usage, repo, shell, unknown_argument};

/// A scenario, the test that runs it, its part of the time in percent, what it shows. Those of the
/// store have seeds.
type Scenario = (&'static str, &'static str, u64, &'static str);

const SCENARIOS: [Scenario; 9] = [
    (
        "power",
        "d02::d02_nothing_answered_is_lost_when_the_power_goes",
        36,
        "the power goes or the process is killed at the calls of random programs, again while the store opens after that, up to four times in a row",
    ),
    (
        "commit",
        "d06::d06_all_of_a_commit_is_there_or_nothing",
        4,
        "10 events, a state, a cursor and 2 outbox entries of one commit: a crash at each of its calls",
    ),
    (
        "tail",
        "d05::d05_what_was_never_answered_is_cut_off_and_the_rest_opens",
        4,
        "noise where a commit was being written",
    ),
    (
        "block",
        "blocks::d02_a_crash_where_lookups_are_written_down_loses_nothing",
        4,
        "a crash where a block of lookups, idempotency keys and versions of keys is written down, and at the trim after it",
    ),
    (
        "faults",
        "d07::d07_each_call_fails_and_what_was_answered_is_there",
        14,
        "each call to the disk fails, once or for good; then a loss of power",
    ),
    (
        "damage",
        "d03::d03_damage_is_an_error_and_never_another_event",
        8,
        "a flipped bit, swapped pages, a zeroed sector, an early end of the file",
    ),
    (
        "kill",
        "d01::d01_a_killed_process_has_lost_nothing_that_was_answered",
        20,
        "a process with 64 publishers on a real file is killed 5 to 50 ms after its first answer",
    ),
    (
        "reference",
        "reference::it_does_what_the_reference_does",
        8,
        "the same random program of 60 steps with the store and with the reference in memory",
    ),
    (
        SAGAS,
        "parent::every_saga_ends_and_every_effect_is_there_once",
        2,
        "a process with 2,000 sagas of steps on a real file is killed every 100 ms for 30 s; every saga ends, every effect is there once",
    ),
];

/// It takes 30 s whatever it is given.
const SAGAS: &str = "sagas";

/// How many times as many seeds as the tests have.
const TIMES: u64 = 20;

const PAGE: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- proved: made by `cargo xtask prove` -->";
const END: &str = "<!-- proved: end -->";

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Times(u64),
    Minutes(u64),
    Replay(&'static str, u64),
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let wanted = parse(args)?;
    if let Wanted::Replay(scenario, seed) = wanted {
        return replay(scenario, seed);
    }
    let mut rows = String::new();
    for scenario in &SCENARIOS {
        let (name, _, part, what) = scenario;
        let mut cargo = cargo(scenario);
        match wanted {
            Wanted::Minutes(minutes) => {
                let seconds = (minutes * 60 * part / 100).max(1);
                cargo.env("NEXUS_PROVE_SECONDS", seconds.to_string())
            }
            Wanted::Times(times) => cargo.env("NEXUS_PROVE_TIMES", times.to_string()),
            Wanted::Replay(..) => &mut cargo,
        };
        println!("$ {}", shell::line(&cargo));
        let said = shell::capture(&mut cargo)?;
        let proved = said.lines().find_map(|line| proved(line, name));
        let proved = proved.with_context(|| format!("`{name}` has not said what it proved"))?;
        println!("{name}: {proved}");
        let _ = writeln!(rows, "| `{name}` | {what} | {proved} |");
    }
    write(&rows)
}

fn replay(scenario: &str, seed: u64) -> Result<()> {
    let known = SCENARIOS.iter().find(|(name, ..)| *name == scenario);
    let mut cargo = cargo(known.context("there is no such scenario")?);
    cargo.env("NEXUS_PROVE_SEED", format!("{scenario}:{seed}"));
    println!("$ {}", shell::line(&cargo));
    shell::run(&mut cargo)
}

fn cargo((name, test, ..): &Scenario) -> Command {
    let place: &[&str] = match *name {
        SAGAS => &["nexus-events", "--features", "store", "--test", "killed_sagas"],
        _ => &["nexus-events-store", "--test", "crash"],
    };
    let mut cargo = shell::cargo();
    cargo.args(["test", "--quiet", "--release", "--package"]).args(place);
    cargo.args(["--", "--nocapture", "--exact", test]);
    cargo
}

fn parse(args: &[String]) -> Result<Wanted> {
    let number = |value: Option<&String>| {
        let number = value.and_then(|value| value.parse().ok()).filter(|number| *number > 0);
        number.ok_or_else(|| Usage("a number above 0 has to follow".to_owned()))
    };
    let wanted = match args.first().map(String::as_str) {
        None => return Ok(Wanted::Times(TIMES)),
        Some("--times") => Wanted::Times(number(args.get(1))?),
        Some("--minutes") => Wanted::Minutes(number(args.get(1))?),
        Some("--replay") => {
            let value = args.get(1).and_then(|value| value.split_once(':'));
            let scenario = value.and_then(|(name, seed)| {
                let known = SCENARIOS.iter().find(|(known, ..)| *known == name && name != SAGAS)?;
                Some((known.0, seed.parse().ok()?))
            });
            let names = SCENARIOS.map(|(name, ..)| name);
            let names =
                names.into_iter().filter(|name| *name != SAGAS).collect::<Vec<_>>().join(", ");
            let (name, seed) = scenario.ok_or_else(|| {
                Usage(format!("SCENARIO:SEED has to follow, with one of {names}, as in power:112"))
            })?;
            Wanted::Replay(name, seed)
        }
        Some(argument) => return Err(unknown_argument(argument)),
    };
    match args.get(2) {
        None => Ok(wanted),
        Some(argument) => Err(unknown_argument(argument)),
    }
}

/// What a harness says when it is done: `proved power: 420 seeds, 54896 crash points in 55.7 s`.
fn proved(line: &str, scenario: &str) -> Option<String> {
    let (_, said) = line.split_once(&format!("proved {scenario}: "))?;
    Some(said.to_owned())
}

/// Puts the table where the last one is.
fn write(rows: &str) -> Result<()> {
    let path = repo::root()?.join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    let commit = repo::git(&["rev-parse", "--short=12", "HEAD"])?;
    let changes =
        if repo::git(&["status", "--porcelain"])?.is_empty() { "" } else { " with changes" };
    let days = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
    let (date, commit) = (date(days), commit.trim());
    let part = format!(
        "{date}, commit {commit}{changes}. No seed failed.\n\n| Scenario | What happens | What was tried |\n|---|---|---|\n{rows}"
    );
    std::fs::write(&path, replaced(&page, &part)?)
        .with_context(|| format!("cannot write {PAGE}"))?;
    println!("written to {PAGE}");
    Ok(())
}

fn replaced(page: &str, part: &str) -> Result<String> {
    let around = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = around else { bail!("{PAGE} has no `{BEGIN}` and `{END}`") };
    Ok(format!("{before}{BEGIN}\n\n{part}\n{END}{after}"))
}

/// The date this many days after the first of January 1970.
fn date(days: u64) -> String {
    // Years begin in March here, so that a leap day is the last of one.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month < 3);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Wanted> {
        parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_say_how_much_or_which_seed() {
        assert_eq!(parsed(&[]).unwrap(), Wanted::Times(TIMES));
        assert_eq!(parsed(&["--times", "3"]).unwrap(), Wanted::Times(3));
        assert_eq!(parsed(&["--minutes", "10"]).unwrap(), Wanted::Minutes(10));
        assert_eq!(parsed(&["--replay", "power:112"]).unwrap(), Wanted::Replay("power", 112));
        let wrong: [&[&str]; 6] = [
            &["--times"],
            &["--times", "0"],
            &["--minutes", "ten"],
            &["--replay", "powder:1"],
            &["--replay", "power"],
            &["--times", "3", "more"],
        ];
        for wrong in wrong {
            assert!(parsed(wrong).unwrap_err().is::<Usage>(), "{wrong:?}");
        }
    }

    #[test]
    fn what_was_proved_is_read_from_its_line() {
        let line = "test d02 ... proved power: 420 seeds, 54896 crash points in 55.7 s";
        assert_eq!(proved(line, "power").unwrap(), "420 seeds, 54896 crash points in 55.7 s");
        assert_eq!(proved(line, "kill"), None);
    }

    #[test]
    fn the_table_stands_where_the_last_one_was() {
        let page = format!("# Page\n\n{BEGIN}\nold\n{END}\n\nMore.\n");
        let page = replaced(&page, "new").unwrap();
        assert_eq!(page, format!("# Page\n\n{BEGIN}\n\nnew\n{END}\n\nMore.\n"));
        assert!(replaced("# Page", "new").is_err());
    }

    #[test]
    fn days_become_a_date() {
        let dates =
            [(0, "1970-01-01"), (59, "1970-03-01"), (19_782, "2024-02-29"), (20_454, "2026-01-01")];
        for (days, expected) in dates {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn the_parts_of_the_time_are_all_of_it() {
        assert_eq!(SCENARIOS.iter().map(|(_, _, part, _)| part).sum::<u64>(), 100);
    }
}
