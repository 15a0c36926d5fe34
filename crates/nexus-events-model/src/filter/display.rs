//! A filter as canonical text.

use std::fmt;

use crate::filter::calls::is_call;
use crate::filter::leaf::{List, Test};
use crate::filter::literal::Quoted;
use crate::filter::node::Node;
use crate::filter::path::{Path, Variable};
use crate::filter::shape::TextPlace;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { node: self, scope: 0 }.fmt(f)
    }
}

/// A node inside so many [`Node::Each`].
pub(crate) struct Written<'a> {
    pub(crate) node: &'a Node,
    pub(crate) scope: usize,
}

impl Written<'_> {
    fn child<'a>(&self, node: &'a Node) -> Written<'a> {
        Written { node, scope: self.scope }
    }

    /// In parentheses where it would be read otherwise without.
    fn grouped(&self, group: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if group { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Node::All(nodes) if nodes.is_empty() => f.write_str("true"),
            Node::Any(nodes) if nodes.is_empty() => f.write_str("false"),
            Node::All(nodes) => nodes.iter().enumerate().try_for_each(|(i, node)| {
                f.write_str(if i == 0 { "" } else { " && " })?;
                self.child(node).grouped(matches!(node, Node::Any(nodes) if !nodes.is_empty()), f)
            }),
            Node::Any(nodes) => nodes.iter().enumerate().try_for_each(|(i, node)| {
                f.write_str(if i == 0 { "" } else { " || " })?;
                self.child(node).fmt(f)
            }),
            Node::Not(node) => {
                let bare = match &**node {
                    Node::Field { test, .. } => is_call(test),
                    Node::Each { .. } => true,
                    _ => false,
                };
                f.write_str("!")?;
                self.child(node).grouped(!bare, f)
            }
            Node::Field { path, test } => write_test(path, self.scope, test, f),
            Node::Each { path, node } => {
                let inner = Written { node, scope: self.scope + 1 };
                write!(
                    f,
                    "{}.exists({}, {inner})",
                    WrittenPath(path, self.scope),
                    Variable(inner.scope)
                )
            }
        }
    }
}

/// A path inside so many [`Node::Each`].
pub(crate) struct WrittenPath<'a>(pub(crate) &'a Path, pub(crate) usize);

impl fmt::Display for WrittenPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(self.1, f)
    }
}

fn write_test(path: &Path, scope: usize, test: &Test, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let path = WrittenPath(path, scope);
    match test {
        Test::Exists => write!(f, "exists({path})"),
        Test::Has => write!(f, "has({path})"),
        Test::Is(comparison, literal) => write!(f, "{path} {} {literal}", comparison.as_str()),
        Test::OneOf(list) => write!(f, "{path} in {list}"),
        Test::NoneOf(list) => write!(f, "{path} not in {list}"),
        Test::Text(test) => {
            let lower = if test.ignores_case() { ".lower()" } else { "" };
            let text = Quoted(test.text());
            match test.place() {
                TextPlace::Whole => write!(f, "{path}{lower} == {text}"),
                TextPlace::Start => write!(f, "{path}{lower}.startsWith({text})"),
                TextPlace::End => write!(f, "{path}{lower}.endsWith({text})"),
            }
        }
        Test::Wildcard(wildcard) => {
            let lower = if wildcard.ignores_case() { ".lower()" } else { "" };
            write!(f, "{path}{lower}.like({})", Quoted(wildcard.as_str()))
        }
        Test::Regex(regex) => write!(f, "{path}.matches({})", Quoted(regex.as_str())),
        Test::Cidr(range) => write!(f, "{path}.inCidr('{range}')"),
        Test::Pattern(pattern) => write!(f, "{path}.matchesPattern('{pattern}')"),
        Test::Contains(literal) => write!(f, "{path}.contains({literal})"),
        Test::Size(comparison, size) => write!(f, "size({path}) {} {size}", comparison.as_str()),
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, literal) in self.literals().iter().enumerate() {
            write!(f, "{}{literal}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
