//! Names within the nodes that they name.

/// Bytes of a name that need no allocation; most segments and event types are shorter.
const SHORT_BYTES: usize = 30;

/// A name that lies where it is compared: one cache line less to fetch on every look-up.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Short { bytes: [u8; SHORT_BYTES], len: u8 },
    Long(Box<str>),
}

impl Name {
    #[inline]
    pub(super) fn is(&self, other: &str) -> bool {
        match self {
            Self::Short { bytes, len } => bytes[..usize::from(*len)] == *other.as_bytes(),
            Self::Long(name) => **name == *other,
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        let mut bytes = [0; SHORT_BYTES];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(name.as_bytes());
                Self::Short { bytes, len }
            }
            _ => Self::Long(name.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_equal_to_themselves_only() {
        for length in 0..3 * SHORT_BYTES {
            let text = "a".repeat(length);
            let name = Name::from(&*text);
            assert!(name.is(&text) && name.clone().is(&text));
            assert!(!name.is(&(text.clone() + "b")) && !name.is(&(text + "a")));
        }
    }
}
