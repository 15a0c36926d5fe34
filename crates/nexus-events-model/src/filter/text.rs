//! The text form of a filter: a subset of CEL.

use crate::error::{Error, ErrorKind, Result};
use crate::filter::compile::{Compiled, Compiler, Kind, Refusal, Start, shown, time};
use crate::filter::leaf::{Comparison, Test};
use crate::filter::lexer::{Lexer, Token};
use crate::filter::literal::Literal;
use crate::filter::node::Node;
use crate::filter::path::{Path, Step};
use crate::limits::{FILTER_DEPTH_MAX, FILTER_TEXT_BYTES_MAX};
use crate::nearest::nearest;

/// Parentheses and negations may nest so deep; a tree within its own bound never needs more.
const NESTING_MAX: usize = 2 * FILTER_DEPTH_MAX;

pub(crate) fn parse(text: &str) -> Result<Node> {
    if text.len() > FILTER_TEXT_BYTES_MAX {
        let message =
            format!("filter is {} bytes long, the most is {FILTER_TEXT_BYTES_MAX}", text.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let mut parser = Parser::new(text)?;
    let node = parser.any()?;
    if parser.token != Token::End {
        return Err(parser.expected(match parser.token {
            Token::Symbol("-") => {
                "`&&`, `||` or the end (a name with `-` is written payload['a-b'])"
            }
            _ => "`&&`, `||` or the end",
        }));
    }
    node.bounded()
}

/// What people write who know another language, and what it is here.
const FOREIGN_WORDS: [(&str, &str); 8] = [
    ("and", "&&"),
    ("or", "||"),
    ("is", "=="),
    ("like", ".like('a*z')"),
    ("matches", ".matches(r'..')"),
    ("startswith", ".startsWith('a')"),
    ("endswith", ".endsWith('a')"),
    ("between", ">= and <="),
];

/// A name and its place in the text.
pub(super) struct Name {
    pub(super) text: String,
    pub(super) at: usize,
}

/// A path that was read, with what its values mean.
pub(super) struct Place {
    pub(super) path: Path,
    pub(super) kind: Kind,
    /// The method called on it, when its `(` comes next.
    pub(super) method: Option<Name>,
}

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    pub(super) token: Token,
    pub(super) start: usize,
    depth: usize,
    /// The names for the elements of the enclosing `exists`, innermost last.
    pub(super) scopes: Vec<(String, Kind)>,
    pub(super) compiler: Compiler,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self> {
        let mut lexer = Lexer::new(text);
        let (token, start) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            start,
            depth: 0,
            scopes: Vec::new(),
            compiler: Compiler::new(Start::Event, true),
        })
    }

    fn advance(&mut self) -> Result<Token> {
        let (token, start) = self.lexer.next()?;
        self.start = start;
        Ok(std::mem::replace(&mut self.token, token))
    }

    pub(super) fn accept(&mut self, symbol: &str) -> Result<bool> {
        let found = matches!(self.token, Token::Symbol(found) if found == symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.accept(symbol)? { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    pub(super) fn accept_word(&mut self, word: &str) -> Result<bool> {
        let found = matches!(&self.token, Token::Name(found) if found == word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expected(&self, what: &str) -> Error {
        self.refuse(format!("expected {what}, found {}", self.token.describe()), self.start)
    }

    pub(super) fn refuse(&self, text: String, at: usize) -> Error {
        Refusal::from(text).into_error_at(at)
    }

    pub(super) fn place<T>(at: usize, compiled: Compiled<T>) -> Result<T> {
        compiled.map_err(|refusal| refusal.into_error_at(at))
    }

    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == NESTING_MAX {
            return Self::place(self.start, Err(Refusal::too_deep()));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    pub(super) fn any(&mut self) -> Result<Node> {
        let mut nodes = vec![self.all()?];
        while self.accept("||")? {
            nodes.push(self.all()?);
        }
        Ok(Node::any(nodes))
    }

    fn all(&mut self) -> Result<Node> {
        let mut nodes = vec![self.unary(false)?];
        while self.accept("&&")? {
            nodes.push(self.unary(false)?);
        }
        Ok(Node::all(nodes))
    }

    fn unary(&mut self, negated: bool) -> Result<Node> {
        if self.accept("!")? {
            return Ok(self.nested(|parser| parser.unary(true))?.negated());
        }
        if self.accept("(")? {
            let node = self.nested(Self::any)?;
            self.expect(")")?;
            return Ok(node);
        }
        self.term(negated)
    }

    fn term(&mut self, negated: bool) -> Result<Node> {
        let at = self.start;
        let literal_first = match &self.token {
            Token::Text(_) | Token::Number(_) | Token::Symbol("-") => true,
            Token::Name(name) => matches!(name.as_str(), "true" | "false" | "null"),
            _ => false,
        };
        if literal_first {
            return self.literal_first();
        }
        let (Token::Name(_) | Token::Quoted(_)) = self.token else {
            return Err(self.expected("a field, such as payload.amount"));
        };
        let name = self.name()?;
        if name.text == "timestamp" && self.token == Token::Symbol("(") {
            let literal = self.time_call()?;
            return self.after_literal(literal);
        }
        if self.token == Token::Symbol("(") {
            return self.function(name);
        }
        let place = self.path(name)?;
        if place.method.is_some() {
            return self.method(place);
        }
        let before = self.start;
        let node = self.comparison(place)?;
        let bare = self.start == before;
        if negated && !bare {
            return Err(self.refuse("`!` negates only what follows directly; put the comparison in parentheses, as in !(a == 1)".to_owned(), at));
        }
        Ok(node)
    }

    pub(super) fn name(&mut self) -> Result<Name> {
        let at = self.start;
        match &self.token {
            Token::Name(_) | Token::Quoted(_) => match self.advance()? {
                Token::Name(text) | Token::Quoted(text) => Ok(Name { text, at }),
                _ => Err(self.expected("a name")),
            },
            _ => Err(self.expected("a name")),
        }
    }

    /// The path that starts with this name; a name before `(` is left as its method.
    pub(super) fn path(&mut self, first: Name) -> Result<Place> {
        let at = first.at;
        let inner = self.scopes.last().cloned();
        let mut steps = Vec::new();
        match &inner {
            None => {
                Self::place(at, self.compiler.check_root(&first.text))?;
                steps.push(Step::Key(first.text.into()));
            }
            Some((variable, _)) if *variable == first.text => {}
            Some((variable, _)) => {
                let why = format!(
                    "here every path starts with `{variable}`, the element; `{}` does not",
                    shown(&first.text)
                );
                return Err(self.refuse(why, at));
            }
        }
        let mut method = None;
        loop {
            if self.accept(".")? {
                let name = self.name()?;
                if self.token == Token::Symbol("(") {
                    method = Some(name);
                    break;
                }
                steps.push(Step::Key(name.text.into()));
            } else if self.accept("[")? {
                steps.push(self.subscript()?);
                self.expect("]")?;
            } else {
                break;
            }
        }
        let path = Path::new(steps);
        let kind = match inner {
            None => Self::place(at, self.compiler.check_path(&path))?,
            Some((_, kind)) if path.steps().is_empty() => kind,
            Some(_) => Kind::Plain,
        };
        Ok(Place { path, kind, method })
    }

    fn subscript(&mut self) -> Result<Step> {
        let at = self.start;
        match self.advance()? {
            Token::Text(name) => Ok(Step::Key(name.into())),
            Token::Number(number) => match number
                .to_count()
                .and_then(|index| usize::try_from(index).ok())
            {
                Some(index) => Ok(Step::Index(index)),
                None => Err(self
                    .refuse(format!("`{number}` is not a place in an array; the first is 0"), at)),
            },
            token => Err(self.refuse(
                format!("expected a name in quotes or a number, found {}", token.describe()),
                at,
            )),
        }
    }

    fn comparison(&mut self, place: Place) -> Result<Node> {
        let at = self.start;
        if let Some(comparison) = self.operator()? {
            let at = self.start;
            let literal = self.literal()?;
            let test = Self::place(at, self.compiler.is(place.kind, comparison, literal))?;
            return Ok(Node::field(place.path, test));
        }
        let word = match &self.token {
            Token::Name(word) => word.clone(),
            _ => {
                return Ok(Node::field(
                    place.path,
                    Test::Is(Comparison::Equal, Literal::Bool(true)),
                ));
            }
        };
        let test = match word.as_str() {
            "in" | "not" => {
                let one_of = !self.accept_word("not")?;
                if !self.accept_word("in")? {
                    return Err(self.expected("`in`"));
                }
                let literals = self.literals()?;
                Self::place(at, self.compiler.list(place.kind, one_of, literals))?
            }
            "contains" => {
                self.advance()?;
                Test::Contains(self.literal()?)
            }
            _ => {
                let known =
                    FOREIGN_WORDS.iter().find(|(foreign, _)| word.eq_ignore_ascii_case(foreign));
                let known = known
                    .map(|(_, ours)| *ours)
                    .or_else(|| nearest(&word, ["in", "not in", "contains"]));
                let hint =
                    known.map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
                return Err(self.refuse(format!("`{}` is no operator{hint}", shown(&word)), at));
            }
        };
        Ok(Node::field(place.path, test))
    }

    pub(super) fn operator(&mut self) -> Result<Option<Comparison>> {
        let Token::Symbol(symbol) = self.token else {
            return Ok(None);
        };
        let found = Comparison::ALL.into_iter().find(|comparison| comparison.as_str() == symbol);
        if found.is_some() {
            self.advance()?;
        }
        Ok(found)
    }

    /// `100 < payload.amount`, `'a' in payload.tags`, or `true` and `false` alone.
    fn literal_first(&mut self) -> Result<Node> {
        let literal = self.literal()?;
        self.after_literal(literal)
    }

    fn after_literal(&mut self, literal: Literal) -> Result<Node> {
        if self.accept_word("in")? {
            let name = self.name()?;
            let place = self.whole_path(name)?;
            return Ok(Node::field(place.path, Test::Contains(literal)));
        }
        let at = self.start;
        let Some(comparison) = self.operator()? else {
            return match literal {
                Literal::Bool(true) => Ok(Node::All(Box::new([]))),
                Literal::Bool(false) => Ok(Node::Any(Box::new([]))),
                _ => Err(self.expected(&format!("a comparison after {literal}"))),
            };
        };
        let (Token::Name(_) | Token::Quoted(_)) = self.token else {
            return Err(self.expected("a field to compare with"));
        };
        let name = self.name()?;
        let place = self.whole_path(name)?;
        let test = Self::place(at, self.compiler.is(place.kind, comparison.flipped(), literal))?;
        Ok(Node::field(place.path, test))
    }

    /// A path without a method after it.
    pub(super) fn whole_path(&mut self, name: Name) -> Result<Place> {
        let place = self.path(name)?;
        match &place.method {
            None => Ok(place),
            Some(method) => Err(self.refuse(
                format!("`{}(..)` cannot stand here; a field is expected", shown(&method.text)),
                method.at,
            )),
        }
    }

    pub(super) fn literal(&mut self) -> Result<Literal> {
        let at = self.start;
        let literal = match &self.token {
            Token::Text(text) => Literal::Text(text.as_str().into()),
            Token::Number(number) => Literal::Number(*number),
            Token::Name(name) => match name.as_str() {
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                "null" => Literal::Null,
                "timestamp" => {
                    self.advance()?;
                    return self.time_call();
                }
                name => {
                    let name = shown(name);
                    return Err(self.refuse(
                        format!("expected a value, found `{name}`; write text in quotes: '{name}'"),
                        at,
                    ));
                }
            },
            _ => return Err(self.expected("a value, such as 'text', 42, true or null")),
        };
        self.advance()?;
        Ok(literal)
    }

    fn time_call(&mut self) -> Result<Literal> {
        self.expect("(")?;
        let at = self.start;
        let text = self.text_argument()?;
        self.expect(")")?;
        Self::place(at, time(&text)).map(Literal::Time)
    }

    pub(super) fn text_argument(&mut self) -> Result<String> {
        match &self.token {
            Token::Text(text) => {
                let text = text.clone();
                self.advance()?;
                Ok(text)
            }
            _ => Err(self.expected("text in quotes")),
        }
    }

    fn literals(&mut self) -> Result<Vec<Literal>> {
        self.expect("[")?;
        let mut literals = Vec::new();
        while self.token != Token::Symbol("]") {
            literals.push(self.literal()?);
            if !self.accept(",")? {
                break;
            }
        }
        self.expect("]")?;
        Ok(literals)
    }
}
