//! The known name a mistyped one was probably meant to be.

/// The name with the smallest edit distance.
pub(crate) fn nearest<'a, const N: usize>(typed: &str, known: [&'a str; N]) -> &'a str {
    known.into_iter().min_by_key(|name| distance(typed, name)).expect("there is at least one name")
}

/// Insertions, deletions and replacements that turn one into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "ab", 2),
            ("tset", "test", 2),
            ("tidi", "tidy", 1),
            ("ab", "", 2),
            ("a", "ab", 1),
        ] {
            assert_eq!(distance(from, to), edits, "{from} → {to}");
        }
    }

    #[test]
    fn a_typing_mistake_finds_its_command() {
        let known = crate::COMMANDS.map(|(name, ..)| name);
        for (typed, meant) in [
            ("tset", "test"),
            ("benhc", "bench"),
            ("tidi", "tidy"),
            ("radme", "readme"),
            ("c", "ci"),
        ] {
            assert_eq!(nearest(typed, known), meant);
        }
    }
}
