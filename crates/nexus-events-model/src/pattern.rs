//! Wildcard expressions over event types.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::event_type::{EventType, is_segment_char};
use crate::limits::{EVENT_TYPE_BYTES_MAX, EVENT_TYPE_SEGMENTS_MAX};
use crate::text::Text;

/// A wildcard expression over event types.
///
/// `*` stands for exactly one segment; `**` (or `>`) for one or more, at most once, anywhere.
///
/// | pattern | matches | does not match |
/// |---|---|---|
/// | `order.created` | `order.created` | `order.created.v2` |
/// | `data.*` | `data.created` | `data`, `data.user.created` |
/// | `*.encrypted` | `order.encrypted` | `a.b.encrypted` |
/// | `user.**` | `user.login`, `user.activity.page` | `user` |
/// | `**` | everything | |
///
/// ```
/// use nexus_events_model::{EventType, Pattern};
/// let pattern = Pattern::new("user.**.failed")?;
/// assert!(pattern.matches(&EventType::new("user.login.web.failed")?));
/// assert!(!pattern.matches(&EventType::new("user.failed")?));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    text: Text,
    segments: Box<[PatternSegment]>,
    /// It has no wildcard.
    exact: bool,
}

/// One segment of a [`Pattern`].
///
/// ```
/// use nexus_events_model::{Pattern, PatternSegment};
/// let pattern = Pattern::new("data.*")?;
/// assert_eq!(pattern.segments()[1], PatternSegment::One);
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PatternSegment {
    /// This very segment.
    Exact(Text),
    /// `*`: exactly one segment, whatever it is.
    One,
    /// `**`: one or more segments, whatever they are.
    Many,
}

use PatternSegment::{Exact, Many, One};

impl PatternSegment {
    /// Whether everything this segment stands for is covered; both stand for one segment.
    fn covers(&self, other: &Self) -> bool {
        matches!(self, One) || self == other
    }
}

impl Pattern {
    /// The pattern that matches every event type, `**`.
    #[must_use]
    pub fn all() -> Self {
        Self { text: Text::from_static("**"), segments: Box::new([Many]), exact: false }
    }

    /// A pattern from text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPattern`] for an empty segment, a character that no event type has, a
    /// second `**`, more than 16 segments or 255 bytes; [`Error::position`] is the first wrong
    /// byte.
    pub fn new(text: impl Into<Text>) -> Result<Self> {
        let text = text.into();
        let segments = parse(&text)?;
        let canonical = segments.contains(&Many) && text.contains('>');
        let text = if canonical { join(&segments) } else { text };
        let exact = segments.iter().all(|segment| matches!(segment, Exact(_)));
        Ok(Self { text, segments: segments.into(), exact })
    }

    /// The pattern as text, with `**` where `>` was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parts between the dots.
    #[must_use]
    pub fn segments(&self) -> &[PatternSegment] {
        &self.segments
    }

    /// The event type it stands for, when it has no wildcard.
    ///
    /// ```
    /// # use nexus_events_model::{EventType, Pattern};
    /// assert_eq!(Pattern::new("user.login")?.as_event_type(), Some(EventType::USER_LOGIN));
    /// assert_eq!(Pattern::new("user.*")?.as_event_type(), None);
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn as_event_type(&self) -> Option<EventType> {
        self.exact.then(|| EventType::new(self.text.clone()).ok()).flatten()
    }

    /// Whether an event type matches.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        match (&*self.segments, self.exact) {
            ([Many], _) => return true,
            (_, true) => return self.text == event_type.as_str(),
            _ => {}
        }
        let Some(many) = self.many() else {
            return matches_exactly(&self.segments, event_type.segments());
        };
        let (before, after) = (&self.segments[..many], &self.segments[many + 1..]);
        let count = event_type.segments().count();
        count > before.len() + after.len()
            && matches_start(before, event_type.segments())
            && matches_start_rev(after, event_type.segments())
    }

    /// Whether every event type that `other` matches is matched by this pattern too.
    ///
    /// ```
    /// # use nexus_events_model::Pattern;
    /// assert!(Pattern::new("user.**")?.covers(&Pattern::new("user.*")?));
    /// assert!(!Pattern::new("user.created")?.covers(&Pattern::new("user.*")?));
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let Some(many) = other.many() else {
            return self.covers_fixed(&other.segments);
        };
        // `**` of the other stands for one segment, two, … up to the longest type there is.
        (other.segments.len()..=EVENT_TYPE_SEGMENTS_MAX).all(|length| {
            let mut fixed = other.segments[..many].to_vec();
            fixed.resize(length + many + 1 - other.segments.len(), One);
            fixed.extend_from_slice(&other.segments[many + 1..]);
            self.covers_fixed(&fixed)
        })
    }

    /// [`covers`](Self::covers) for a pattern without `**`.
    fn covers_fixed(&self, other: &[PatternSegment]) -> bool {
        let Some(many) = self.many() else {
            return self.segments.len() == other.len() && covers_each(&self.segments, other);
        };
        let (before, after) = (&self.segments[..many], &self.segments[many + 1..]);
        other.len() > before.len() + after.len()
            && covers_each(before, &other[..before.len()])
            && covers_each(after, &other[other.len() - after.len()..])
    }

    fn many(&self) -> Option<usize> {
        self.segments.iter().position(|segment| *segment == Many)
    }
}

fn covers_each(segments: &[PatternSegment], others: &[PatternSegment]) -> bool {
    segments.iter().zip(others).all(|(segment, other)| segment.covers(other))
}

fn matches_one(segment: &PatternSegment, name: &str) -> bool {
    match segment {
        Exact(text) => *text == name,
        One | Many => true,
    }
}

fn matches_exactly<'a>(
    segments: &[PatternSegment],
    mut names: impl Iterator<Item = &'a str>,
) -> bool {
    matches_start(segments, names.by_ref()) && names.next().is_none()
}

fn matches_start<'a>(
    segments: &[PatternSegment],
    mut names: impl Iterator<Item = &'a str>,
) -> bool {
    segments.iter().all(|segment| names.next().is_some_and(|name| matches_one(segment, name)))
}

fn matches_start_rev<'a>(
    segments: &[PatternSegment],
    mut names: impl DoubleEndedIterator<Item = &'a str>,
) -> bool {
    segments
        .iter()
        .rev()
        .all(|segment| names.next_back().is_some_and(|name| matches_one(segment, name)))
}

fn parse(text: &str) -> Result<Vec<PatternSegment>> {
    let fail = |position: usize, why: String| {
        let shown: String = text.chars().take(80).collect();
        let message = format!("pattern `{shown}` {why}; write it like `order.*` or `user.**`");
        Err(Error::new(ErrorKind::InvalidPattern, message).at(position))
    };
    if text.is_empty() {
        return fail(0, "is empty".into());
    }
    if text.len() > EVENT_TYPE_BYTES_MAX {
        return fail(
            EVENT_TYPE_BYTES_MAX,
            format!("is {} bytes long, the most is {EVENT_TYPE_BYTES_MAX}", text.len()),
        );
    }
    let mut segments = Vec::new();
    let mut start = 0;
    for part in text.split('.') {
        if segments.len() == EVENT_TYPE_SEGMENTS_MAX {
            return fail(start, format!("has more than {EVENT_TYPE_SEGMENTS_MAX} segments"));
        }
        let segment = match part {
            "" => return fail(start, format!("has an empty segment at byte {start}")),
            "*" => One,
            "**" | ">" if segments.contains(&Many) => {
                return fail(
                    start,
                    format!("has a second `{part}` at byte {start}, it may stand once"),
                );
            }
            "**" | ">" => Many,
            exact => match exact.char_indices().find(|(_, c)| !is_segment_char(*c)) {
                None => Exact(exact.into()),
                Some((at, '*' | '>')) => {
                    let at = start + at;
                    return fail(
                        at,
                        format!(
                            "mixes a wildcard with text at byte {at}, a wildcard is a whole segment"
                        ),
                    );
                }
                Some((at, wrong)) => {
                    let at = start + at;
                    return fail(
                        at,
                        format!(
                            "has {wrong:?} at byte {at}, only A-Z a-z 0-9 _ - and wildcards may stand in a segment"
                        ),
                    );
                }
            },
        };
        segments.push(segment);
        start += part.len() + 1;
    }
    Ok(segments)
}

fn join(segments: &[PatternSegment]) -> Text {
    let names: Vec<&str> = segments
        .iter()
        .map(|segment| match segment {
            Exact(text) => text.as_str(),
            One => "*",
            Many => "**",
        })
        .collect();
    names.join(".").into()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Pattern {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<EventType> for Pattern {
    fn from(event_type: EventType) -> Self {
        Self::from(&event_type)
    }
}

impl From<&EventType> for Pattern {
    fn from(event_type: &EventType) -> Self {
        let segments = event_type.segments().map(|segment| Exact(segment.into())).collect();
        Self { text: event_type.as_str().into(), segments, exact: true }
    }
}

impl From<&Pattern> for Pattern {
    fn from(pattern: &Pattern) -> Self {
        pattern.clone()
    }
}

impl serde::Serialize for Pattern {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        Self::new(Text::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
