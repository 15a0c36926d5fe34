//! Amounts as people write and read them: bytes and times.

use std::time::Duration;

/// The units of bytes, each with what it is worth.
const BYTES: [(&str, u64); 9] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
];

/// The units of time, each with its seconds.
const SECONDS: [(&str, u64); 5] =
    [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800)];

/// `10GiB`, `500 MB` or a plain number of bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = unit.to_ascii_uppercase();
    let worth = BYTES.iter().find(|(name, _)| *name == unit).map(|(_, worth)| *worth);
    let bytes =
        number.parse().ok().zip(worth).and_then(|(number, worth)| worth.checked_mul(number));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| {
        "write a number of bytes with B, KB, MB, GB, KiB, MiB, GiB or TiB, such as 10GiB".to_owned()
    })
}

/// `30d`, `12h`, `90m`, `45s` or `2w`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let worth = SECONDS.iter().find(|(name, _)| *name == unit).map(|(_, worth)| *worth);
    let seconds =
        number.parse().ok().zip(worth).and_then(|(number, worth)| worth.checked_mul(number));
    // Longer than any calendar is no bound.
    let seconds = seconds.filter(|seconds| (1..=u64::from(u32::MAX) * 60).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "write a number with s, m, h, d or w, such as 30d".to_owned())
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// 1536 as `1.5 KiB`.
pub(crate) fn shown_bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes as f64 / 1024.0;
    if amount < 1.0 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < units.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_with_their_unit() {
        for (text, expected) in [
            ("1048576", 1_048_576),
            ("10GiB", 10 << 30),
            ("10 gib", 10 << 30),
            ("500MB", 500_000_000),
            ("1B", 1),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "0", "GiB", "1.5GiB", "-1", "10 parsecs", "99999999999TiB"] {
            assert!(bytes(wrong).unwrap_err().contains("10GiB"), "{wrong}");
        }
    }

    #[test]
    fn ages_are_written_with_their_unit() {
        for (text, expected) in
            [("45s", 45), ("90m", 5_400), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)]
        {
            assert_eq!(age(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for wrong in ["", "0d", "30", "30 years", "99999999999999w"] {
            assert!(age(wrong).unwrap_err().contains("30d"), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_shown_with_one_decimal() {
        let shown = [0, 1_023, 1_536, 5 << 30].map(shown_bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }
}
