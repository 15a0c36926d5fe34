//! What may stand for a value in the JSON syntaxes: a scalar, a list of alternatives, an object of
//! operators.

use serde_json::{Map, Value};

use crate::filter::compile::{
    Compiled, Compiler, Kind, Refusal, check_list, cidr, pattern, shown, time, wildcard,
};
use crate::filter::leaf::{Comparison, Test};
use crate::filter::literal::Literal;
use crate::filter::node::Node;
use crate::filter::number::Number;
use crate::filter::path::Path;
use crate::filter::shape::{TextPlace, TextTest};
use crate::limits::FILTER_DEPTH_MAX;
use crate::nearest::nearest;

/// Every operator, as it is spelled with hyphens.
const OPERATORS: [&str; 33] = [
    "==",
    "eq",
    "!=",
    "ne",
    "neq",
    "<",
    "lt",
    "<=",
    "lte",
    ">",
    "gt",
    ">=",
    "gte",
    "in",
    "nin",
    "anything-but",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "wildcard",
    "ignore-case",
    "regex",
    "cidr",
    "pattern",
    "numeric",
    "exists",
    "has",
    "contains",
    "size",
    "before",
    "after",
    "all-of",
    "any-of",
];

/// A condition on the value that the path leads to.
enum Condition {
    /// On one scalar; further ones have to hold for the same scalar.
    Scalar(Node),
    /// On the value as a whole, an array included.
    Whole(Node),
}

impl Compiler {
    /// A scalar is equality, a list is any of it, an object is operators that all hold.
    pub(crate) fn value(
        &mut self,
        path: &Path,
        kind: Kind,
        value: &Value,
        depth: usize,
    ) -> Compiled<Node> {
        match value {
            Value::Array(list) => self.any_of(path, kind, list, depth),
            Value::Object(operators) => self.operators(path, kind, operators, depth),
            scalar => {
                let test = self.is(kind, Comparison::Equal, literal(scalar)?)?;
                Ok(Node::field(path.clone(), test))
            }
        }
    }

    fn any_of(&mut self, path: &Path, kind: Kind, list: &[Value], depth: usize) -> Compiled<Node> {
        check_list(list.len())?;
        let (mut literals, mut nodes) = (Vec::new(), Vec::new());
        for value in list {
            match value {
                Value::Array(_) => {
                    return Err("a list within a list has no meaning; write one list"
                        .to_owned()
                        .into());
                }
                Value::Object(operators) => {
                    nodes.push(self.operators(path, kind, operators, depth)?);
                }
                scalar => literals.push(literal(scalar)?),
            }
        }
        if !literals.is_empty() {
            nodes.insert(0, Node::field(path.clone(), self.list(kind, true, literals)?));
        }
        Ok(Node::any(nodes))
    }

    pub(crate) fn operators(
        &mut self,
        path: &Path,
        kind: Kind,
        operators: &Map<String, Value>,
        depth: usize,
    ) -> Compiled<Node> {
        if depth >= FILTER_DEPTH_MAX {
            return Err(Refusal::too_deep());
        }
        let ignore_case = ignore_case(operators)?;
        let (mut scalars, mut wholes) = (Vec::new(), Vec::new());
        for (name, operand) in operators {
            let name = name.replace('_', "-");
            if name == "ignore-case" {
                continue;
            }
            match self.operator(path, kind, &name, operand, ignore_case, depth)? {
                Condition::Scalar(node) => scalars.push(node),
                Condition::Whole(node) => wholes.push(node),
            }
        }
        if scalars.is_empty() && wholes.is_empty() {
            return Err("an empty object has no meaning; give it an operator such as {\">\": 100}"
                .to_owned()
                .into());
        }
        if !scalars.is_empty() {
            wholes.push(on_same_value(path, Node::all(scalars)));
        }
        Ok(Node::all(wholes))
    }

    fn operator(
        &mut self,
        path: &Path,
        kind: Kind,
        name: &str,
        operand: &Value,
        ignore_case: bool,
        depth: usize,
    ) -> Compiled<Condition> {
        let here = |test: Test| Condition::Scalar(Node::field(Path::here(), test));
        if let Some(comparison) = comparison(name) {
            return Ok(match operand {
                Value::Array(list) if comparison == Comparison::NotEqual => {
                    here(self.list(kind, false, literals(list)?)?)
                }
                scalar => here(self.is(kind, comparison, literal(scalar)?)?),
            });
        }
        let whole = |test: Test| Condition::Whole(Node::field(path.clone(), test));
        Ok(match name {
            "in" => here(self.list(kind, true, literals(list(name, operand)?)?)?),
            "nin" => here(self.list(kind, false, literals(list(name, operand)?)?)?),
            "anything-but" => Condition::Scalar(self.anything_but(kind, operand, depth)?),
            "prefix" => here(affix(TextPlace::Start, name, operand, ignore_case)?),
            "suffix" => here(affix(TextPlace::End, name, operand, ignore_case)?),
            "equals-ignore-case" => {
                here(Test::Text(TextTest::new(TextPlace::Whole, text(name, operand)?, true)))
            }
            "wildcard" => here(wildcard(text(name, operand)?, ignore_case)?),
            "regex" => here(self.regex(text(name, operand)?)?),
            "cidr" => here(cidr(text(name, operand)?)?),
            "pattern" => here(pattern(text(name, operand)?)?),
            "before" => {
                here(Test::Is(Comparison::Less, Literal::Time(time(text(name, operand)?)?)))
            }
            "after" => {
                here(Test::Is(Comparison::Greater, Literal::Time(time(text(name, operand)?)?)))
            }
            "numeric" => Condition::Scalar(numeric(list(name, operand)?)?),
            "all-of" => Condition::Scalar(self.all_of(kind, list(name, operand)?, depth)?),
            "any-of" => Condition::Scalar(self.any_of(
                &Path::here(),
                kind,
                list(name, operand)?,
                depth + 1,
            )?),
            "contains" => whole(Test::Contains(literal(operand)?)),
            "size" => Condition::Whole(size(path, operand)?),
            "exists" | "has" => {
                let test = if name == "has" { Test::Has } else { Test::Exists };
                let node = Node::field(path.clone(), test);
                let wanted = operand.as_bool().ok_or_else(|| {
                    format!("`{name}` needs true or false, not {}", shown(operand))
                })?;
                Condition::Whole(if wanted { node } else { node.negated() })
            }
            _ => return Err(unknown(name).into()),
        })
    }

    /// A scalar that is none of these: literals, or what one operator says of a text or several.
    fn anything_but(&mut self, kind: Kind, operand: &Value, depth: usize) -> Compiled<Node> {
        let refused = match operand {
            Value::Array(list) => {
                return Ok(Node::field(Path::here(), self.list(kind, false, literals(list)?)?));
            }
            Value::Object(operators) => {
                let mut alternatives = Vec::new();
                for spread in spread(operators)? {
                    alternatives.push(self.operators(&Path::here(), kind, &spread, depth + 1)?);
                }
                Node::any(alternatives)
            }
            scalar => {
                let test = self.is(kind, Comparison::NotEqual, literal(scalar)?)?;
                return Ok(Node::field(Path::here(), test));
            }
        };
        Ok(Node::all(vec![Node::field(Path::here(), Test::Exists), refused.negated()]))
    }

    fn all_of(&mut self, kind: Kind, list: &[Value], depth: usize) -> Compiled<Node> {
        check_list(list.len())?;
        let mut nodes = Vec::with_capacity(list.len());
        for value in list {
            nodes.push(self.value(&Path::here(), kind, value, depth + 1)?);
        }
        Ok(Node::all(nodes))
    }
}

/// Moves a node about an element to the path; a single test needs no element.
fn on_same_value(path: &Path, node: Node) -> Node {
    match node {
        Node::Field { path: inner, test } if inner.steps().is_empty() => {
            Node::field(path.clone(), test)
        }
        node if path.steps().is_empty() => node,
        node => Node::each(path.clone(), node),
    }
}

/// `{"prefix": ["a", "b"]}` as one object for each text.
fn spread(operators: &Map<String, Value>) -> Compiled<Vec<Map<String, Value>>> {
    let listed = operators.iter().find(|(name, operand)| {
        operand.is_array() && TEXT_OPERATORS.contains(&&*name.replace('_', "-"))
    });
    let Some((name, Value::Array(list))) = listed else {
        return Ok(vec![operators.clone()]);
    };
    check_list(list.len())?;
    let one = |text: &Value| {
        let mut one = operators.clone();
        one.insert(name.clone(), text.clone());
        one
    };
    Ok(list.iter().map(one).collect())
}

const TEXT_OPERATORS: [&str; 6] =
    ["prefix", "suffix", "equals-ignore-case", "wildcard", "regex", "cidr"];

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        "==" | "eq" => Comparison::Equal,
        "!=" | "ne" | "neq" => Comparison::NotEqual,
        "<" | "lt" => Comparison::Less,
        "<=" | "lte" => Comparison::AtMost,
        ">" | "gt" => Comparison::Greater,
        ">=" | "gte" => Comparison::AtLeast,
        _ => return None,
    })
}

fn ignore_case(operators: &Map<String, Value>) -> Compiled<bool> {
    let option =
        operators.iter().find(|(name, _)| matches!(name.as_str(), "ignore_case" | "ignore-case"));
    let Some((_, value)) = option else {
        return Ok(false);
    };
    if !operators.keys().any(|name| matches!(name.as_str(), "prefix" | "suffix" | "wildcard")) {
        return Err("`ignore_case` goes with prefix, suffix or wildcard; for equality write equals-ignore-case".to_owned().into());
    }
    value
        .as_bool()
        .ok_or_else(|| format!("`ignore_case` needs true or false, not {}", shown(value)).into())
}

/// `"ab"`, or `{"equals-ignore-case": "ab"}`.
fn affix(place: TextPlace, name: &str, operand: &Value, ignore_case: bool) -> Compiled<Test> {
    let (operand, ignore_case) = match operand {
        Value::Object(inner) if inner.len() == 1 => match inner.get("equals-ignore-case") {
            Some(operand) => (operand, true),
            None => (operand, ignore_case),
        },
        operand => (operand, ignore_case),
    };
    Ok(Test::Text(TextTest::new(place, text(name, operand)?, ignore_case)))
}

/// `[">", 0, "<=", 100]`, for one and the same number.
fn numeric(list: &[Value]) -> Compiled<Node> {
    let pairs = list.chunks_exact(2);
    if list.is_empty() || list.len() > 4 || !pairs.remainder().is_empty() {
        return Err("`numeric` needs one or two comparisons, as in [\">\", 0, \"<=\", 100]"
            .to_owned()
            .into());
    }
    let mut nodes = Vec::with_capacity(2);
    for pair in pairs {
        let (operator, operand) = (&pair[0], &pair[1]);
        let found = operator
            .as_str()
            .and_then(|operator| comparison(if operator == "=" { "==" } else { operator }));
        let comparison = found.ok_or_else(|| {
            format!("`numeric` knows no {}; it has =, !=, <, <=, > and >=", shown(operator))
        })?;
        let Literal::Number(number) = literal(operand)? else {
            return Err(format!("`numeric` needs a number, not {}", shown(operand)).into());
        };
        nodes.push(Node::field(Path::here(), Test::Is(comparison, Literal::Number(number))));
    }
    Ok(Node::all(nodes))
}

/// `3`, or `{">": 2, "<": 9}`.
fn size(path: &Path, operand: &Value) -> Compiled<Node> {
    let one = |comparison: Comparison, operand: &Value| -> Compiled<Node> {
        let number = operand.as_number().and_then(Number::from_json).and_then(Number::to_count);
        let number = number
            .ok_or_else(|| format!("`size` needs a whole number from 0, not {}", shown(operand)))?;
        Ok(Node::field(path.clone(), Test::Size(comparison, number)))
    };
    let Value::Object(operators) = operand else {
        return one(Comparison::Equal, operand);
    };
    if operators.is_empty() {
        return Err("`size` needs a number or comparisons, as in {\">\": 2}".to_owned().into());
    }
    let mut nodes = Vec::with_capacity(operators.len());
    for (name, operand) in operators {
        let comparison = comparison(name).ok_or_else(|| {
            format!("`size` knows no `{}`; it has ==, !=, <, <=, > and >=", shown(name))
        })?;
        nodes.push(one(comparison, operand)?);
    }
    Ok(Node::all(nodes))
}

fn literal(value: &Value) -> Compiled<Literal> {
    Literal::from_json(value).ok_or_else(|| {
        format!("expected text, a number, true, false or null, not {}", shown(value)).into()
    })
}

fn literals(list: &[Value]) -> Compiled<Vec<Literal>> {
    check_list(list.len())?;
    list.iter().map(literal).collect()
}

fn text<'a>(operator: &str, operand: &'a Value) -> Compiled<&'a str> {
    operand
        .as_str()
        .ok_or_else(|| format!("`{operator}` needs text, not {}", shown(operand)).into())
}

fn list<'a>(operator: &str, operand: &'a Value) -> Compiled<&'a [Value]> {
    operand
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| format!("`{operator}` needs a list, not {}", shown(operand)).into())
}

fn unknown(name: &str) -> String {
    let hint = match nearest(name, OPERATORS) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("there are {}", OPERATORS.join(", ")),
    };
    format!("unknown operator `{}`; {hint}", shown(name))
}
