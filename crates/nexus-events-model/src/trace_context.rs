//! W3C trace context: which trace an event belongs to, and which span of it the event came from.

use std::fmt;

use crate::event::Event;
use crate::limits::{TRACESTATE_BYTES_MAX, TRACESTATE_MEMBERS_MAX};
use crate::metadata::Metadata;
use crate::text::Text;

/// Which trace an event belongs to, and which span of it the event came from, as the W3C's *Trace
/// Context* has it. In an event it stands in the metadata, under [`Metadata::TRACEPARENT`] and
/// [`Metadata::TRACESTATE`].
///
/// It is read leniently: what is malformed counts as not there, and a `tracestate` that is
/// malformed leaves the `traceparent` as it is.
///
/// ```
/// use nexus_events_model::{Event, TraceContext};
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(text).unwrap();
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), text);
/// assert_eq!(TraceContext::parse("00-1-2-3"), None);
///
/// let event = Event::builder("order.created").id("1").timestamp_text("2026-01-02T03:04:05Z");
/// let event = event.trace_context(&context).build()?;
/// assert_eq!(event.trace_context(), Some(context));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
    state: Option<Text>,
}

/// The flag of a trace that somebody records.
const SAMPLED: u8 = 1;

impl TraceContext {
    /// The content of a `traceparent`. That of a version after 00 is read as far as 00 goes, as the
    /// standard asks for.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.splitn(5, '-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let has_more = parts.next().is_some();
        let is_valid = version != 0xff && (version != 0 || !has_more);
        (is_valid && trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            flags,
            state: None,
        })
    }

    /// With what the vendors of tracing systems carry along, unless that is malformed or has more
    /// than 32 members or 512 bytes.
    ///
    /// ```
    /// # use nexus_events_model::TraceContext;
    /// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let context = TraceContext::parse(text).unwrap().with_state("rojo=00f067aa0ba902b7,congo=t61");
    /// assert_eq!(context.state(), Some("rojo=00f067aa0ba902b7,congo=t61"));
    /// assert_eq!(context.with_state("no equals sign").state(), None);
    /// ```
    #[must_use]
    pub fn with_state(mut self, tracestate: impl Into<Text>) -> Self {
        let state = tracestate.into();
        self.state = is_state(&state).then_some(state);
        self
    }

    /// The trace, the same for everything that comes of one cause.
    #[must_use]
    pub const fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span that it came from.
    #[must_use]
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// The flags, of which only *sampled* is in use.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the one who began the trace records it.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The content of the `tracestate`.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The same trace, now from this span; `None` for 0, which is no span.
    ///
    /// ```
    /// # use nexus_events_model::TraceContext;
    /// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let child = TraceContext::parse(text).unwrap().child(7).unwrap();
    /// assert_eq!(child.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
    /// ```
    #[must_use]
    pub fn child(&self, span_id: u64) -> Option<Self> {
        (span_id != 0).then(|| Self { span_id, ..self.clone() })
    }
}

impl fmt::Display for TraceContext {
    /// The content of a `traceparent`, of version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl Event {
    /// The trace it belongs to, if its metadata says so.
    #[must_use]
    pub fn trace_context(&self) -> Option<TraceContext> {
        let context = TraceContext::parse(self.metadata().get(Metadata::TRACEPARENT)?.as_str()?)?;
        Some(match self.metadata().get(Metadata::TRACESTATE).and_then(|state| state.as_str()) {
            Some(state) => context.with_state(state),
            None => context,
        })
    }
}

/// A number of exactly so many hexadecimal digits, lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_number = text.len() == digits && text.bytes().all(is_digit);
    is_number.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Whether it is a list of `key=value`, as far as others rely on it.
fn is_state(text: &str) -> bool {
    let mut members = text.split(',').map(|member| member.trim_matches([' ', '\t']));
    !text.is_empty()
        && text.len() <= TRACESTATE_BYTES_MAX
        && members.clone().count() <= TRACESTATE_MEMBERS_MAX
        && members.all(|member| member.is_empty() || member.split_once('=').is_some_and(is_member))
}

fn is_member((key, value): (&str, &str)) -> bool {
    let is_key = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
    };
    let is_value = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    let starts_right = key
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    starts_right
        && key.len() <= 256
        && key.bytes().all(is_key)
        && !value.is_empty()
        && value.len() <= 256
        && value.bytes().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn what_is_valid_is_read_and_written_alike() {
        for flags in ["00", "01", "ff"] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = TraceContext::parse(&text).unwrap();
            assert_eq!(context.to_string(), text);
            assert_eq!(context.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
            assert_eq!((context.span_id(), context.state()), (0x00f0_67aa_0ba9_02b7, None));
            assert_eq!(context.is_sampled(), flags != "00");
        }
    }

    #[test]
    fn later_versions_are_read_as_far_as_is_known() {
        let context = TraceContext::parse(&format!("cc-{TRACE}-{SPAN}-01-what-comes")).unwrap();
        assert_eq!(context.to_string(), format!("00-{TRACE}-{SPAN}-01"));
        assert!(TraceContext::parse(&format!("cc-{TRACE}-{SPAN}-01")).is_some());
        assert!(TraceContext::parse(&format!("cc-{TRACE}-{SPAN}-01.x")).is_none());
    }

    #[test]
    fn what_is_malformed_counts_as_not_there() {
        let zeros = "0".repeat(32);
        let rows = [
            String::new(),
            "-".to_owned(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}-0ä"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ];
        for text in rows {
            assert_eq!(TraceContext::parse(&text), None, "{text}");
        }
    }

    fn cause(traceparent: &str) -> Event {
        let event = Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z");
        let event = event.metadata(Metadata::TRACEPARENT, traceparent);
        event.metadata(Metadata::TRACESTATE, "a=1").build().unwrap()
    }

    fn effect(cause: &Event, entries: &[(&str, &str)]) -> Event {
        let event = Event::builder("b").id("2").timestamp_text("2026-01-02T03:04:06Z");
        let set = |event: crate::EventBuilder, (name, value): &(&str, &str)| {
            event.metadata(*name, *value)
        };
        entries.iter().fold(event, set).caused_by(cause).build().unwrap()
    }

    #[test]
    fn an_effect_inherits_the_trace_of_its_cause_and_keeps_its_own() {
        let (cause_trace, own) = (format!("00-{TRACE}-{SPAN}-01"), format!("00-{TRACE}-{SPAN}-00"));
        let cause = cause(&cause_trace);
        let context = cause.trace_context().unwrap();
        assert_eq!(context.state(), Some("a=1"));
        assert_eq!(effect(&cause, &[]).trace_context(), Some(context.clone()));
        // A state belongs to its parent.
        let event = effect(&cause, &[(Metadata::TRACESTATE, "b=2")]);
        assert_eq!(event.trace_context().unwrap().state(), Some("a=1"));
        let event = effect(&cause, &[(Metadata::TRACEPARENT, &own)]);
        assert_eq!(event.trace_context(), TraceContext::parse(&own));
    }

    #[test]
    fn a_malformed_trace_is_not_inherited_and_no_error() {
        let cause = cause("00-nonsense");
        assert_eq!(cause.trace_context(), None);
        let event = effect(&cause, &[]);
        assert_eq!((event.trace_context(), event.metadata().len()), (None, 1));
    }

    #[test]
    fn an_effect_without_room_is_built_without_the_trace() {
        let cause = cause(&format!("00-{TRACE}-{SPAN}-01"));
        let names: Vec<String> = (0..255).map(|number| number.to_string()).collect();
        let entries: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let event = effect(&cause, &entries);
        assert_eq!((event.trace_context(), event.metadata().len()), (None, 256));
        assert!(event.causation_id().is_some());
    }

    #[test]
    fn a_context_replaces_both_entries() {
        let context = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-00")).unwrap();
        let event = cause("00-nonsense").to_builder().trace_context(&context).build().unwrap();
        assert_eq!(event.trace_context(), Some(context));
        assert_eq!(event.metadata().len(), 1);
    }

    #[test]
    fn a_malformed_state_is_left_out() {
        let context = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        let many = |count: usize| vec!["a=1"; count].join(",");
        for state in ["a=1", "a=1, b=2", "a=1,,b=2", "fw529a3039@dt=FfAAA", &many(32)] {
            assert_eq!(context.clone().with_state(state).state(), Some(state));
        }
        let long = format!("a={}", "x".repeat(257));
        for state in ["", "a", "=1", "a=", "A=1", "a=1=2", "a=ä", "a=\n", "_a=1", &many(33), &long]
        {
            assert_eq!(context.clone().with_state(state).state(), None, "{state}");
        }
    }
}
