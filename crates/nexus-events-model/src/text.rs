//! Text that is cheap to clone: a `&'static str` and short text cost no allocation, anything else
//! is one that is shared.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Text that is cheap to clone.
///
/// ```
/// use nexus_events_model::Text;
/// const SOURCE: Text = Text::from_static("billing");
/// let owned = Text::from(String::from("billing"));
/// assert_eq!(SOURCE, owned);
/// assert_eq!(&*owned, "billing");
/// ```
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Short(Short),
    Shared(Arc<str>),
}

/// As much as fits where the other two forms have a pointer and a length.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Short {
    len: u8,
    bytes: [u8; SHORT_BYTES_MAX],
}

const SHORT_BYTES_MAX: usize = 15;

impl Short {
    #[inline]
    fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; SHORT_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { len: u8::try_from(text.len()).ok()?, bytes })
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Text {
    /// Text from a literal, without an allocation.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Static(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(text) => text,
            // Checked anew each time, for want of a safe way round it; so few bytes cost little.
            Repr::Short(text) => str::from_utf8(text.as_bytes()).expect("it was made from text"),
            Repr::Shared(text) => text,
        }
    }

    /// Whether both are the same literal or the same shared text, which is told without reading
    /// it.
    #[inline]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Static(a), Repr::Static(b)) => std::ptr::eq(*a, *b),
            (Repr::Shared(a), Repr::Shared(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Enough to compare and to measure.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Static(text) => text.as_bytes(),
            Repr::Short(text) => text.as_bytes(),
            Repr::Shared(text) => text.as_bytes(),
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from_static("")
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    #[inline]
    fn from(text: &str) -> Self {
        Self(Short::new(text).map_or_else(|| Repr::Shared(text.into()), Repr::Short))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Short::new(&text).map_or_else(|| Repr::Shared(text.into()), Repr::Short))
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self(Repr::Shared(text))
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl serde::Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_reads_back_and_equals_its_other_forms() {
        let all = "ä23456789012345ßend";
        for (end, _) in all.char_indices() {
            let text = &all[..end];
            let forms =
                [Text::from(text), Text::from(text.to_owned()), Text::from(Arc::from(text))];
            for form in &forms {
                assert_eq!(form.as_str(), text);
                assert_eq!(form, &forms[2]);
                assert_eq!(form.cmp(&Text::from_static("ä2345")), text.cmp("ä2345"));
            }
        }
    }

    #[test]
    fn short_text_takes_no_more_room_than_shared() {
        assert!(matches!(Text::from("123456789012345").0, Repr::Short(_)));
        assert!(matches!(Text::from("1234567890123456").0, Repr::Shared(_)));
        assert_eq!(size_of::<Text>(), size_of::<Option<Text>>());
        assert_eq!(size_of::<Text>(), 24);
    }
}
