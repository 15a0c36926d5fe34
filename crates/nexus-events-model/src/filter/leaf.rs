//! What a filter asks of one value.

use std::cmp::Ordering;

use crate::filter::literal::Literal;
use crate::filter::shape::{Cidr, Regex, TextTest, Wildcard};
use crate::pattern::Pattern;

/// What a filter asks of the values at a path. A value of another type than the test is about
/// does not pass, and is never an error.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::{Comparison, Literal, Node, Test};
///
/// let filter = Filter::parse("payload.amount > 100")?;
/// let Node::Field { test, .. } = filter.node() else { unreachable!() };
/// assert_eq!(*test, Test::Is(Comparison::Greater, Literal::Number(100_i64.into())));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Test {
    /// There is a scalar, null included. Neither an object nor an empty array is one.
    Exists,
    /// There is anything, an object or an empty array too.
    Has,
    /// A scalar that compares so with the literal.
    Is(Comparison, Literal),
    /// A scalar equal to one of the list.
    OneOf(List),
    /// A scalar equal to none of the list.
    NoneOf(List),
    /// Text that equals, starts with or ends with other text.
    Text(TextTest),
    /// Text of a shape with `*` in it.
    Wildcard(Wildcard),
    /// Text in which the regex finds something.
    Regex(Regex),
    /// Text that is an IP address of this range.
    Cidr(Cidr),
    /// An event type that the pattern matches.
    Pattern(Pattern),
    /// An array with an element equal to the literal, or text with the literal's text in it.
    Contains(Literal),
    /// An array, object or text of such a length; text counts characters.
    Size(Comparison, u64),
}

/// How a value has to compare with a literal.
///
/// ```
/// use nexus_events_model::filter_ast::Comparison;
/// assert_eq!(Comparison::AtLeast.as_str(), ">=");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`: there is a scalar, and it is not equal. A missing value is not unequal.
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    pub(crate) const ALL: [Self; 6] =
        [Self::Equal, Self::NotEqual, Self::Less, Self::AtMost, Self::Greater, Self::AtLeast];

    /// The operator of the text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }

    pub(crate) fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    /// The comparison with its sides exchanged.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    pub(crate) fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// The alternatives of [`Test::OneOf`] and [`Test::NoneOf`], sorted and each once.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::{Node, Test};
/// let filter = Filter::parse("channel in ['web', 'cli', 'web']")?;
/// let Node::Field { test: Test::OneOf(list), .. } = filter.node() else { unreachable!() };
/// assert_eq!(list.literals().len(), 2);
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    literals: Box<[Literal]>,
    searchable: bool,
}

impl List {
    pub(crate) fn new(mut literals: Vec<Literal>) -> Self {
        literals.sort_unstable();
        literals.dedup();
        let searchable = literals.iter().all(Literal::is_plain);
        Self { literals: literals.into(), searchable }
    }

    /// The alternatives.
    #[must_use]
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// Whether a binary search over the literals finds every equal value.
    pub(crate) fn is_searchable(&self) -> bool {
        self.searchable
    }
}
