//! Writing to standard output and error: numbers for people, colours only where they help.

use std::io::{ErrorKind, IsTerminal, Write};

/// Whether colours belong there: only on a terminal, and not when `NO_COLOR` is set.
///
/// ```
/// let _colours: bool = nexus_events_server::colours(&std::io::stderr());
/// ```
pub fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes lines to standard output. `false` when whoever read them is gone.
///
/// # Errors
/// Any failure but a closed pipe, which ends a program quietly.
pub(crate) fn print(text: &str) -> std::io::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a line to standard error, where nobody may be left to read it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Columns of a terminal that does not tell.
const COLUMNS_DEFAULT: usize = 80;

/// Replaces the line that the cursor of a terminal is on.
pub(crate) fn status(text: &str) {
    let columns = terminal_size::terminal_size_of(std::io::stderr())
        .map_or(COLUMNS_DEFAULT, |(width, _)| width.0.into());
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "\r\x1b[2K{}", fitting(text, columns)).and_then(|()| err.flush());
}

/// What of a line fits into one row. The last column stays free: some terminals go on to the next
/// row as soon as it is taken.
fn fitting(text: &str, columns: usize) -> &str {
    let end = text.char_indices().nth(columns.saturating_sub(1));
    end.map_or(text, |(end, _)| &text[..end])
}

/// 11694 as `11,694`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 1 as `1 event`, 11694 as `11,694 events`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Text from outside without what a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let texts = [0, 999, 1_000, 11_694, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "11,694", "1,234,567"]);
        assert_eq!(
            [0, 1, 1_000].map(|n| counted(n, "state")),
            ["0 states", "1 state", "1,000 states"]
        );
    }

    #[test]
    fn a_status_stays_in_its_row() {
        let cases = [("12345", 6, "12345"), ("12345", 5, "1234"), ("é…x", 3, "é…"), ("x", 0, "")];
        for (text, columns, expected) in cases {
            assert_eq!(fitting(text, columns), expected);
        }
    }

    #[test]
    fn a_terminal_gets_no_orders_from_outside() {
        assert_eq!(plain("shop\u{1b}[2J"), "shop\u{fffd}[2J");
    }
}
