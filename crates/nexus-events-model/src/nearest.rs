//! What a typing mistake most likely meant.

/// The known name that a typing mistake most likely meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let close = known.into_iter().map(|name| (edits(wrong, name), name)).min()?;
    let allowed = 1 + close.1.len() / 4;
    // One sign for another is no typing mistake.
    let alike = close.0 < wrong.len().max(close.1.len());
    (alike && close.0 <= allowed).then_some(close.1)
}

/// Levenshtein's distance, on at most 64 characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_alike_is_near() {
        let known = ["event_type", "source", "<", "in"];
        assert_eq!(nearest("event_typ", known), Some("event_type"));
        assert_eq!(nearest("sorce", known), Some("source"));
        assert_eq!(nearest("k", known), None);
        assert_eq!(nearest("colour", known), None);
    }
}
