//! The public items of a file: their names and signatures.

use super::members;
use super::source::{Source, line_of, top_level};

/// One public item, field, variant or trait method.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) line: usize,
    /// Empty for `use` and for `impl`.
    pub(super) name: String,
    /// From `pub` to the body, with single spaces.
    pub(super) signature: String,
}

const KEYWORDS: [&str; 13] = [
    "pub", "async", "const", "static", "mut", "fn", "struct", "enum", "trait", "type", "mod",
    "union", "use",
];

/// Every public item outside tests, and what is public because its enum or trait is.
/// `unreachable_pub` sees to it that `pub` means public.
pub(super) fn public(source: &Source) -> Vec<Item> {
    let code = source.code.as_str();
    let mut items = Vec::new();
    for (start, _) in code.match_indices("pub ") {
        let line = line_of(code, start);
        if !starts_item(&code[..start]) || source.is_test(line) {
            continue;
        }
        let end = start + signature_length(&code[start..]);
        items.push(item(line, &code[start..end]));
        match words(&code[start..end]).nth(1) {
            Some("enum") => items.extend(members::variants(code, end)),
            Some("trait") => items.extend(members::declarations(code, end)),
            _ => {}
        }
    }
    items
}

/// An item as it is shown: without the value of a constant and without private fields.
pub(super) fn item(line: usize, code: &str) -> Item {
    let signature = words(code).collect::<Vec<_>>().join(" ");
    let signature = without_private_fields(without_value(&signature));
    Item { line, name: name(&signature), signature }
}

fn starts_item(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before).trim_end();
    line.trim_start().is_empty() || line.ends_with(['{', '}', ';', ']'])
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split_whitespace()
}

/// Up to the body or the `;`; for a field, up to its comma.
fn signature_length(code: &str) -> usize {
    let second = words(code).nth(1).unwrap_or_default();
    let (is_use, is_item) = (second == "use", KEYWORDS.contains(&second));
    let is_constant = is_constant(code);
    let (mut depth, mut before) = (0_i32, ' ');
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth <= 0 => return at,
            '{' | '}' if depth <= 0 && !is_use => return at,
            ',' if depth <= 0 && !is_item => return at,
            '=' if depth <= 0 && is_constant => return at,
            '>' if before == '-' || before == '=' => {}
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' if depth == 0 => return at,
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    code.len()
}

fn is_constant(signature: &str) -> bool {
    let mut words = words(signature).skip(1);
    matches!((words.next(), words.next()), (Some("const" | "static"), Some(next)) if next != "fn")
}

/// `pub const A: B = C` shows only `B`.
fn without_value(signature: &str) -> &str {
    let constant = is_constant(signature);
    signature.split_once(" = ").filter(|_| constant).map_or(signature, |(shown, _)| shown)
}

/// `pub struct A(pub B, C)` shows only `B`.
fn without_private_fields(signature: &str) -> String {
    let tuple = signature.strip_prefix("pub struct ").and_then(|rest| rest.split_once('('));
    let Some((head, fields)) = tuple.filter(|(head, _)| !head.contains("where")) else {
        return signature.to_owned();
    };
    let fields = fields.strip_suffix(')').unwrap_or(fields);
    let public =
        top_level(fields).into_iter().map(str::trim).filter(|field| field.starts_with("pub "));
    format!("pub struct {head}({})", public.collect::<Vec<_>>().join(", "))
}

fn name(signature: &str) -> String {
    if signature.starts_with("pub use ") {
        return String::new();
    }
    let first = signature
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .find(|word| !word.is_empty() && !KEYWORDS.contains(word));
    first.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_names_and_whole_signatures() {
        let text = "\
pub struct Event<T>(Vec<(A, B)>, pub Map<K, V>, pub(crate) C);
pub(crate) fn hidden() {}
    pub async fn publish(
        &self,
        event: Event,
    ) -> Result<Receipt>
    where A: B {
pub const MAX: [u8; 2] = max(3);
pub struct A { pub zeroth: u8,
    pub first: Map<
        B,
        fn(C) -> D,
    >,
    pub second: C
}
pub use a::{b, C};
#[cfg(test)]
mod tests { pub fn not_this() {}
 pub fn nor_this() {} }
";
        let items = public(&Source::new("crates/a/src/lib.rs", text));
        let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["Event", "publish", "MAX", "A", "zeroth", "first", "second", ""]);
        assert_eq!(items[0].signature, "pub struct Event<T>(pub Map<K, V>)");
        assert_eq!(items[2].signature, "pub const MAX: [u8; 2]");
        assert_eq!(items[6].signature, "pub second: C");
        assert_eq!(
            items[1].signature,
            "pub async fn publish( &self, event: Event, ) -> Result<Receipt> where A: B"
        );
        assert_eq!(items[5].signature, "pub first: Map< B, fn(C) -> D, >");
        assert_eq!(items[7].signature, "pub use a::{b, C}");
    }
}
