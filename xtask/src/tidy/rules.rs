//! Code that may stand only in certain places.

use super::Problem;
use super::source::{Source, find_words};

/// Words of code, where they may stand, and what to write elsewhere.
struct Rule {
    words: &'static [&'static str],
    allowed: fn(&Source, usize) -> bool,
    instead: &'static str,
}

const RULES: [Rule; 7] = [
    Rule {
        words: &[
            "SystemTime::now",
            "OffsetDateTime::now_utc",
            "OffsetDateTime::now_local",
            "Utc::now",
            "Local::now",
        ],
        allowed: |source, _| {
            source.path == "crates/nexus-events-dispatch/src/clock.rs" || is_tool(source)
        },
        instead: "take the time from a `Clock` (nexus_events_dispatch)",
    },
    Rule {
        words: &[
            "env::var",
            "env::var_os",
            "env::vars",
            "env::args",
            "env::args_os",
            "TcpListener::bind",
            "UdpSocket::bind",
            "File::open",
            "std::fs",
            "tokio::fs",
        ],
        allowed: |source, line| {
            may_touch_the_machine(source)
                || source.is_test(line)
                || source.is_example()
                || is_tool(source)
        },
        instead: "take it as an argument; only nexus-events-server touches environment, files and sockets",
    },
    Rule { words: &["unsafe"], allowed: |_, _| false, instead: "write it without `unsafe`" },
    Rule {
        words: &[
            "std::sync::atomic",
            "core::sync::atomic",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::sync::Condvar",
            "parking_lot",
            "arc_swap",
            "crossbeam_queue",
        ],
        allowed: |source, line| {
            source.package() != "nexus-events-dispatch"
                || source.path.starts_with("crates/nexus-events-dispatch/src/sync")
                || source.is_test(line)
        },
        instead: "import it from `crate::sync`, the door for the model checker",
    },
    Rule {
        words: &["todo!", "unimplemented!", "dbg!"],
        allowed: |_, _| false,
        instead: "finish it or return an error",
    },
    Rule { words: &["#[ignore"], allowed: |_, _| false, instead: "let the test run, or delete it" },
    Rule {
        words: &["thread::sleep", "time::sleep"],
        allowed: |source, line| !source.is_test(line) || has_paused_time(source),
        instead: "wait for a signal, or pause tokio's time (`start_paused = true`)",
    },
];

const LINES_MAX: usize = 600;

/// Every line of Rust against every rule.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |line, word: &str, rule: &Rule| {
        let what = format!("`{word}` does not belong here: {}", rule.instead);
        problems.push(Problem::new(&source.path, line, what));
    };
    for rule in &RULES {
        for word in rule.words {
            let renamed = renamed(source, word);
            let lines = source
                .lines()
                .filter(|(_, code)| {
                    find_words(code, word).is_some()
                        || renamed.iter().any(|word| find_words(code, word).is_some())
                })
                .map(|(line, _)| line);
            let imports =
                source.imports.iter().filter(|import| find_words(&import.path, word).is_some());
            for line in lines
                .chain(imports.map(|import| import.line))
                .filter(|line| !(rule.allowed)(source, *line))
            {
                report(line, word, rule);
            }
        }
    }
    let lines = source.text.lines().count();
    if source.is_rust() && lines > LINES_MAX {
        let what = format!("{lines} lines, the most is {LINES_MAX}: split it by capability");
        problems.push(Problem::new(&source.path, LINES_MAX + 1, what));
    }
    problems
}

/// What this file may write instead: `T::now` after `use std::time::SystemTime as T`.
fn renamed(source: &Source, word: &str) -> Vec<String> {
    let mut renamed = Vec::new();
    for (at, _) in word.match_indices("::") {
        let (first, rest) = word.split_at(at);
        let tail = format!("::{first}");
        let meant = source.imports.iter().filter(|import| {
            import.name != first && (import.path == first || import.path.ends_with(&tail))
        });
        renamed.extend(meant.map(|import| format!("{}{rest}", import.name)));
    }
    renamed
}

/// The server is configured from outside; the store opens its own file, at a path it is given.
fn may_touch_the_machine(source: &Source) -> bool {
    matches!(source.package(), "nexus-events-server" | "nexus-events-store")
}

fn is_tool(source: &Source) -> bool {
    matches!(source.package(), "xtask" | "benches")
}

/// A paused clock moves by itself when everybody waits, so nothing sleeps.
fn has_paused_time(source: &Source) -> bool {
    source.code.contains("start_paused") || source.code.contains("time::pause(")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISPATCH: &str = "crates/nexus-events-dispatch/src/bus.rs";

    #[track_caller]
    fn check_lines(path: &str, text: &str, lines: &[usize]) {
        let mut found: Vec<usize> =
            check(&Source::new(path, text)).iter().map(|problem| problem.line).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, lines, "{path}: {text}");
    }

    #[test]
    fn the_clock_is_read_in_one_file() {
        let text = "fn now() {\n std::time::SystemTime::now();\n OffsetDateTime::now_utc() }";
        check_lines(DISPATCH, text, &[2, 3]);
        check_lines("crates/nexus-events/tests/it/main.rs", text, &[2, 3]);
        check_lines("crates/nexus-events-dispatch/src/clock.rs", text, &[]);
        check_lines("xtask/src/bench.rs", text, &[]);
    }

    #[test]
    fn a_new_name_hides_nothing() {
        check_lines(DISPATCH, "use std::time::SystemTime as T;\nfn a() { T::now() }", &[2]);
        check_lines(DISPATCH, "use std::{env as e, time::SystemTime as T};\ne::var(T)", &[2]);
        check_lines(DISPATCH, "use std as s;\ns::sync::Mutex::new(a)", &[2]);
        check_lines(DISPATCH, "use tokio::time::Instant as T;\nfn a() { T::now() }", &[]);
    }

    #[test]
    fn only_the_server_touches_the_machine() {
        let text = "use std::{env, fs};\nfn a() { env::var(b) }\nfn c() { TcpListener::bind(d) }\n#[cfg(test)]\nmod e { use std::fs; }";
        check_lines("crates/nexus-events-stream/src/route.rs", text, &[1, 2, 3]);
        let calls = "env::args()\nenv::var_os(a)\nenv::vars()\nenv::args_os()\nUdpSocket::bind(b)\nFile::open(c)\ntokio::fs::read(d)";
        check_lines("crates/nexus-events-stream/src/route.rs", calls, &[1, 2, 3, 4, 5, 6, 7]);
        check_lines("crates/nexus-events-server/src/main.rs", text, &[]);
        check_lines("crates/nexus-events/examples/a.rs", text, &[]);
        check_lines("crates/nexus-events-stream/tests/it/main.rs", text, &[]);
    }

    #[test]
    fn unsafe_is_nowhere_but_in_words() {
        check_lines("xtask/src/a.rs", "unsafe { a() }", &[1]);
        check_lines(
            "xtask/src/a.rs",
            "// unsafe\n#![forbid(unsafe_code)]\nlet a = \"unsafe\";",
            &[],
        );
    }

    #[test]
    fn dispatch_takes_locks_from_its_door() {
        let text = "use std::sync::{Arc, Mutex};\nuse parking_lot::RwLock;\nlet a: std::sync::atomic::AtomicU64;";
        check_lines(DISPATCH, text, &[1, 2, 3]);
        let more = "std::sync::RwLock\nstd::sync::Condvar\narc_swap::ArcSwap\ncrossbeam_queue::ArrayQueue\ncore::sync::atomic::fence";
        check_lines(DISPATCH, more, &[1, 2, 3, 4, 5]);
        check_lines("crates/nexus-events-dispatch/src/sync/real.rs", text, &[]);
        check_lines("crates/nexus-events-stream/src/client.rs", text, &[]);
        check_lines(DISPATCH, "use std::sync::{Arc, OnceLock};", &[]);
    }

    #[test]
    fn nothing_is_left_for_later() {
        check_lines(
            DISPATCH,
            "fn a() { todo!() }\nfn b() { dbg!(1) }\n#[ignore = \"slow\"]\nfn c() {}",
            &[1, 2, 3],
        );
        check_lines(DISPATCH, "/// todo!()\nfn ignore() {}", &[]);
    }

    #[test]
    fn tests_do_not_sleep() {
        let test = "#[cfg(test)]\nmod tests {\n fn a() { std::thread::sleep(b) }\n}";
        check_lines(DISPATCH, test, &[3]);
        check_lines(DISPATCH, "fn a() { tokio::time::sleep(b) }", &[]);
        check_lines("crates/a/tests/it/a.rs", "tokio::time::sleep(b)", &[1]);
        check_lines(
            "crates/a/tests/it/a.rs",
            "#[tokio::test(start_paused = true)]\ntokio::time::sleep(b)",
            &[],
        );
    }

    #[test]
    fn long_files_are_reported() {
        check_lines(DISPATCH, &"\n".repeat(LINES_MAX + 1), &[LINES_MAX + 1]);
        check_lines(DISPATCH, &"\n".repeat(LINES_MAX), &[]);
    }
}
