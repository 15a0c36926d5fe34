//! Timestamps as text: ISO 8601 as Python's `isoformat` writes it, which RFC 3339 readers accept.

use std::fmt;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::error::{Error, ErrorKind, Result};

/// Reads `2026-01-02T03:04:05.678901Z`, any offset instead of `Z`, a space instead of `T`; text
/// without an offset is UTC, a date alone is its midnight. What is finer than a microsecond is cut
/// off.
pub(crate) fn parse(text: &str) -> Result<OffsetDateTime> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339).or_else(|error| {
        let whole = complete(text).ok_or(error)?;
        OffsetDateTime::parse(&whole, &Rfc3339).map_err(|_| error)
    });
    parsed.map(to_microseconds).map_err(|error| {
        let message = format!(
            "timestamp `{text}` is not ISO 8601 ({error}); write it like 2026-01-02T03:04:05.678Z"
        );
        Error::new(ErrorKind::InvalidEvent, message).with_source(error)
    })
}

/// What `isoformat` and its reader leave out, filled in: time, seconds, offset, its colon.
fn complete(text: &str) -> Option<String> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else {
        return rest.is_empty().then(|| format!("{date}T00:00:00Z"));
    };
    let at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(at);
    let seconds = if time.len() == "03:04".len() { ":00" } else { "" };
    let offset = match (offset.len(), offset) {
        (0, _) => "Z".to_owned(),
        (5, _) if offset.is_ascii() => format!("{}:{}", &offset[..3], &offset[3..]),
        (3, _) => format!("{offset}:00"),
        (_, offset) => offset.to_owned(),
    };
    Some(format!("{date}T{time}{seconds}{offset}"))
}

/// Cuts to the microsecond, the finest the text form holds, so that a round trip changes nothing.
#[inline]
pub(crate) fn to_microseconds(timestamp: OffsetDateTime) -> OffsetDateTime {
    if timestamp.nanosecond().is_multiple_of(1_000) {
        return timestamp;
    }
    let nanosecond = timestamp.microsecond() * 1_000;
    timestamp.replace_nanosecond(nanosecond).unwrap_or(timestamp)
}

/// Writes a timestamp the way every JSON of the system does, which is Python's `isoformat`:
/// microseconds only when there are any, `+00:00` for UTC.
///
/// ```
/// use nexus_events_model::IsoFormat;
/// use time::macros::datetime;
/// assert_eq!(IsoFormat(datetime!(2026-01-02 03:04:05 UTC)).to_string(), "2026-01-02T03:04:05+00:00");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsoFormat(pub OffsetDateTime);

impl fmt::Display for IsoFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        let (hour, minute, second) = t.to_hms();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if t.microsecond() != 0 {
            write!(f, ".{:06}", t.microsecond())?;
        }
        write_offset(t.offset(), f)
    }
}

fn write_offset(offset: UtcOffset, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sign = if offset.is_negative() { '-' } else { '+' };
    let (hours, minutes, seconds) = offset.as_hms();
    write!(f, "{sign}{:02}:{:02}", hours.unsigned_abs(), minutes.unsigned_abs())?;
    if seconds != 0 {
        write!(f, ":{:02}", seconds.unsigned_abs())?;
    }
    Ok(())
}

impl serde::Serialize for IsoFormat {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        IsoFormat(parse(text).unwrap()).to_string()
    }

    #[test]
    fn reads_every_usual_form() {
        assert_eq!(
            round_trip("2026-11-22T03:48:23.433602+00:00"),
            "2026-11-22T03:48:23.433602+00:00"
        );
        assert_eq!(round_trip("2026-11-22T03:48:23Z"), "2026-11-22T03:48:23+00:00");
        assert_eq!(round_trip("2013-02-05T05:25:00-05:00"), "2013-02-05T05:25:00-05:00");
        assert_eq!(round_trip("2026-11-22T03:48:23.5"), "2026-11-22T03:48:23.500000+00:00");
        assert_eq!(round_trip("2026-11-22 03:48:23"), "2026-11-22T03:48:23+00:00");
        assert_eq!(round_trip("2026-11-22"), "2026-11-22T00:00:00+00:00");
        assert_eq!(round_trip("2026-11-22T03:48"), "2026-11-22T03:48:00+00:00");
        assert_eq!(round_trip("2026-11-22T03:48:23+0530"), "2026-11-22T03:48:23+05:30");
        assert_eq!(round_trip("2026-11-22 03:48:23-05"), "2026-11-22T03:48:23-05:00");
        assert_eq!(
            round_trip("2026-11-22T03:48:23.123456789Z"),
            "2026-11-22T03:48:23.123456+00:00"
        );
    }

    #[test]
    fn names_the_offender() {
        for wrong in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-11-222",
            "ä26-11-22T",
            "2026-11-22T25:00:00Z",
        ] {
            let error = parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidEvent);
            assert!(error.to_string().contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
