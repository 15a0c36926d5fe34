//! Types of other people's crates stay out of our public signatures, so that those crates can be
//! replaced without breaking anybody.
//!
//! Every dependency is foreign but the few that are part of our interface.

use super::allowed::Allowed;
use super::packages::Package;
use super::source::{Import, Source, find_words};
use super::{Problem, items, members};

/// What anybody may see; beside it our own crates, and axum's `Router` where there are routes.
const SHOWN: [&str; 4] = ["serde", "serde_json", "time", "uuid"];

/// Every public signature of the libraries.
pub(super) fn check(
    sources: &[Source],
    packages: &[Package],
    allowed: &mut Allowed<'_>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in packages {
        let foreign: Vec<&str> = foreign_of(package).collect();
        let library = || {
            sources.iter().filter(|source| {
                source.is_library() && source.is_rust() && source.package() == package.name
            })
        };
        let public: Vec<String> = library().flat_map(items::public).map(|item| item.name).collect();
        for source in library() {
            check_source(source, &foreign, &public, allowed, &mut problems);
        }
    }
    problems
}

fn foreign_of(package: &Package) -> impl Iterator<Item = &str> {
    let names = package.dependencies.iter().filter(|dependency| !dependency.dev);
    let names = names.map(|dependency| dependency.code_name.as_str());
    names.filter(|name| !SHOWN.contains(name) && !name.starts_with("nexus_events"))
}

fn check_source(
    source: &Source,
    foreign: &[&str],
    public: &[String],
    allowed: &mut Allowed<'_>,
    problems: &mut Vec<Problem>,
) {
    let mut report = |line, name: &str, what: &str| {
        if !allowed.take(&source.path, name) {
            problems.push(Problem::new(&source.path, line, format!("`{name}` {what}")));
        }
    };
    let shown = items::public(source).into_iter().chain(members::implementations(source, public));
    for item in shown {
        for name in names_in(&item.signature, source, foreign) {
            let what = "shows in a public signature: wrap it in a type of ours, or make the item pub(crate)";
            report(item.line, &name, what);
        }
    }
    let everything = |import: &&Import| import.name == "*" && is_foreign(&import.path, foreign);
    for import in source.imports.iter().filter(everything) {
        if !source.is_test(import.line) {
            report(import.line, &import.path, "hides which names are foreign: import them by name");
        }
    }
}

/// The foreign paths that a signature names, in full or through an import.
fn names_in(signature: &str, source: &Source, foreign: &[&str]) -> Vec<String> {
    // A `use` is its imports, name by name.
    let is_use = signature.starts_with("pub use ");
    let full = foreign.iter().filter(|_| !is_use).flat_map(|name| paths_in(signature, name));
    let imported = source.imports.iter().filter(|import| is_named(signature, &import.name, is_use));
    let all = full.chain(imported.map(|import| import.path.clone()));
    all.filter(|path| is_foreign(path, foreign) && !is_router(path, source.package())).collect()
}

/// Whether an imported name is meant: `Instant` or `time::…`, but not `other::Instant` and not the
/// parameter `time`.
fn is_named(signature: &str, name: &str, is_use: bool) -> bool {
    if is_use {
        return find_words(signature, name).is_some();
    }
    let module = name.starts_with(char::is_lowercase);
    let wanted = if module { format!("{name}::") } else { name.to_owned() };
    !name.is_empty() && name != "*" && places(signature, &wanted).next().is_some()
}

/// Where a path starts that begins with these words.
fn places<'a>(signature: &'a str, words: &'a str) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    let all = std::iter::from_fn(move || {
        let at = from + find_words(&signature[from..], words)?;
        from = at + words.len();
        Some(at)
    });
    // `crate::regex::X` is ours; `-> ::regex::X` is not.
    all.filter(|at| {
        let before = signature[..*at].strip_suffix("::");
        before.is_none_or(|before| {
            !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>')
        })
    })
}

/// `redb::Database` in `fn a() -> redb::Database`.
fn paths_in(signature: &str, crate_name: &str) -> Vec<String> {
    let start = format!("{crate_name}::");
    let path = |at: usize| {
        let path = &signature[at..];
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        path[..end.unwrap_or(path.len())].to_owned()
    };
    places(signature, &start).map(path).collect()
}

fn is_foreign(path: &str, foreign: &[&str]) -> bool {
    path.split("::").next().is_some_and(|name| foreign.contains(&name))
}

fn is_router(path: &str, package: &str) -> bool {
    path == "axum::Router" && matches!(package, "nexus-events-stream" | "nexus-events-server")
}

#[cfg(test)]
mod tests {
    use super::super::packages::Dependency;
    use super::*;

    #[track_caller]
    fn check_text(path: &str, text: &str, named: &[&str]) {
        let dependency = |name: &str| Dependency {
            name: name.to_owned(),
            code_name: name.replace('-', "_"),
            dev: name == "criterion",
        };
        let source = Source::new(path, text);
        let names =
            ["redb", "regex", "tokio", "axum", "serde_json", "nexus-events-model", "criterion"];
        let package = Package {
            name: source.package().to_owned(),
            dependencies: names.map(dependency).into(),
            ..Package::default()
        };
        let found = check(
            &[source],
            &[package],
            &mut Allowed::parse("crates/a/src/lib.rs regex::Regex: needed"),
        );
        let names: Vec<&str> =
            found.iter().map(|problem| problem.what.split('`').nth(1).unwrap()).collect();
        assert_eq!(names, named, "{text}");
    }

    const LOG: &str = "crates/nexus-events-store/src/log.rs";

    #[test]
    fn foreign_paths_are_refused_in_public_items_only() {
        check_text(LOG, "pub fn open() -> redb::Database {\n", &["redb::Database"]);
        check_text(LOG, "pub struct A(pub ::redb::Database);", &["redb::Database"]);
        check_text(LOG, "pub type A = redb::Database;", &["redb::Database"]);
        check_text(LOG, "pub use redb::{Database, Table};", &["redb::Database", "redb::Table"]);
        check_text(LOG, "pub(crate) fn open() -> redb::Database { let a: redb::Table; }", &[]);
        check_text(LOG, "pub fn matches(&self, regex: &crate::regex::Regex) {", &[]);
        check_text("xtask/src/a.rs", "pub fn open() -> redb::Database {", &[]);
        check_text("crates/a/src/lib.rs", "pub fn a(_: regex::Regex) {", &[]);
    }

    #[test]
    fn fields_variants_trait_methods_and_headers_count() {
        let refused = &["tokio::time::Instant"];
        check_text(LOG, "pub struct A { pub at: tokio::time::Instant }", refused);
        check_text(LOG, "pub enum A { At(tokio::time::Instant) }", refused);
        check_text(LOG, "pub enum A { At { at: tokio::time::Instant } }", &[refused[0]; 2]);
        check_text(LOG, "pub trait A { fn at(&self) -> tokio::time::Instant; }", refused);
        check_text(LOG, "pub struct A;\nimpl From<tokio::time::Instant> for A {}", refused);
        check_text(LOG, "pub struct A;\nimpl B for A { type C = tokio::time::Instant; }", refused);
        check_text(LOG, "struct A;\nimpl From<tokio::time::Instant> for A {}", &[]);
    }

    #[test]
    fn an_import_hides_nothing() {
        let text = "use redb::Database as Base;\npub fn open(base: Base) {";
        check_text(LOG, text, &["redb::Database"]);
        let instant = "use tokio::time::Instant;\npub fn a(_: Instant) {";
        check_text(LOG, instant, &["tokio::time::Instant"]);
        check_text(LOG, "use tokio::time;\npub fn a(_: time::Instant) {", &["tokio::time"]);
        check_text(LOG, "use tokio::time;\npub fn a(time: u64, _: std::time::Instant) {", &[]);
        check_text(LOG, "use redb::Database;\npub fn open(a: DatabaseOptions) {", &[]);
        check_text(LOG, "use redb::*;\npub(crate) fn open(a: Database) {", &["redb::*"]);
    }

    #[test]
    fn our_interface_shows() {
        check_text(LOG, "use serde_json::Value;\npub fn open(a: Value) {", &[]);
        check_text(LOG, "pub fn open(a: nexus_events_model::Event, b: std::fs::File) {", &[]);
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
