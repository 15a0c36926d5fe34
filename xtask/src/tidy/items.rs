//! The public items of a file: their names and signatures.

use super::source::{Source, top_level};

/// One `pub` item or field.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) line: usize,
    /// Empty for an unnamed field and for `use`.
    pub(super) name: String,
    /// From `pub` to the body.
    pub(super) signature: String,
}

const KEYWORDS: [&str; 12] = [
    "pub", "async", "const", "static", "mut", "fn", "struct", "enum", "trait", "type", "mod",
    "union",
];

/// Every public item outside tests. `unreachable_pub` sees to it that `pub` means public.
pub(super) fn public(source: &Source) -> Vec<Item> {
    let lines: Vec<(usize, &str)> = source.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, (line, code))| {
        code.trim_start().starts_with("pub ") && !source.is_test(*line)
    });
    starts
        .map(|(index, (line, _))| item(*line, lines[index..].iter().map(|(_, code)| *code)))
        .collect()
}

fn item<'a>(line: usize, code: impl Iterator<Item = &'a str>) -> Item {
    let mut signature = String::new();
    for part in code {
        let is_use = signature.starts_with("pub use ") || part.trim_start().starts_with("pub use ");
        let end = part.find(|c| c == ';' || ("{}".contains(c) && !is_use));
        signature.push_str(part[..end.unwrap_or(part.len())].trim());
        signature.push(' ');
        // A field has no `{` or `;`; it ends with its line.
        if end.is_some() || (is_field(&signature) && part.trim_end().ends_with(',')) {
            break;
        }
    }
    let signature = without_private_fields(without_value(signature.trim_end()));
    Item { line, name: name(&signature), signature }
}

/// `pub const A: B = C` shows only `B`.
fn without_value(signature: &str) -> &str {
    let constant = signature.starts_with("pub const ") || signature.starts_with("pub static ");
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

fn is_field(signature: &str) -> bool {
    signature.split_whitespace().nth(1).is_some_and(|word| word.ends_with(':'))
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
pub const MAX: usize = max(3);
pub struct A {
    pub first: Option<B>,
    pub second: C
}
pub use a::{b, C};
#[cfg(test)]
mod tests { pub fn not_this() {}
 pub fn nor_this() {} }
";
        let items = public(&Source::new("crates/a/src/lib.rs", text));
        let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["Event", "publish", "MAX", "A", "first", "second", ""]);
        assert_eq!(items[0].signature, "pub struct Event<T>(pub Map<K, V>)");
        assert_eq!(items[2].signature, "pub const MAX: usize");
        assert_eq!(items[5].signature, "pub second: C");
        assert_eq!(
            items[1].signature,
            "pub async fn publish( &self, event: Event, ) -> Result<Receipt> where A: B"
        );
        assert_eq!(items[4].signature, "pub first: Option<B>,");
        assert_eq!(items[6].signature, "pub use a::{b, C}");
    }
}
