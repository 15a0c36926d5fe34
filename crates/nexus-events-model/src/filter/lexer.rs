//! The words of a filter in text form.

use crate::error::Error;
use crate::filter::compile::{Refusal, shown};
use crate::filter::number::Number;
use crate::filter::path::{is_name_char, is_name_start};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Name(String),
    /// A name in backticks, which may be any text.
    Quoted(String),
    Text(String),
    Number(Number),
    Symbol(&'static str),
    End,
}

impl Token {
    /// As an error repeats it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Name(name) | Self::Quoted(name) => format!("`{}`", shown(name)),
            Self::Text(text) => format!("text '{}'", shown(text)),
            Self::Number(number) => format!("number {number}"),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 16] =
    ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ",", ".", "-"];

/// What people write who know another language, and what it is here.
const FOREIGN: [(&str, &str); 6] =
    [("=", "=="), ("&", "&&"), ("|", "||"), ("~", ".matches(..)"), ("{", "("), (";", "&&")];

#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next word and the byte it starts at.
    pub(crate) fn next(&mut self) -> Result<(Token, usize), Error> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        let start = self.at;
        let token = self.token().map_err(|text| Refusal::from(text).into_error_at(self.at))?;
        Ok((token, start))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn token(&mut self) -> Result<Token, String> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        match first {
            '\'' | '"' => self.text_token(first).map(Token::Text),
            'r' if rest[1..].starts_with(['\'', '"']) => self.raw_token().map(Token::Text),
            '`' => self.raw_until('`').map(Token::Quoted),
            '0'..='9' => self.number_token(),
            '-' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number_token(),
            c if is_name_start(c) => {
                let name = &rest[..rest.find(|c| !is_name_char(c)).unwrap_or(rest.len())];
                self.at += name.len();
                Ok(Token::Name(name.to_owned()))
            }
            _ => self.symbol_token(first),
        }
    }

    fn symbol_token(&mut self, first: char) -> Result<Token, String> {
        let rest = self.rest();
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        match FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign)) {
            Some((foreign, ours)) => {
                Err(format!("`{foreign}` has no meaning here; did you mean `{ours}`?"))
            }
            None => Err(format!("{first:?} has no meaning here")),
        }
    }

    /// Digits, a fraction, an exponent. Read as JSON reads them, so that the same digits in an
    /// event are the same number.
    fn number_token(&mut self) -> Result<Token, String> {
        let rest = self.rest();
        let mut before = '-';
        let end = rest.find(|c: char| {
            let sign =
                matches!(c, '-' | '+') && matches!(before, 'e' | 'E') || c == '-' && before == '-';
            before = c;
            !(sign || c.is_ascii_alphanumeric() || c == '.' || c == '_')
        });
        let digits = &rest[..end.unwrap_or(rest.len())];
        let number =
            serde_json::from_str(digits).ok().and_then(|number| Number::from_json(&number));
        let number = number.ok_or_else(|| {
            format!("`{}` is not a number; write it like 42, -1.5 or 3e8", shown(digits))
        })?;
        self.at += digits.len();
        Ok(Token::Number(number))
    }

    /// `r'..'`, in which a backslash is a backslash.
    fn raw_token(&mut self) -> Result<String, String> {
        self.at += 1;
        match self.rest().chars().next() {
            Some('"') => self.raw_until('"'),
            _ => self.raw_until('\''),
        }
    }

    fn raw_until(&mut self, quote: char) -> Result<String, String> {
        let inside = &self.rest()[1..];
        let end = inside.find(quote).ok_or_else(|| format!("the {quote} here is never closed"))?;
        self.at += end + 2;
        Ok(inside[..end].to_owned())
    }

    fn text_token(&mut self, quote: char) -> Result<String, String> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let Some(c) = self.rest().chars().next() else {
                self.at = start;
                return Err(format!("the {quote} here is never closed"));
            };
            if c == '\\' {
                text.push(self.escape()?);
                continue;
            }
            self.at += c.len_utf8();
            if c == quote {
                return Ok(text);
            }
            text.push(c);
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let rest = &self.rest()[1..];
        let (c, length) = match rest.chars().next() {
            Some(c @ ('\\' | '\'' | '"' | '`' | '?')) => (c, 1),
            Some('n') => ('\n', 1),
            Some('r') => ('\r', 1),
            Some('t') => ('\t', 1),
            Some('x') => (code_point(rest, 2)?, 3),
            Some('u') => (code_point(rest, 4)?, 5),
            Some('U') => (code_point(rest, 8)?, 9),
            _ => {
                return Err(
                    r"unknown escape; a backslash itself is `\\`, or write the text as r'..'"
                        .to_owned(),
                );
            }
        };
        self.at += 1 + length;
        Ok(c)
    }
}

/// The character whose number stands in hexadecimal after the first letter.
fn code_point(rest: &str, digits: usize) -> Result<char, String> {
    let number = rest.get(1..=digits).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
    let c = number.and_then(|text| u32::from_str_radix(text, 16).ok()).and_then(char::from_u32);
    c.ok_or_else(|| {
        format!("this escape needs {digits} hexadecimal digits that are the number of a character")
    })
}
