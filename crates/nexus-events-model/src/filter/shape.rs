//! What a filter asks of text: equal, a start, an end, a shape, a regex, an address range.

use std::fmt;
use std::net::IpAddr;

use crate::limits::{REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX};
use crate::text::Text;

/// Where [`TextTest`] compares.
///
/// ```
/// use nexus_events_model::filter_ast::TextPlace;
/// assert_ne!(TextPlace::Start, TextPlace::End);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TextPlace {
    /// The whole text is equal.
    Whole,
    /// The text starts so.
    Start,
    /// The text ends so.
    End,
}

/// Text that equals, starts with or ends with other text, in the same case or in any.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::{Node, Test, TextPlace};
/// let filter = Filter::parse("source.lower().startsWith('Airport/')")?;
/// let Node::Field { test: Test::Text(test), .. } = filter.node() else { unreachable!() };
/// assert_eq!((test.place(), test.text(), test.ignores_case()), (TextPlace::Start, "airport/", true));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTest {
    place: TextPlace,
    text: Text,
    ignore_case: bool,
}

impl TextTest {
    pub(crate) fn new(place: TextPlace, text: &str, ignore_case: bool) -> Self {
        let text = if ignore_case { lower(text).into() } else { text.into() };
        Self { place, text, ignore_case }
    }

    /// Where it compares.
    #[must_use]
    pub fn place(&self) -> TextPlace {
        self.place
    }

    /// The text, in lower case when the case is ignored.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether upper and lower case are the same.
    #[must_use]
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        if self.ignore_case {
            let lowered = text.chars().flat_map(char::to_lowercase);
            return match self.place {
                TextPlace::Whole => lowered.eq(self.text.chars()),
                TextPlace::Start => starts_with(lowered, self.text.chars()),
                TextPlace::End => starts_with(lowered.rev(), self.text.chars().rev()),
            };
        }
        match self.place {
            TextPlace::Whole => text == &*self.text,
            TextPlace::Start => text.starts_with(&*self.text),
            TextPlace::End => text.ends_with(&*self.text),
        }
    }
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn starts_with(
    mut text: impl Iterator<Item = char>,
    mut start: impl Iterator<Item = char>,
) -> bool {
    start.all(|c| text.next() == Some(c))
}

/// Text of a shape: `*` stands for any text, none included; `\*` and `\\` for themselves.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::{Node, Test};
/// let filter = Filter::parse("payload.file.like('*.tar.*')")?;
/// let Node::Field { test: Test::Wildcard(wildcard), .. } = filter.node() else { unreachable!() };
/// assert_eq!((wildcard.as_str(), wildcard.ignores_case()), ("*.tar.*", false));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    text: Text,
    /// What stands between the stars.
    pieces: Box<[Text]>,
    ignore_case: bool,
}

impl Wildcard {
    pub(crate) fn new(text: &str, ignore_case: bool) -> Result<Self, String> {
        let mut pieces = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let (Some(c), Some(piece)) = (chars.next(), pieces.last_mut()) {
            match c {
                '*' if chars.peek() == Some(&'*') => {
                    return Err(format!(
                        "wildcard `{text}` has `**`; one `*` stands for any text already"
                    ));
                }
                '*' => pieces.push(String::new()),
                '\\' => match chars.next() {
                    Some(c @ ('*' | '\\')) => piece.push(c),
                    _ => {
                        return Err(format!(
                            r"wildcard `{text}` has a lone `\`; write `\\` for itself or `\*` for a star"
                        ));
                    }
                },
                c => piece.push(c),
            }
        }
        let pieces = pieces
            .iter()
            .map(|piece| if ignore_case { lower(piece).into() } else { piece.as_str().into() });
        Ok(Self { text: text.into(), pieces: pieces.collect(), ignore_case })
    }

    /// The shape as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether upper and lower case are the same.
    #[must_use]
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        if self.ignore_case { self.fits(&lower(text)) } else { self.fits(text) }
    }

    fn fits(&self, text: &str) -> bool {
        let (first, middle, last) = match &*self.pieces {
            [] => return text.is_empty(),
            [only] => return *only == text,
            [first, middle @ .., last] => (first, middle, last),
        };
        let Some(mut rest) =
            text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
        else {
            return false;
        };
        middle.iter().all(|piece| match rest.find(piece.as_str()) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}

/// A regex, compiled once; it searches, so anchor it with `^` and `$` where the whole text counts.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::{Node, Test};
/// let filter = Filter::parse(r"correlation_id.matches(r'^(B6|DL)\d+-')")?;
/// let Node::Field { test: Test::Regex(regex), .. } = filter.node() else { unreachable!() };
/// assert_eq!(regex.as_str(), r"^(B6|DL)\d+-");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Regex(regex::Regex);

impl Regex {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.len() > REGEX_BYTES_MAX {
            return Err(format!(
                "regex is {} bytes long, the most is {REGEX_BYTES_MAX}",
                text.len()
            ));
        }
        let built = regex::RegexBuilder::new(text)
            .size_limit(REGEX_COMPILED_BYTES_MAX)
            .dfa_size_limit(4 * REGEX_COMPILED_BYTES_MAX)
            .nest_limit(REGEX_NEST_MAX)
            .build();
        match built {
            Ok(regex) => Ok(Self(regex)),
            Err(regex::Error::CompiledTooBig(most)) => Err(format!(
                "regex `{text}` compiles to more than {most} bytes; make its repetitions smaller"
            )),
            Err(error) => {
                Err(format!("regex `{text}` is wrong: {}", last_line(&error.to_string())))
            }
        }
    }

    /// The regex as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

const REGEX_NEST_MAX: u32 = 64;

/// The regex crate draws the place over several lines; the last one says what is wrong.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// A range of IP addresses, version 4 or 6.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::{Node, Test};
/// let filter = Filter::parse("payload.ip.inCidr('10.1.2.3/8')")?;
/// let Node::Field { test: Test::Cidr(range), .. } = filter.node() else { unreachable!() };
/// assert_eq!(range.to_string(), "10.0.0.0/8");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    first: IpAddr,
    bits: u32,
}

impl Cidr {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a range of IP addresses; write it like 10.0.0.0/8 or 2001:db8::/32"
            )
        };
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits: u32 = bits.parse().map_err(|_| wrong())?;
        if bits > width(address) {
            return Err(wrong());
        }
        Ok(Self { first: first_of(address, bits), bits })
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        let address: Option<IpAddr> = text.parse().ok();
        address.is_some_and(|address| {
            width(address) == width(self.first) && first_of(address, self.bits) == self.first
        })
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The lowest address with the same leading bits.
fn first_of(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(32 - bits).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(128 - bits).unwrap_or(0)).into())
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}
