//! What is public without saying so: variants of a public enum with their fields, items of a public
//! trait, and the headers and associated types of `impl Trait for Type`.

use super::items::{Item, item};
use super::source::{Source, line_of};

/// The variants of the enum whose `{` is at `open`, each followed by its named fields.
pub(super) fn variants(code: &str, open: usize) -> Vec<Item> {
    let mut variants = Vec::new();
    for (start, end) in pieces(code, open, ',') {
        let variant = &code[start..end];
        variants.push(member(code, start, variant));
        let Some(fields) = variant.find('{').filter(|_| !variant.contains('(')) else { continue };
        let fields = pieces(code, start + fields, ',').into_iter();
        variants.extend(fields.map(|(start, end)| member(code, start, &code[start..end])));
    }
    variants
}

/// The items of the trait or `impl` whose `{` is at `open`, without their bodies.
pub(super) fn declarations(code: &str, open: usize) -> Vec<Item> {
    let pieces = pieces(code, open, ';').into_iter();
    pieces
        .map(|(start, end)| {
            let declaration = &code[start..end];
            let body = declaration.find('{').unwrap_or(declaration.len());
            member(code, start, &declaration[..body])
        })
        .collect()
}

/// What `impl Trait for Type` shows where the type is one of `public`.
pub(super) fn implementations(source: &Source, public: &[String]) -> Vec<Item> {
    let code = source.code.as_str();
    let mut shown = Vec::new();
    for (start, _) in code.match_indices("impl") {
        let begins_line =
            code[..start].rsplit('\n').next().is_some_and(|line| line.trim().is_empty());
        let is_word = code[start + 4..].starts_with([' ', '<']);
        let line = line_of(code, start);
        let Some(length) = code[start..].find('{') else { continue };
        let header = &code[start..start + length];
        if !begins_line || !is_word || source.is_test(line) || !is_of(header, public) {
            continue;
        }
        let signature = header.split_whitespace().collect::<Vec<_>>().join(" ");
        shown.push(Item { line, name: String::new(), signature });
        let types = declarations(code, start + length).into_iter();
        shown.extend(types.filter(|item| item.signature.starts_with("pub type ")));
    }
    shown
}

fn is_of(header: &str, public: &[String]) -> bool {
    let Some((_, implementer)) = header.split_once(" for ") else { return false };
    let path =
        implementer.split(['<', ' ', '\n']).find(|word| !word.is_empty()).unwrap_or_default();
    let name = path.rsplit("::").next().unwrap_or(path).trim_start_matches(['&', '$']);
    public.iter().any(|public| public == name)
}

fn member(code: &str, start: usize, declaration: &str) -> Item {
    item(line_of(code, start), &format!("pub {declaration}"))
}

/// The parts of a block, without attributes. They end at the separator, or with their own block
/// where the separator is `;`.
fn pieces(code: &str, open: usize, separator: char) -> Vec<(usize, usize)> {
    let (mut depth, mut start, mut pieces) = (0_usize, open + 1, Vec::new());
    for (at, c) in code[open..].char_indices().map(|(at, c)| (open + at, c)) {
        let closes = matches!(c, ')' | ']' | '}');
        depth = depth + usize::from(matches!(c, '(' | '[' | '{')) - usize::from(closes);
        let ends = depth == 0 || depth == 1 && (c == separator || separator == ';' && c == '}');
        if ends {
            let begin = without_attributes(code, start);
            if begin < at {
                pieces.push((begin, at));
            }
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    pieces
}

/// Where the item itself begins.
fn without_attributes(code: &str, mut start: usize) -> usize {
    loop {
        start += code[start..].len() - code[start..].trim_start().len();
        if !code[start..].starts_with("#[") {
            return start;
        }
        let mut depth = 0_usize;
        let end = code[start..].find(|c| {
            depth = depth + usize::from(c == '[') - usize::from(c == ']' && depth > 0);
            c == ']' && depth == 0
        });
        start += end.map_or(code[start..].len(), |end| end + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::items;
    use super::*;

    fn names(text: &str) -> Vec<(usize, String)> {
        let items = items::public(&Source::new("crates/a/src/lib.rs", text));
        items.into_iter().map(|item| (item.line, item.name)).collect()
    }

    fn expected(names: &[(usize, &str)]) -> Vec<(usize, String)> {
        names.iter().map(|(line, name)| (*line, (*name).to_owned())).collect()
    }

    #[test]
    fn variants_and_their_fields_are_public() {
        let text = "pub enum A {\n #[serde(rename = \"[x\", alias(b))]\n One(Vec<B, C>),\n Two { first: D, second: E },\n Three = 1 << 3,\n}\nenum F { Four }\npub enum G { Five }";
        let all = [(1, "A"), (3, "One"), (4, "Two"), (4, "first"), (4, "second")];
        let all = [&all[..], &[(5, "Three"), (8, "G"), (8, "Five")]].concat();
        assert_eq!(names(text), expected(&all));
    }

    #[test]
    fn items_of_a_public_trait_are_public() {
        let text = "pub trait A<T>: B {\n type C: D;\n const E: [u8; 2] = [1, 2];\n #[must_use]\n fn first(&self) -> F { g(); { h } }\n fn second(\n  &self,\n ) -> I;\n}\ntrait J { fn third(); }";
        let all = [(1, "A"), (2, "C"), (3, "E"), (5, "first"), (6, "second")];
        assert_eq!(names(text), expected(&all));
        let items = items::public(&Source::new("crates/a/src/lib.rs", text));
        assert_eq!(items[3].signature, "pub fn first(&self) -> F");
        assert_eq!(items[4].signature, "pub fn second( &self, ) -> I");
    }

    #[test]
    fn a_header_shows_where_its_type_is_public() {
        let text = "impl<T: B> From<C<T>> for crate::A<T> {\n type D = E;\n fn f() {}\n}\nimpl From<G> for H {}\nimpl A { }\n#[cfg(test)]\nmod tests { \nimpl From<I> for A {} }";
        let shown = implementations(&Source::new("crates/a/src/lib.rs", text), &["A".to_owned()]);
        let shown: Vec<_> = shown.iter().map(|item| (item.line, item.signature.as_str())).collect();
        assert_eq!(shown, [(1, "impl<T: B> From<C<T>> for crate::A<T>"), (2, "pub type D = E")]);
    }
}
