//! What all syntaxes share while they become a tree: names, kinds of fields, bounds, errors.

use crate::error::{Error, ErrorKind};
use crate::event_type::EventType;
use crate::filter::leaf::{Comparison, List, Test};
use crate::filter::literal::{Literal, parse_time};
use crate::filter::path::{Path, Root, Step};
use crate::filter::shape::{Cidr, Regex, Wildcard};
use crate::json::FIELDS;
use crate::limits::{FILTER_DEPTH_MAX, FILTER_LIST_MAX, FILTER_REGEXES_MAX};
use crate::nearest::nearest;
use crate::pattern::Pattern;
use crate::priority::Priority;
use crate::timestamp;

/// Why a filter is refused, before its place is known.
#[derive(Debug)]
pub(crate) struct Refusal {
    kind: ErrorKind,
    text: String,
}

pub(crate) type Compiled<T> = Result<T, Refusal>;

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self { kind: ErrorKind::InvalidFilter, text }
    }
}

impl Refusal {
    pub(crate) fn too_large(text: String) -> Self {
        Self { kind: ErrorKind::TooLarge, text }
    }

    pub(crate) fn too_deep() -> Self {
        Self::too_large(format!(
            "filter is nested more than {FILTER_DEPTH_MAX} deep; split it into several filters"
        ))
    }

    /// Says where, unless a nearer place was said already.
    pub(crate) fn within(mut self, place: &str) -> Self {
        if !self.text.starts_with("filter ") && !self.text.starts_with("unknown field ") {
            let place: String = place.chars().take(SHOWN_CHARS).collect();
            self.text = format!("filter field `{place}`: {}", self.text);
        }
        self
    }

    pub(crate) fn into_error(self) -> Error {
        Error::new(self.kind, self.text)
    }

    pub(crate) fn into_error_at(self, position: usize) -> Error {
        Error::new(self.kind, format!("{} (at byte {position})", self.text)).at(position)
    }
}

/// How much of a wrong name or value an error repeats.
pub(crate) const SHOWN_CHARS: usize = 64;

pub(crate) fn shown(text: impl ToString) -> String {
    let text = text.to_string();
    let short: String = text.chars().take(SHOWN_CHARS).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

/// What a field of the envelope means, beyond its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Time,
    Priority,
    EventType,
}

/// What the paths of a filter start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// An event; a name that no event has is refused.
    Event,
    /// Any JSON object.
    Json,
}

/// The rules and the bounds for one filter under construction.
#[derive(Debug)]
pub(crate) struct Compiler {
    start: Start,
    /// Whether a value that can never match is refused too.
    strict: bool,
    regexes: usize,
}

impl Compiler {
    pub(crate) fn new(start: Start, strict: bool) -> Self {
        Self { start, strict, regexes: 0 }
    }

    /// Checks the first name of a path from the event.
    pub(crate) fn check_root(&self, name: &str) -> Compiled<()> {
        if self.start == Start::Json || Root::named(name).is_some() {
            return Ok(());
        }
        let names = Root::NAMES.map(|(name, _)| name);
        let hint = match nearest(name, names) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!(
                "an event has {}; what is inside the payload is `payload.{}`",
                FIELDS.join(", "),
                shown(name)
            ),
        };
        Err(format!("unknown field `{}`; {hint}", shown(name)).into())
    }

    /// Checks a whole path from the event, and says what its values mean.
    pub(crate) fn check_path(&self, path: &Path) -> Compiled<Kind> {
        if self.start == Start::Json {
            return Ok(Kind::Plain);
        }
        let Some(root) = path.root() else {
            let first = path.steps().first();
            let name = first.map_or_else(String::new, |step| match step {
                Step::Key(name) => name.to_string(),
                Step::Index(index) => index.to_string(),
            });
            return self.check_root(&name).map(|()| Kind::Plain);
        };
        let scalar = !matches!(root, Root::Payload | Root::Metadata);
        if scalar && path.steps().len() > 1 {
            return Err(format!(
                "`{path}` never exists: only `payload` and `metadata` have fields of their own"
            )
            .into());
        }
        Ok(match root {
            Root::Timestamp => Kind::Time,
            Root::Priority => Kind::Priority,
            Root::EventType => Kind::EventType,
            _ => Kind::Plain,
        })
    }

    /// The literal as the field means it: `'high'` is a priority where a priority stands.
    pub(crate) fn literal(&self, kind: Kind, literal: Literal) -> Compiled<Literal> {
        let Literal::Text(text) = &literal else {
            return Ok(literal);
        };
        let meant = match kind {
            Kind::Plain => return Ok(literal),
            Kind::Time => time(text).map(Literal::Time),
            Kind::Priority => priority(text).map(Literal::Priority),
            Kind::EventType => event_type(text).map(|()| literal.clone()),
        };
        match meant {
            Err(_) if !self.strict => Ok(literal),
            meant => meant,
        }
    }

    pub(crate) fn is(
        &self,
        kind: Kind,
        comparison: Comparison,
        literal: Literal,
    ) -> Compiled<Test> {
        if comparison.is_order() && !literal.is_ordered() {
            let operator = comparison.as_str();
            return Err(format!(
                "`{operator}` needs a number or text; {literal} compares only with == and !="
            )
            .into());
        }
        if kind == Kind::EventType && comparison.is_order() {
            return Ok(Test::Is(comparison, literal));
        }
        Ok(Test::Is(comparison, self.literal(kind, literal)?))
    }

    /// One of the list, or none of it.
    pub(crate) fn list(&self, kind: Kind, one_of: bool, literals: Vec<Literal>) -> Compiled<Test> {
        check_list(literals.len())?;
        let mut meant = Vec::with_capacity(literals.len());
        for literal in literals {
            meant.push(self.literal(kind, literal)?);
        }
        let list = List::new(meant);
        Ok(match list.literals() {
            [only] if one_of => Test::Is(Comparison::Equal, only.clone()),
            [only] => Test::Is(Comparison::NotEqual, only.clone()),
            _ if one_of => Test::OneOf(list),
            _ => Test::NoneOf(list),
        })
    }

    pub(crate) fn regex(&mut self, text: &str) -> Compiled<Test> {
        self.regexes += 1;
        if self.regexes > FILTER_REGEXES_MAX {
            return Err(Refusal::too_large(format!(
                "filter has more than {FILTER_REGEXES_MAX} regexes; join them with `|`"
            )));
        }
        Ok(Test::Regex(Regex::new(text)?))
    }
}

/// Refuses an empty list and one over the bound.
pub(crate) fn check_list(length: usize) -> Compiled<()> {
    match length {
        0 => {
            Err("the list is empty and would match nothing; give it a value or leave the field out"
                .to_owned()
                .into())
        }
        1..=FILTER_LIST_MAX => Ok(()),
        _ => Err(Refusal::too_large(format!(
            "the list has {length} values, the most is {FILTER_LIST_MAX}"
        ))),
    }
}

pub(crate) fn wildcard(text: &str, ignore_case: bool) -> Compiled<Test> {
    Ok(Test::Wildcard(Wildcard::new(text, ignore_case)?))
}

pub(crate) fn cidr(text: &str) -> Compiled<Test> {
    Ok(Test::Cidr(Cidr::new(text)?))
}

pub(crate) fn pattern(text: &str) -> Compiled<Test> {
    Pattern::new(text).map(Test::Pattern).map_err(|error| error.to_string().into())
}

pub(crate) fn time(text: &str) -> Compiled<time::OffsetDateTime> {
    match parse_time(text) {
        Some(time) => Ok(time),
        None => timestamp::parse(text).map_err(|error| error.to_string().into()),
    }
}

fn priority(text: &str) -> Compiled<Priority> {
    text.parse().map_err(|error: Error| error.to_string().into())
}

fn event_type(text: &str) -> Compiled<()> {
    let Err(error) = EventType::new(text) else {
        return Ok(());
    };
    let hint = if text.contains(['*', '>']) {
        "; for wildcards write event_type.matchesPattern(..), in JSON {\"pattern\": ..}"
    } else {
        ""
    };
    Err(format!("{error}{hint}").into())
}
