//! One file, read once, with what the checks ask about it.

use super::mask::mask;

/// A file of the repository.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and literals blanked; empty unless it is Rust.
    pub(super) code: String,
    /// What `use` brings in, one entry per name.
    pub(super) imports: Vec<Import>,
    /// First and last line of each `#[cfg(test)]` item.
    tests: Vec<(usize, usize)>,
}

/// One name that a `use` brings in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) line: usize,
    /// From the crate down: `std::sync::Mutex`.
    pub(super) path: String,
    /// What it is called in this file; `*` for everything.
    pub(super) name: String,
}

impl Source {
    pub(super) fn new(path: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let code = if path.ends_with(".rs") { mask(&text) } else { String::new() };
        Self {
            path: path.to_owned(),
            tests: test_items(&code),
            imports: imports(&code),
            code,
            text,
        }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The package it belongs to; empty for a file of the root.
    pub(super) fn package(&self) -> &str {
        let inside = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        inside.split_once('/').map_or("", |(package, _)| package)
    }

    /// Code in `src` that ends up in a library or binary of `crates/`.
    pub(super) fn is_library(&self) -> bool {
        self.path.starts_with("crates/") && self.path.split('/').nth(2) == Some("src")
    }

    pub(super) fn is_example(&self) -> bool {
        self.path.contains("/examples/")
    }

    pub(super) fn is_test(&self, line: usize) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.tests.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// The lines of the code, numbered from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Where `words` occurs as whole words: `a::b` is found in `x::a::b` but not in `a::bc`.
pub(super) fn find_words(text: &str, words: &str) -> Option<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let bounded = |at: usize| {
        let before = text[..at].chars().next_back().is_some_and(word) && words.starts_with(word);
        let after = text[at + words.len()..].starts_with(word) && words.ends_with(word);
        !before && !after
    };
    text.match_indices(words).map(|(at, _)| at).find(|at| bounded(*at))
}

fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    for (at, attribute) in
        code.match_indices("#[cfg(test)]").chain(code.match_indices("#[cfg(all(test,"))
    {
        let start = at + attribute.len();
        let end = start + item_length(&code[start..]);
        items.push((line_of(code, at), line_of(code, end)));
    }
    items
}

/// Up to the `;` or the closing brace that ends the item.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b';' if depth == 0 => return at,
            b'}' if depth <= 1 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn imports(code: &str) -> Vec<Import> {
    let mut imports = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line_start = code[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let visibility = code[line_start..at].trim();
        if !(visibility.is_empty() || visibility.starts_with("pub")) {
            continue;
        }
        let tree = &code[at + 4..];
        let tree = &tree[..tree.find(';').unwrap_or(tree.len())];
        expand("", tree, line_of(code, at), &mut imports);
    }
    imports
}

/// `a::{b, c::d}` into `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, line: usize, into: &mut Vec<Import>) {
    let Some((head, list)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let path = format!("{prefix}{}", path.trim());
        let path = path.strip_suffix("::self").unwrap_or(&path).trim_start_matches("::").to_owned();
        let name =
            if alias.is_empty() { path.rsplit("::").next().unwrap_or(&path) } else { alias.trim() }
                .to_owned();
        if !path.is_empty() {
            into.push(Import { line, path, name });
        }
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let list = list.rfind('}').map_or(list, |end| &list[..end]);
    // A trailing comma leaves nothing behind it.
    for part in top_level(list).into_iter().filter(|part| !part.trim().is_empty()) {
        expand(&prefix, part, line, into);
    }
}

/// The parts between those commas that stand in no bracket.
pub(super) fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts, mut before) = (0_i32, 0, Vec::new(), ' ');
    for (at, c) in list.char_indices() {
        match c {
            // An arrow closes nothing.
            '>' if before == '-' => {}
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    parts.push(&list[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_tree_is_expanded_with_its_new_names() {
        let code = "use std::{env, sync::{self, Arc, Mutex as Lock,},\n fs};\npub use ::redb::Database;\nlet x = refuse ;";
        let source = Source::new("crates/a/src/lib.rs", code);
        let imports: Vec<_> =
            source.imports.iter().map(|i| (i.line, i.path.as_str(), i.name.as_str())).collect();
        let expected = [
            (1, "std::env", "env"),
            (1, "std::sync", "sync"),
            (1, "std::sync::Arc", "Arc"),
            (1, "std::sync::Mutex", "Lock"),
            (1, "std::fs", "fs"),
            (3, "redb::Database", "Database"),
        ];
        assert_eq!(imports, expected);
    }

    #[test]
    fn test_items_are_known() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { if c {} }\n}\nfn d() {}\n#[cfg(test)]\nmod more;\nfn e() {}";
        let source = Source::new("crates/a/src/lib.rs", code);
        let tests: Vec<usize> = (1..=9).filter(|line| source.is_test(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8]);
        assert!(Source::new("crates/a/tests/it/main.rs", "").is_test(1));
    }

    #[test]
    fn lists_are_cut_at_their_own_commas_only() {
        assert_eq!(
            top_level("a<b, c>, fn(d, e) -> f, {g, h},"),
            ["a<b, c>", " fn(d, e) -> f", " {g, h}", ""]
        );
    }

    #[test]
    fn words_are_found_whole() {
        assert_eq!(find_words("std::env::var(x)", "env::var"), Some(5));
        assert_eq!(find_words("env::var_os(x)", "env::var"), None);
        assert_eq!(find_words("my_env::var(x)", "env::var"), None);
        assert_eq!(find_words("env::vars env::var", "env::var"), Some(10));
    }

    #[test]
    fn packages_follow_from_the_path() {
        for (path, package) in
            [("crates/a/src/x.rs", "a"), ("xtask/src/main.rs", "xtask"), ("README.md", "")]
        {
            assert_eq!(Source::new(path, "").package(), package);
        }
    }
}
