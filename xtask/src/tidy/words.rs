//! One word per concept: public names use the vocabulary of `docs/vocabulary.md`.
//!
//! Checked are the names of public items, fields, enum variants and their fields, and the items of
//! public traits; parameters are not. A plural counts as its word. `xtask/tidy-allow.txt` lists the
//! names that stay although they use another word, and why.
//!
//! Left to the reader, because they have an honest second meaning in Rust, HTTP or here: abort,
//! backend, body, bucket, buffer, channel, checkpoint, child, commit, component, consumer, content,
//! data, deliver, dispatch, extension, group, header, index, level, log, message, module, origin,
//! part, query, queue, receipt, record, reply, response, route, rule, send, sender, signal, stage,
//! stream, task, token, trace id.

use super::allowed::Allowed;
use super::source::Source;
use super::{Problem, items};

/// Words that are not ours, and ours.
const WORDS: [(&str, &str); 64] = [
    ("actor", "principal"),
    ("adapter", "transport"),
    ("alarm", "trigger"),
    ("automation", "trigger"),
    ("binding", "subscription"),
    ("bookmark", "cursor"),
    ("broker", "transport"),
    ("callback", "handler"),
    ("channel name", "event type"),
    ("competing consumer", "consumer group"),
    ("connection manager", "streamer"),
    ("connector", "transport"),
    ("conversation", "correlation id"),
    ("debounce", "session"),
    ("decorator", "layer"),
    ("emit", "publish"),
    ("emitter", "publisher"),
    ("error queue", "dead letter"),
    ("fire", "publish"),
    ("glob", "pattern"),
    ("hook", "layer"),
    ("hopping", "sliding"),
    ("hub", "streamer"),
    ("interceptor", "layer"),
    ("interest", "subscription"),
    ("job", "workflow"),
    ("journal", "log"),
    ("laggard", "slow client"),
    ("lagging", "slow"),
    ("listener", "handler"),
    ("mask", "pattern"),
    ("middleware", "layer"),
    ("nak", "nack"),
    ("nested event", "follow-up"),
    ("observer", "handler"),
    ("parent id", "causation id"),
    ("poison", "dead letter"),
    ("predicate", "filter"),
    ("process manager", "saga"),
    ("queue group", "consumer group"),
    ("raise", "publish"),
    ("rank", "handler priority"),
    ("registration", "subscription"),
    ("rollback", "compensation"),
    ("rollup", "aggregate"),
    ("routing key", "event type"),
    ("rpc", "request"),
    ("selector", "filter"),
    ("sequence number", "offset"),
    ("settle", "ack"),
    ("severity", "priority"),
    ("shared subscription", "consumer group"),
    ("stop propagation", "cancel"),
    ("subject", "event type"),
    ("subscriber", "handler"),
    ("ticket", "receipt"),
    ("topic", "event type"),
    ("undo", "compensation"),
    ("unique id", "idempotency key"),
    ("urgency", "priority"),
    ("veto", "cancel"),
    ("weight", "handler priority"),
    ("where clause", "filter"),
    ("wrapper", "envelope"),
];

/// Every public name of the libraries.
pub(super) fn check(sources: &[Source], allowed: &mut Allowed<'_>) -> Vec<Problem> {
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
    problems
}

fn wrong_word(name: &str) -> Option<(&'static str, &'static str)> {
    let name = format!(" {} ", split(name).join(" "));
    WORDS.into_iter().find(|(word, _)| {
        name.contains(&format!(" {word} ")) || name.contains(&format!(" {word}s "))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/nexus-events-dispatch/src/bus.rs";

    #[track_caller]
    fn check_names(path: &str, code: &str, list: &str, expected: &[&str]) {
        let found = check(&[Source::new(path, code)], &mut Allowed::parse(list));
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
    fn an_exception_lets_its_name_stay() {
        check_names(PATH, "pub fn topic() {}", &format!("{PATH} topic: the wire says so"), &[]);
    }

    #[test]
    fn variants_fields_and_trait_methods_count() {
        check_names(PATH, "pub enum Abc { Subject }", "", &["event type"]);
        check_names(PATH, "pub enum Abc { A { mask: u8 } }", "", &["pattern"]);
        check_names(PATH, "pub trait Abc {\n fn listener(&self);\n}", "", &["handler"]);
        check_names(PATH, "pub struct Abc {\n pub selectors: u8,\n}", "", &["filter"]);
        check_names(
            PATH,
            "enum Abc { Subject }\ntrait B { fn hub(); }\nfn c(topic: u8) {}",
            "",
            &[],
        );
        check_names(PATH, "pub fn abc(topic: u8) {}", "", &[]);
    }

    #[test]
    fn several_words_count_together() {
        check_names(
            PATH,
            "pub fn with_routing_key() {}\npub struct RoutingKeys;",
            "",
            &["event type"; 2],
        );
        check_names(PATH, "pub fn routing() {}\npub fn key() {}", "", &[]);
    }
}
