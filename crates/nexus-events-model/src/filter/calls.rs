//! The functions and methods of the text form.

use crate::error::Result;
use crate::filter::compile::{cidr, pattern, shown, wildcard};
use crate::filter::leaf::Test;
use crate::filter::lexer::Token;
use crate::filter::literal::Literal;
use crate::filter::node::Node;
use crate::filter::shape::{TextPlace, TextTest};
use crate::filter::text::{Name, Parser, Place};
use crate::nearest::nearest;

const FUNCTIONS: [&str; 4] = ["has", "exists", "size", "timestamp"];

const METHODS: [&str; 11] = [
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "like",
    "lower",
    "inCidr",
    "matchesPattern",
    "exists",
    "all",
    "size",
];

const LOWER_METHODS: [&str; 3] = ["startsWith", "endsWith", "like"];

const RESERVED: [&str; 6] = ["true", "false", "null", "in", "not", "timestamp"];

impl Parser<'_> {
    /// `has(path)`, `exists(path)`, `size(path) > 3`; the `(` comes next.
    pub(super) fn function(&mut self, name: Name) -> Result<Node> {
        if !FUNCTIONS.contains(&&*name.text) {
            return Err(self.unknown_call("function", &name, FUNCTIONS));
        }
        self.expect("(")?;
        let first = self.name()?;
        let place = self.whole_path(first)?;
        self.expect(")")?;
        match &*name.text {
            "has" => Ok(Node::field(place.path, Test::Has)),
            "exists" => Ok(Node::field(place.path, Test::Exists)),
            _ => self.size(place),
        }
    }

    fn unknown_call<const N: usize>(
        &self,
        what: &str,
        name: &Name,
        known: [&'static str; N],
    ) -> crate::error::Error {
        let hint = match nearest(&name.text, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        self.refuse(format!("unknown {what} `{}`; {hint}", shown(&name.text)), name.at)
    }

    /// What follows `size(path)`.
    fn size(&mut self, place: Place) -> Result<Node> {
        let Some(comparison) = self.operator()? else {
            return Err(self.expected("a comparison, such as > 3"));
        };
        let at = self.start;
        let count = match self.literal()? {
            Literal::Number(number) => number.to_count(),
            _ => None,
        };
        match count {
            Some(count) => Ok(Node::field(place.path, Test::Size(comparison, count))),
            None => Err(self.refuse("a size compares with a whole number from 0".to_owned(), at)),
        }
    }

    /// The call of `place.method`; the `(` comes next.
    pub(super) fn method(&mut self, mut place: Place) -> Result<Node> {
        let Some(name) = place.method.take() else {
            return Err(self.expected("a method"));
        };
        self.expect("(")?;
        let at = self.start;
        let test = match &*name.text {
            "exists" | "all" => return self.each(place, name.text == "all"),
            "size" => {
                self.expect(")")?;
                return self.size(place);
            }
            "lower" => {
                self.expect(")")?;
                return self.lowered(place);
            }
            "contains" => Test::Contains(self.literal()?),
            "startsWith" => {
                Test::Text(TextTest::new(TextPlace::Start, &self.text_argument()?, false))
            }
            "endsWith" => Test::Text(TextTest::new(TextPlace::End, &self.text_argument()?, false)),
            "like" => {
                let text = self.text_argument()?;
                Self::place(at, wildcard(&text, false))?
            }
            "matches" => {
                let text = self.text_argument()?;
                Self::place(at, self.compiler.regex(&text))?
            }
            "inCidr" => {
                let text = self.text_argument()?;
                Self::place(at, cidr(&text))?
            }
            "matchesPattern" => {
                let text = self.text_argument()?;
                Self::place(at, pattern(&text))?
            }
            _ => return Err(self.unknown_call("method", &name, METHODS)),
        };
        self.expect(")")?;
        Ok(Node::field(place.path, test))
    }

    /// What follows `path.lower()`.
    fn lowered(&mut self, place: Place) -> Result<Node> {
        if self.accept("==")? {
            let text = self.text_argument()?;
            return Ok(Node::field(
                place.path,
                Test::Text(TextTest::new(TextPlace::Whole, &text, true)),
            ));
        }
        if !self.accept(".")? {
            return Err(self.expected("`==`, `.startsWith(..)`, `.endsWith(..)` or `.like(..)`"));
        }
        let name = self.name()?;
        self.expect("(")?;
        let at = self.start;
        let test = match &*name.text {
            "startsWith" => {
                Test::Text(TextTest::new(TextPlace::Start, &self.text_argument()?, true))
            }
            "endsWith" => Test::Text(TextTest::new(TextPlace::End, &self.text_argument()?, true)),
            "like" => {
                let text = self.text_argument()?;
                Self::place(at, wildcard(&text, true))?
            }
            _ => return Err(self.unknown_call("method after lower()", &name, LOWER_METHODS)),
        };
        self.expect(")")?;
        Ok(Node::field(place.path, test))
    }

    /// `path.exists(x, x.sku == 'a')`, or `all`, which is that no element fails it.
    fn each(&mut self, place: Place, all: bool) -> Result<Node> {
        let variable = self.name()?;
        if RESERVED.contains(&&*variable.text) {
            return Err(self.refuse(
                format!("`{}` cannot name an element; choose another name", variable.text),
                variable.at,
            ));
        }
        self.expect(",")?;
        self.scopes.push((variable.text, place.kind));
        let node = self.nested(Self::any)?;
        self.scopes.pop();
        if self.token != Token::Symbol(")") {
            return Err(self.expected("`&&`, `||` or `)`"));
        }
        self.expect(")")?;
        Ok(if all {
            Node::each(place.path, node.negated()).negated()
        } else {
            Node::each(place.path, node)
        })
    }
}

/// Whether the test reads as one call, so that `!` may stand before it.
pub(super) fn is_call(test: &Test) -> bool {
    match test {
        Test::Text(test) => test.place() != TextPlace::Whole,
        Test::Is(..) | Test::OneOf(_) | Test::NoneOf(_) | Test::Size(..) => false,
        _ => true,
    }
}
