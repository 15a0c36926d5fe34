//! Types of other people's crates stay out of our public signatures, so that those crates can be
//! replaced without breaking anybody.

use super::source::{Source, find_words};
use super::{Problem, items};

const FOREIGN: [&str; 13] = [
    "arc_swap",
    "async_nats",
    "bytes",
    "crossbeam_queue",
    "dashmap",
    "hyper",
    "jsonschema",
    "lettre",
    "parking_lot",
    "redb",
    "regex",
    "reqwest",
    "tokio_tungstenite",
];

/// Every public signature of the libraries.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    if !source.is_library()
        || source.package() == "nexus-events-server" && source.path.ends_with("main.rs")
    {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for item in items::public(source) {
        for name in names_in(&item.signature, source) {
            let what = format!(
                "`{name}` shows in a public signature: wrap it in a type of ours, or make the item pub(crate)"
            );
            problems.push(Problem::new(&source.path, item.line, what));
        }
    }
    problems
}

/// The foreign paths that a signature names, in full or through an import.
fn names_in(signature: &str, source: &Source) -> Vec<String> {
    // A `use` is its imports, name by name.
    let crates =
        FOREIGN.iter().copied().chain(["axum"]).filter(|_| !signature.starts_with("pub use "));
    let full = crates.filter_map(|crate_name| path_in(signature, crate_name));
    let imported = source
        .imports
        .iter()
        .filter(|import| !import.name.is_empty() && find_words(signature, &import.name).is_some());
    let all = full.chain(imported.map(|import| import.path.clone()));
    all.filter(|path| is_refused(path, source.package())).collect()
}

/// `redb::Database` in `fn a() -> redb::Database`.
fn path_in(signature: &str, crate_name: &str) -> Option<String> {
    let start = find_words(signature, &format!("{crate_name}::"))?;
    // `crate::regex::X` is ours.
    if signature[..start].ends_with(':') && !signature[..start].ends_with(" ::") {
        return None;
    }
    let path = &signature[start..];
    let end =
        path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(path.len());
    Some(path[..end].to_owned())
}

fn is_refused(path: &str, package: &str) -> bool {
    match path.split("::").next() {
        Some("axum") => {
            !(matches!(package, "nexus-events-stream" | "nexus-events-server")
                && path.ends_with("::Router"))
        }
        Some(name) => FOREIGN.contains(&name),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(path: &str, text: &str, named: &[&str]) {
        let found = check(&Source::new(path, text));
        let names: Vec<&str> =
            found.iter().map(|problem| problem.what.split('`').nth(1).unwrap()).collect();
        assert_eq!(names, named, "{text}");
    }

    #[test]
    fn foreign_paths_are_refused_in_public_items_only() {
        let path = "crates/nexus-events-store/src/log.rs";
        check_text(path, "pub fn open() -> redb::Database {\n", &["redb::Database"]);
        check_text(path, "pub struct A(pub ::redb::Database);", &["redb::Database"]);
        check_text(path, "pub type A = redb::Database;", &["redb::Database"]);
        check_text(path, "pub use redb::{Database, Table};", &["redb::Database", "redb::Table"]);
        check_text(path, "pub(crate) fn open() -> redb::Database { let a: redb::Table; }", &[]);
        check_text(path, "pub fn matches(&self, regex: &crate::regex::Regex) {", &[]);
        check_text("xtask/src/a.rs", "pub fn open() -> redb::Database {", &[]);
    }

    #[test]
    fn an_import_hides_nothing() {
        let path = "crates/nexus-events-store/src/log.rs";
        check_text(
            path,
            "use redb::Database as Base;\npub fn open(base: Base) {",
            &["redb::Database"],
        );
        check_text(path, "use redb::Database;\npub fn open(a: DatabaseOptions) {", &[]);
        check_text(path, "use serde_json::Value;\npub fn open(a: Value) {", &[]);
    }

    #[test]
    fn only_the_router_of_axum_shows_and_only_where_there_are_routes() {
        let text = "use axum::Router;\npub fn routes() -> Router {";
        check_text("crates/nexus-events-stream/src/route.rs", text, &[]);
        check_text("crates/nexus-events-dispatch/src/bus.rs", text, &["axum::Router"]);
        let text = "pub fn answer() -> axum::response::Response {";
        check_text("crates/nexus-events-stream/src/route.rs", text, &["axum::response::Response"]);
    }
}
