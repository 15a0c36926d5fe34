//! `xtask/tidy-allow.txt`: public names that stay although a check would refuse them, and why.

use super::Problem;
use super::source::Source;

const PATH: &str = "xtask/tidy-allow.txt";

/// `path name: reason` per line, `#` for comments.
#[derive(Debug)]
pub(super) struct Allowed<'a> {
    entries: Vec<Entry<'a>>,
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct Entry<'a> {
    line: usize,
    path: &'a str,
    name: &'a str,
    used: bool,
}

impl<'a> Allowed<'a> {
    /// The list among these files; empty without one.
    pub(super) fn of(sources: &'a [Source]) -> Self {
        let list = sources.iter().find(|source| source.path == PATH);
        Self::parse(list.map_or("", |source| source.text.as_str()))
    }

    pub(super) fn parse(list: &'a str) -> Self {
        let mut parsed = Self { entries: Vec::new(), problems: Vec::new() };
        for (index, text) in list
            .lines()
            .enumerate()
            .filter(|(_, text)| !text.trim().is_empty() && !text.starts_with('#'))
        {
            let line = index + 1;
            // A name may be a path with `::`.
            let entry = text.split_once(": ").filter(|(_, reason)| !reason.trim().is_empty());
            match entry.and_then(|(item, _)| item.trim().split_once(' ')) {
                Some((path, name)) => parsed.entries.push(Entry { line, path, name, used: false }),
                None => parsed.problems.push(Problem::new(
                    PATH,
                    line,
                    "not understood: write `path name: reason`",
                )),
            }
        }
        parsed
    }

    /// Whether this name may stay in this file.
    pub(super) fn take(&mut self, path: &str, name: &str) -> bool {
        let mut matching =
            self.entries.iter_mut().filter(|entry| entry.path == path && entry.name == name);
        matching.next().map(|entry| entry.used = true).is_some()
    }

    /// Lines that are not understood or that nothing needed.
    pub(super) fn problems(self) -> impl Iterator<Item = Problem> {
        let unused = self.entries.into_iter().filter(|entry| !entry.used);
        let unused = unused.map(|entry| {
            Problem::new(
                PATH,
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

    #[test]
    fn exceptions_need_a_reason_and_a_use() {
        let list = "# exceptions\n\na.rs topic: the wire says so\nb.rs x::Y: needed\nb.rs z: old\na.rs hub:\n";
        let mut allowed = Allowed::parse(list);
        assert!(allowed.take("a.rs", "topic") && allowed.take("b.rs", "x::Y"));
        assert!(!allowed.take("b.rs", "topic"));
        let problems: Vec<_> = allowed.problems().map(|problem| problem.to_string()).collect();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains(":6: not understood"), "{problems:?}");
        assert!(problems[1].contains(":5: z is no longer needed"), "{problems:?}");
    }
}
