//! Texts: the project's name, marks left for later, paths of one's own machine.

use super::Problem;
use super::source::{Source, find_words};

/// In pieces, so that this file does not report itself.
const MARKS: [&str; 4] =
    [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X"), concat!("HA", "CK")];
const MACHINE_PATHS: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!(":\\", "Users\\"),
];
const NAME: &str = concat!("Ne", "xus");

/// Every text that people write; data files are quoted as they came.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    if ["/data/", "/testdata/"].iter().any(|folder| source.path.contains(folder))
        || source.path == "Cargo.lock"
    {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let mut report = |what: String| problems.push(Problem::new(&source.path, index + 1, what));
        if let Some(mark) = MARKS.iter().find(|mark| find_words(line, mark).is_some()) {
            report(format!("{mark} leaves work for later: do it now, or open an issue"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| has_machine_path(line, path)) {
            report(format!(
                "a path below {path} exists on one machine only: write a relative path"
            ));
        }
    }
    problems.extend(bare_names(&source.text).into_iter().map(|line| {
        Problem::new(&source.path, line, "the name is `Nexus events`: write both words")
    }));
    problems
}

/// At the start of a path, not within a URL or a longer path.
fn has_machine_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        path.starts_with(':')
            || before.is_none_or(|c| c.is_whitespace() || "\"'`(=:,<[".contains(c))
    })
}

/// The lines where the name stands without its second word.
fn bare_names(text: &str) -> Vec<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut lines = Vec::new();
    for (at, _) in text.match_indices(NAME) {
        let after = &text[at + NAME.len()..];
        if text[..at].ends_with(word) || after.starts_with(word) {
            continue;
        }
        // The second word may stand on the next line, behind the mark of a comment or quote.
        let next = after.trim_start_matches(|c: char| c.is_whitespace() || "/!*>#".contains(c));
        if !next.starts_with("events") {
            lines.push(text[..at].matches('\n').count() + 1);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(path: &str, text: &str, lines: &[usize]) {
        let found: Vec<usize> =
            check(&Source::new(path, text)).iter().map(|problem| problem.line).collect();
        assert_eq!(found, lines, "{text}");
    }

    #[test]
    fn the_name_has_two_words() {
        check_lines("README.md", &format!("{NAME} is\nfast. Use {NAME}.\n"), &[1, 2]);
        let text = format!("**{NAME}\nevents**, `nexus demo`, `{NAME}Error`");
        check_lines("README.md", &text, &[]);
        check_lines("src/lib.rs", &format!("//! About {NAME}\n//! events."), &[]);
        check_lines("docs/a.md", &format!("{NAME} Events, {NAME}-events"), &[1, 1]);
    }

    #[test]
    fn marks_are_reported_as_whole_words() {
        check_lines(
            "src/a.rs",
            &format!("// {}: later\n// {}S are fine", MARKS[0], MARKS[1]),
            &[1],
        );
        check_lines("crates/a/testdata/a.json", MARKS[0], &[]);
    }

    #[test]
    fn machine_paths_are_reported_unless_within_others() {
        for path in MACHINE_PATHS {
            check_lines("docs/a.md", &format!("see `{path}me/x`"), &[1]);
        }
        check_lines("docs/a.md", &format!("https://example.com{}x", MACHINE_PATHS[0]), &[]);
    }
}
