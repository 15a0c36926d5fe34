//! The tree a filter is, and its bounds.

use crate::error::{Error, ErrorKind, Result};
use crate::filter::leaf::Test;
use crate::filter::path::Path;
use crate::limits::{FILTER_DEPTH_MAX, FILTER_NODES_MAX, FILTER_REGEXES_MAX};

/// A node of a filter. All syntaxes parse into it; everything that matches or explains reads it.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::Node;
/// let filter = Filter::parse("source == 'shop' && !has(target)")?;
/// let Node::All(nodes) = filter.node() else { unreachable!() };
/// assert!(matches!(nodes[1], Node::Not(_)));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Node {
    /// Every one matches; of none, that is true.
    All(Box<[Self]>),
    /// At least one matches; of none, that is false.
    Any(Box<[Self]>),
    /// It does not match.
    Not(Box<Self>),
    /// A value at the path passes the test.
    #[non_exhaustive]
    Field {
        /// Where to look.
        path: Path,
        /// What to ask there.
        test: Test,
    },
    /// One and the same value at the path, an element where there is an array, matches the whole
    /// node, whose paths start at that value.
    #[non_exhaustive]
    Each {
        /// Where to look.
        path: Path,
        /// What to ask of each value there.
        node: Box<Self>,
    },
}

impl Node {
    pub(crate) fn all(nodes: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Self::All(inner) => flat.extend(inner),
                node => flat.push(node),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::All(flat.into()) }
    }

    pub(crate) fn any(nodes: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Self::Any(inner) => flat.extend(inner),
                node => flat.push(node),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::Any(flat.into()) }
    }

    /// The opposite; what is negated twice is itself.
    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Not(node) => *node,
            node => Self::Not(node.into()),
        }
    }

    pub(crate) fn field(path: Path, test: Test) -> Self {
        Self::Field { path, test }
    }

    pub(crate) fn each(path: Path, node: Self) -> Self {
        Self::Each { path, node: node.into() }
    }

    /// Its children.
    pub(crate) fn children(&self) -> &[Self] {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes,
            Self::Not(node) | Self::Each { node, .. } => std::slice::from_ref(node),
            Self::Field { .. } => &[],
        }
    }

    /// The number of nodes, this one included.
    pub(crate) fn count(&self) -> usize {
        1 + self.children().iter().map(Self::count).sum::<usize>()
    }

    /// The number of nodes on the longest way down, this one included.
    pub(crate) fn depth(&self) -> usize {
        1 + self.children().iter().map(Self::depth).max().unwrap_or(0)
    }

    fn regexes(&self) -> usize {
        let own = matches!(self, Self::Field { test: Test::Regex(_), .. });
        usize::from(own) + self.children().iter().map(Self::regexes).sum::<usize>()
    }

    /// The node itself, when it is within the bounds.
    pub(crate) fn bounded(self) -> Result<Self> {
        within("nodes", self.count(), FILTER_NODES_MAX)?;
        within("nested nodes", self.depth(), FILTER_DEPTH_MAX)?;
        within("regexes", self.regexes(), FILTER_REGEXES_MAX)?;
        Ok(self)
    }
}

fn within(what: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!("filter has {count} {what}, the most is {most}; split it into several filters"),
    ))
}
