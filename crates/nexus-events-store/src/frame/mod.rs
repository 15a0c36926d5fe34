//! A frame: what one commit puts into the log, as one value in parts that each fill a page.

mod envelope;
mod parts;
mod read;
mod write;

pub(crate) use self::parts::{Part, join, split};
pub(crate) use self::read::{Frame, heading};
pub(crate) use self::write::FrameWriter;

/// What everything in a frame has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Heading {
    /// The number of the frame: 1, 2, 3 and so on, for ever.
    pub(crate) number: u64,
    /// The offset of its first event.
    pub(crate) first: u64,
    /// How many events it has; at least one.
    pub(crate) events: u64,
    /// The number of the commit that its last append was.
    pub(crate) commit: u64,
    /// When the store took it, in microseconds since 1970.
    pub(crate) recorded: i64,
    /// The bytes of all events of the log before it.
    pub(crate) bytes_before: u64,
}

impl Heading {
    pub(crate) fn last(&self) -> u64 {
        (self.first + self.events).saturating_sub(1)
    }
}

/// An append that had an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) key: nexus_events_model::Text,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) version: u64,
    pub(crate) recorded: i64,
}

/// The layout that this program writes.
const FORMAT: u8 = 1;

/// Microseconds since 1970 as a time.
pub(crate) fn time_of(micros: i64) -> Option<time::OffsetDateTime> {
    let time = time::OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000)).ok()?;
    time.replace_microsecond(u32::try_from(micros.rem_euclid(1_000_000)).ok()?).ok()
}

pub(crate) fn micros_of(time: time::OffsetDateTime) -> i64 {
    time.unix_timestamp() * 1_000_000 + i64::from(time.microsecond())
}

#[cfg(test)]
mod tests {
    use nexus_events_dispatch::store::Append;
    use nexus_events_model::{Event, Payload};

    use super::parts::Piece;
    use super::*;

    fn stored() -> (Vec<Vec<u8>>, Vec<Event>) {
        let event = |number: u32| {
            let payload = Payload::from_json(format!(r#"{{"number":{number}}}"#)).unwrap();
            let builder = Event::builder("order.created").id(format!("evt-{number}"));
            builder.timestamp_text("2026-01-02T03:04:05Z").payload(payload).build().unwrap()
        };
        let events: Vec<Event> = (0..200).map(event).collect();
        let append = events.iter().cloned().fold(Append::new(), Append::event);
        let mut writer = FrameWriter::default();
        writer.begin(Heading { number: 99, first: 99, ..Heading::default() });
        writer.events(&append.events[..3]).unwrap();
        writer.begin(Heading { number: 3, first: 7, ..Heading::default() });
        writer.events(&append.events).unwrap();
        let (heading, body) = writer.finish(9, &[]);
        assert_eq!((heading.events, heading.last()), (200, 206));
        (split(3, 7, body).iter().map(Piece::to_bytes).collect(), events)
    }

    #[test]
    fn a_frame_reads_back() {
        let (stored, events) = stored();
        let parts: Vec<_> = stored.iter().map(|part| Part::read(part).unwrap()).collect();
        let frame = Frame::parse(3, 7, join(&parts).unwrap()).unwrap();
        for (event, offset) in events.iter().zip(7..) {
            assert_eq!(&frame.event(offset).unwrap().event, event);
        }
        assert!(frame.event(6).is_err() && frame.event(207).is_err());
    }

    #[test]
    fn d03_five_thousand_flipped_bits_are_all_seen() {
        let (stored, _) = stored();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..5_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut stored = stored.clone();
            let part = (random >> 33) as usize % stored.len();
            let bit = (random >> 17) as usize % (stored[part].len() * 8);
            stored[part][bit / 8] ^= 1 << (bit % 8);
            let parts: Result<Vec<_>, _> = stored.iter().map(|part| Part::read(part)).collect();
            assert!(parts.is_err());
        }
    }

    #[test]
    fn garbage_is_an_error() {
        let mut random = 7_u64;
        for length in 0..2_000 {
            let body = (0..length % 300).map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 40) as u8 & if length % 2 == 0 { 3 } else { 0xff }
            });
            let body: Vec<u8> = std::iter::once(FORMAT).chain(body).collect();
            if let Ok(frame) = Frame::parse(1, 1, body) {
                let _ = (frame.event(1), frame.size(1));
            }
        }
    }
}
