//! Rust code with comments and the contents of literals blanked, so that a search finds code only.

/// The same text, line for line, with spaces where a comment or a literal was.
pub(super) fn mask(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blank = comment(rest)
            .or_else(|| raw_string(rest))
            .or_else(|| string(rest))
            .or_else(|| character(rest));
        let (piece, tail) = rest.split_at(blank.unwrap_or(first.len_utf8()));
        if blank.is_some() {
            code.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else if first.is_alphanumeric() || first == '_' {
            // A word goes over in one piece: the `r` that ends it starts no raw string.
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            code.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        } else {
            code.push_str(piece);
        }
        rest = tail;
    }
    code
}

fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

fn raw_string(text: &str) -> Option<usize> {
    let after = ["br", "cr", "r"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let body = after.trim_start_matches('#');
    let hashes = after.len() - body.len();
    let body = body.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(body.find(&close).map_or(text.len(), |end| start + end + close.len()))
}

fn string(text: &str) -> Option<usize> {
    let body = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = body.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Some(end.map_or(text.len(), |end| end + 2))
}

/// A character, not a lifetime.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut chars = body.chars();
    match chars.next()? {
        '\\' => body[2..].find('\'').map(|end| end + 4),
        first => (chars.next()? == '\'').then_some(first.len_utf8() + 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kept: &str) {
        let masked = mask(text);
        assert_eq!(masked.split_whitespace().collect::<Vec<_>>().join(" "), kept);
        assert_eq!(masked.lines().count(), text.lines().count());
    }

    #[test]
    fn comments_go() {
        check("a // unsafe\nb /* x /* y */ z\n */ c /// d", "a b c");
        check("a /* never closed\n", "a");
    }

    #[test]
    fn literals_go() {
        check(r#"f("a \" b", 1) g("\\") h"#, "f( , 1) g( ) h");
        check("f(r#\"a \" b\"#) g(br\"x\") h(b\"y\")", "f( ) g( ) h(b )");
        check("f(\"line\none\") g", "f( ) g");
        check("f(\"never closed", "f(");
    }

    #[test]
    fn characters_go_and_lifetimes_stay() {
        check(
            r"f('a', '\'', '\u{1F600}', '→') -> &'a str + 'static",
            "f( , , , ) -> &'a str + 'static",
        );
    }

    #[test]
    fn a_name_that_ends_like_a_raw_string_is_a_name() {
        check("for r#type in bar { }", "for r#type in bar { }");
    }
}
