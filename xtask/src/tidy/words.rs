//! One word per concept: public names use the vocabulary of `docs/vocabulary.md`.
//!
//! `xtask/tidy-allow.txt` lists the names that stay although they use another word, and why.

use super::source::Source;
use super::{Problem, items};

const ALLOWED: &str = "xtask/tidy-allow.txt";

/// A word that is not ours, and ours. Words with an honest second meaning are left to the reader.
const WORDS: [(&str, &str); 29] = [
    ("adapter", "transport"),
    ("alarm", "trigger"),
    ("automation", "trigger"),
    ("bookmark", "cursor"),
    ("broker", "transport"),
    ("callback", "handler"),
    ("connector", "transport"),
    ("decorator", "layer"),
    ("emit", "publish"),
    ("emitter", "publisher"),
    ("glob", "pattern"),
    ("hook", "layer"),
    ("hub", "streamer"),
    ("interceptor", "layer"),
    ("job", "workflow"),
    ("journal", "log"),
    ("lagging", "slow"),
    ("laggard", "slow client"),
    ("listener", "handler"),
    ("middleware", "layer"),
    ("nak", "nack"),
    ("observer", "handler"),
    ("poison", "dead letter"),
    ("predicate", "filter"),
    ("rollup", "aggregate"),
    ("severity", "priority"),
    ("subscriber", "handler"),
    ("topic", "event type"),
    ("urgency", "priority"),
];

/// Every public name of the libraries, and every line of the list of exceptions.
pub(super) fn check(sources: &[Source]) -> Vec<Problem> {
    let list = sources
        .iter()
        .find(|source| source.path == ALLOWED)
        .map_or("", |source| source.text.as_str());
    let mut allowed = Allowed::parse(list);
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| source.is_library()) {
        for item in items::public(source) {
            let Some((word, ours)) = wrong_word(&item.name) else { continue };
            if !allowed.take(&source.path, &item.name) && !is_documented_alias(source, word) {
                let what = format!("public name `{}` says {word}, our word is {ours}", item.name);
                problems.push(Problem::new(&source.path, item.line, what));
            }
        }
    }
    problems.extend(allowed.problems());
    problems
}

fn wrong_word(name: &str) -> Option<(&'static str, &'static str)> {
    let words = split(name);
    WORDS.into_iter().find(|(word, _)| {
        words.iter().any(|part| part == word || part.strip_suffix('s') == Some(word))
    })
}

/// Plugins and tests written for the reference documents say `emit`.
fn is_documented_alias(source: &Source, word: &str) -> bool {
    let plugin = source.path == "crates/nexus-events-dispatch/src/plugin.rs";
    word == "emit" && (plugin || source.package() == "nexus-events-test")
}

/// `EventListener`, `event_listener` and `EVENT_LISTENER` into `event`, `listener`.
fn split(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = c.is_lowercase();
        if c != '_' {
            words.last_mut().expect("starts with one").extend(c.to_lowercase());
        }
    }
    words
}

/// `path name: reason` per line, `#` for comments.
struct Allowed<'a> {
    entries: Vec<Entry<'a>>,
    problems: Vec<Problem>,
}

struct Entry<'a> {
    line: usize,
    path: &'a str,
    name: &'a str,
    used: bool,
}

impl<'a> Allowed<'a> {
    fn parse(list: &'a str) -> Self {
        let mut parsed = Self { entries: Vec::new(), problems: Vec::new() };
        for (index, text) in list
            .lines()
            .enumerate()
            .filter(|(_, text)| !text.trim().is_empty() && !text.starts_with('#'))
        {
            let line = index + 1;
            let entry = text.split_once(':').filter(|(_, reason)| !reason.trim().is_empty());
            match entry.and_then(|(item, _)| item.trim().split_once(' ')) {
                Some((path, name)) => parsed.entries.push(Entry { line, path, name, used: false }),
                None => parsed.problems.push(Problem::new(
                    ALLOWED,
                    line,
                    "not understood: write `path name: reason`",
                )),
            }
        }
        parsed
    }

    fn take(&mut self, path: &str, name: &str) -> bool {
        let mut matching =
            self.entries.iter_mut().filter(|entry| entry.path == path && entry.name == name);
        matching.next().map(|entry| entry.used = true).is_some()
    }

    fn problems(self) -> impl Iterator<Item = Problem> {
        let unused = self.entries.into_iter().filter(|entry| !entry.used);
        let unused = unused.map(|entry| {
            Problem::new(
                ALLOWED,
                entry.line,
                format!("{} is no longer needed: delete the line", entry.name),
            )
        });
        self.problems.into_iter().chain(unused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/nexus-events-dispatch/src/bus.rs";

    #[track_caller]
    fn check_names(path: &str, code: &str, list: &str, expected: &[&str]) {
        let found = check(&[Source::new(path, code), Source::new(ALLOWED, list)]);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (problem, part) in found.iter().zip(expected) {
            assert!(problem.what.contains(part), "{problem} lacks {part}");
        }
    }

    #[test]
    fn names_fall_into_words() {
        for name in ["EventListener", "event_listener", "EVENT_LISTENER"] {
            assert_eq!(split(name), ["event", "listener"]);
        }
        assert_eq!(split("webhook_url"), ["webhook", "url"]);
    }

    #[test]
    fn other_words_are_reported_with_ours() {
        check_names(
            PATH,
            "pub struct EventListener;\npub fn topics() {}",
            "",
            &["our word is handler", "our word is event type"],
        );
        check_names(
            PATH,
            "pub struct Webhook;\npub fn global() {}\npub(crate) fn topic() {}\n// pub fn hub() {}",
            "",
            &[],
        );
        check_names("crates/a/tests/it/main.rs", "pub fn topic() {}", "", &[]);
    }

    #[test]
    fn the_documented_alias_stays() {
        check_names("crates/nexus-events-test/src/bus.rs", "pub async fn emit() {}", "", &[]);
        check_names("crates/nexus-events-dispatch/src/plugin.rs", "pub fn emit() {}", "", &[]);
        check_names(PATH, "pub fn emit() {}", "", &["publish"]);
    }

    #[test]
    fn exceptions_need_a_reason_and_a_use() {
        let entry = format!("{PATH} topic: the wire says so\n");
        check_names(PATH, "pub fn topic() {}", &format!("# exceptions\n\n{entry}"), &[]);
        check_names(PATH, "", &entry, &["no longer needed"]);
        check_names(PATH, "", &format!("{PATH} topic:\n"), &["path name: reason"]);
    }
}
