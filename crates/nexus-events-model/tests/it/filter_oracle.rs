//! Filters against a slow, obvious oracle that shares no code with them: it writes the event as
//! JSON, lists every value at a path, and asks each.

use std::cmp::Ordering;
use std::net::IpAddr;

use nexus_events_model::{Event, EventType, Pattern, Priority};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A filter as the test sees it: written as text for the parser, and judged by the oracle.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    All(Vec<Ask>),
    Any(Vec<Ask>),
    Not(Box<Ask>),
    Each(Vec<Step>, Box<Ask>),
    Leaf(Vec<Step>, Leaf),
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

#[derive(Debug, Clone)]
pub(crate) enum Leaf {
    Has,
    Exists,
    Is(&'static str, Value),
    In(bool, Vec<Value>),
    Starts(String, bool),
    Ends(String, bool),
    EqualsIgnoringCase(String),
    Like(String, bool),
    Regex(&'static str),
    Cidr(&'static str),
    Pattern(&'static str),
    Contains(Value),
    Size(&'static str, u64),
}

// --- written as text ----------------------------------------------------------------------------

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn literal(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), quoted)
}

fn path_text(steps: &[Step], variable: &str) -> String {
    let mut text = variable.to_owned();
    for step in steps {
        match step {
            Step::Key(name) if text.is_empty() => text.push_str(name),
            Step::Key(name) => text += &format!("[{}]", quoted(name)),
            Step::Index(index) => text += &format!("[{index}]"),
        }
    }
    text
}

pub(crate) fn text(ask: &Ask, scope: usize) -> String {
    let variable = if scope == 0 { String::new() } else { format!("v{scope}") };
    let join = |asks: &[Ask], with: &str| {
        let parts: Vec<String> = asks.iter().map(|ask| format!("({})", text(ask, scope))).collect();
        parts.join(with)
    };
    match ask {
        Ask::All(asks) if asks.is_empty() => "true".to_owned(),
        Ask::Any(asks) if asks.is_empty() => "false".to_owned(),
        Ask::All(asks) => join(asks, " && "),
        Ask::Any(asks) => join(asks, " || "),
        Ask::Not(ask) => format!("!({})", text(ask, scope)),
        Ask::Each(steps, ask) => {
            let inner = scope + 1;
            format!("{}.exists(v{inner}, {})", path_text(steps, &variable), text(ask, inner))
        }
        Ask::Leaf(steps, leaf) => leaf_text(&path_text(steps, &variable), leaf),
    }
}

fn leaf_text(path: &str, leaf: &Leaf) -> String {
    let lower = |ignore_case: &bool| if *ignore_case { ".lower()" } else { "" };
    match leaf {
        Leaf::Has => format!("has({path})"),
        Leaf::Exists => format!("exists({path})"),
        Leaf::Is(operator, value) => format!("{path} {operator} {}", literal(value)),
        Leaf::In(one_of, values) => {
            let values: Vec<String> = values.iter().map(literal).collect();
            format!("{path} {} [{}]", if *one_of { "in" } else { "not in" }, values.join(", "))
        }
        Leaf::Starts(start, any) => format!("{path}{}.startsWith({})", lower(any), quoted(start)),
        Leaf::Ends(end, any) => format!("{path}{}.endsWith({})", lower(any), quoted(end)),
        Leaf::EqualsIgnoringCase(whole) => format!("{path}.lower() == {}", quoted(whole)),
        Leaf::Like(shape, any) => format!("{path}{}.like({})", lower(any), quoted(shape)),
        Leaf::Regex(regex) => format!("{path}.matches({})", quoted(regex)),
        Leaf::Cidr(range) => format!("{path}.inCidr('{range}')"),
        Leaf::Pattern(pattern) => format!("{path}.matchesPattern('{pattern}')"),
        Leaf::Contains(value) => format!("{path} contains {}", literal(value)),
        Leaf::Size(operator, size) => format!("size({path}) {operator} {size}"),
    }
}

// --- the oracle ---------------------------------------------------------------------------------

/// The event's JSON, without the fields that are not set.
pub(crate) fn seen(event: &Event) -> (Value, Vec<String>) {
    let mut fields: Map<String, Value> =
        serde_json::from_str(event.encoded().unwrap().as_str()).unwrap();
    let cause = fields["metadata"]["causation_id"].clone();
    fields.insert(
        "causation_id".to_owned(),
        if cause.is_string() && cause != "" { cause } else { Value::Null },
    );
    fields.insert("data".to_owned(), fields["payload"].clone());
    let inside = ["payload", "data"];
    let unset: Vec<String> = fields
        .iter()
        .filter(|(name, value)| value.is_null() && !inside.contains(&&***name))
        .map(|(name, _)| name.clone())
        .collect();
    fields.retain(|name, _| !unset.contains(name));
    (Value::Object(fields), unset)
}

fn values<'v>(value: &'v Value, steps: &[Step]) -> Vec<&'v Value> {
    let Some(step) = steps.first() else {
        return vec![value];
    };
    match (value, step) {
        (Value::Object(fields), Step::Key(name)) => {
            fields.get(name).map_or(vec![], |value| values(value, &steps[1..]))
        }
        (Value::Object(fields), Step::Index(index)) => {
            fields.get(&index.to_string()).map_or(vec![], |value| values(value, &steps[1..]))
        }
        (Value::Array(items), Step::Index(index)) => {
            items.get(*index).map_or(vec![], |value| values(value, &steps[1..]))
        }
        (Value::Array(items), Step::Key(_)) => {
            items.iter().flat_map(|item| values(item, steps)).collect()
        }
        _ => vec![],
    }
}

fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(elements).collect(),
        other => vec![other],
    }
}

pub(crate) fn judge(ask: &Ask, value: &Value, unset: &[String]) -> bool {
    match ask {
        Ask::All(asks) => asks.iter().all(|ask| judge(ask, value, unset)),
        Ask::Any(asks) => asks.iter().any(|ask| judge(ask, value, unset)),
        Ask::Not(ask) => !judge(ask, value, unset),
        Ask::Each(steps, ask) => values(value, steps)
            .into_iter()
            .flat_map(elements)
            .any(|element| judge(ask, element, &[])),
        Ask::Leaf(steps, leaf) => {
            if let [Step::Key(root)] = &**steps
                && unset.contains(root)
            {
                return match leaf {
                    Leaf::Is("==", wanted) => wanted.is_null(),
                    Leaf::In(true, wanted) => wanted.contains(&Value::Null),
                    _ => false,
                };
            }
            let kind = match &**steps {
                [Step::Key(root)] if !value["event_id"].is_null() => root.as_str(),
                _ => "",
            };
            values(value, steps).into_iter().any(|found| judge_leaf(leaf, found, kind))
        }
    }
}

fn judge_leaf(leaf: &Leaf, found: &Value, kind: &str) -> bool {
    match leaf {
        Leaf::Has => true,
        Leaf::Contains(wanted) => match (found, wanted) {
            (Value::Array(items), _) => items.iter().any(|item| same(item, wanted, "")),
            (Value::String(text), Value::String(wanted)) => text.contains(wanted.as_str()),
            _ => false,
        },
        Leaf::Size(operator, size) => {
            let found = match found {
                Value::Array(items) => items.len(),
                Value::Object(fields) => fields.len(),
                Value::String(text) => text.chars().count(),
                _ => return false,
            };
            fits(operator, (found as u64).cmp(size))
        }
        _ => elements(found).into_iter().any(|found| judge_scalar(leaf, found, kind)),
    }
}

fn judge_scalar(leaf: &Leaf, found: &Value, kind: &str) -> bool {
    if found.is_array() || found.is_object() {
        return false;
    }
    let text = |ask: &dyn Fn(&str) -> bool| found.as_str().is_some_and(ask);
    let lower = |text: &str, any: bool| if any { text.to_lowercase() } else { text.to_owned() };
    match leaf {
        Leaf::Has | Leaf::Contains(_) | Leaf::Size(..) => unreachable!("asked of the whole value"),
        Leaf::Exists => true,
        Leaf::Is("==", wanted) => same(found, wanted, kind),
        Leaf::Is("!=", wanted) => !same(found, wanted, kind),
        Leaf::Is(operator, wanted) => {
            order(found, wanted, kind).is_some_and(|order| fits(operator, order))
        }
        Leaf::In(one_of, wanted) => {
            wanted.iter().any(|wanted| same(found, wanted, kind)) == *one_of
        }
        Leaf::Starts(start, any) => {
            text(&|found| lower(found, *any).starts_with(&lower(start, *any)))
        }
        Leaf::Ends(end, any) => text(&|found| lower(found, *any).ends_with(&lower(end, *any))),
        Leaf::EqualsIgnoringCase(whole) => {
            text(&|found| found.to_lowercase() == whole.to_lowercase())
        }
        Leaf::Like(shape, any) => text(&|found| {
            let found: Vec<char> = lower(found, *any).chars().collect();
            like(&lower(shape, *any).chars().collect::<Vec<_>>(), &found)
        }),
        Leaf::Regex(regex) => text(&|found| regex::Regex::new(regex).unwrap().is_match(found)),
        Leaf::Cidr(range) => text(&|found| in_range(range, found)),
        Leaf::Pattern(pattern) => text(&|found| {
            EventType::new(found).is_ok_and(|found| Pattern::new(*pattern).unwrap().matches(&found))
        }),
    }
}

fn same(found: &Value, wanted: &Value, kind: &str) -> bool {
    match (found, wanted) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        _ => order(found, wanted, kind) == Some(Ordering::Equal),
    }
}

fn order(found: &Value, wanted: &Value, kind: &str) -> Option<Ordering> {
    match (found, wanted) {
        (Value::Number(a), Value::Number(b)) => Some(order_numbers(a, b)),
        (Value::String(a), Value::String(b)) => match kind {
            "timestamp" => Some(time(a)?.cmp(&time(b)?)),
            "priority" => Some(a.parse::<Priority>().ok()?.cmp(&b.parse().ok()?)),
            _ => Some(a.cmp(b)),
        },
        _ => None,
    }
}

fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// By the digits of both numbers, as a person would: no rounding anywhere.
fn order_numbers(a: &serde_json::Number, b: &serde_json::Number) -> Ordering {
    let (a, b) = (decimal(a), decimal(b));
    let scale = a.1.max(b.1);
    let scaled = |(digits, places): (i128, u32)| digits * 10_i128.pow(scale - places);
    scaled(a).cmp(&scaled(b))
}

/// The digits, and how many of them stand after the point. Generated numbers are short.
fn decimal(number: &serde_json::Number) -> (i128, u32) {
    let text = if number.is_f64() {
        format!("{:?}", number.as_f64().unwrap())
    } else {
        number.to_string()
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
    let places = i32::try_from(fraction.len()).unwrap() - exponent.parse::<i32>().unwrap();
    match u32::try_from(places) {
        Ok(places) => (digits, places),
        Err(_) => (digits * 10_i128.pow(places.unsigned_abs()), 0),
    }
}

fn fits(operator: &str, order: Ordering) -> bool {
    match operator {
        "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }
}

fn like(shape: &[char], text: &[char]) -> bool {
    match shape.first() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).any(|skip| like(&shape[1..], &text[skip..])),
        Some(c) => text.first() == Some(c) && like(&shape[1..], &text[1..]),
    }
}

fn in_range(range: &str, text: &str) -> bool {
    let bits = |address: IpAddr| -> String {
        match address {
            IpAddr::V4(v4) => v4.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
            IpAddr::V6(v6) => v6.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
        }
    };
    let (first, length) = range.split_once('/').unwrap();
    let (Ok(first), Ok(address)) = (first.parse::<IpAddr>(), text.parse::<IpAddr>()) else {
        return false;
    };
    let length: usize = length.parse().unwrap();
    first.is_ipv4() == address.is_ipv4() && bits(first)[..length] == bits(address)[..length]
}
