//! Why an event did or did not match.

use std::fmt;

use serde_json::Value;

use crate::event::Event;
use crate::filter::compile::shown;
use crate::filter::display::{Written, WrittenPath};
use crate::filter::found::Found;
use crate::filter::leaf::Test;
use crate::filter::node::Node;
use crate::filter::path::{Path, Root, Step};
use crate::limits::EXPLANATION_NODES_MAX;
use crate::nearest::nearest;
use crate::timestamp::IsoFormat;

/// How many of the values at a path an explanation shows.
const VALUES_SHOWN_MAX: usize = 4;

/// Why an event did or did not match a filter: a tree of reasons, which prints as one line each.
///
/// ```
/// use nexus_events_model::{Event, Filter};
/// use serde_json::json;
///
/// let event = Event::builder("order.created")
///     .id("1").timestamp_text("2026-01-02T03:04:05Z")
///     .payload(json!({"amount": 50}))
///     .build()?;
/// let filter = Filter::parse("payload.amount > 100 && has(payload.amont)")?;
/// let explanation = filter.explain(&event);
/// assert!(!explanation.matched());
/// assert_eq!(explanation.to_string(), "\
/// no   all of
/// no     payload.amount > 100: found 50
/// no     has(payload.amont): nothing is there; did you mean `amount`?
/// ");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Explanation {
    matched: bool,
    condition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    found: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<Self>,
}

impl Explanation {
    /// Whether this condition matched.
    #[must_use]
    pub fn matched(&self) -> bool {
        self.matched
    }

    /// The condition: a comparison in text form, or how the children count.
    #[must_use]
    pub fn condition(&self) -> &str {
        &self.condition
    }

    /// Where a comparison looked.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The first values that were there, as JSON.
    #[must_use]
    pub fn found(&self) -> &[String] {
        &self.found
    }

    /// What was found or is missing, in words; with the nearest name the event has.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The explanations of the conditions inside.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    fn write(&self, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matched = if self.matched { "yes" } else { "no " };
        let colon = if self.reason.is_empty() { "" } else { ": " };
        writeln!(
            f,
            "{matched}  {:indent$}{}{colon}{}",
            "",
            self.condition,
            self.reason,
            indent = 2 * depth
        )?;
        self.children.iter().try_for_each(|child| child.write(depth + 1, f))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(0, f)
    }
}

pub(crate) fn explain(node: &Node, event: &Event) -> Explanation {
    Explainer { left: EXPLANATION_NODES_MAX }.node(node, Found::Event(event), 0)
}

/// Elements of arrays multiply, so the whole tree has a bound.
struct Explainer {
    left: usize,
}

impl Explainer {
    fn node(&mut self, node: &Node, found: Found<'_>, scope: usize) -> Explanation {
        self.left = self.left.saturating_sub(1);
        let mut explanation = Explanation {
            matched: node.holds(found),
            condition: String::new(),
            path: None,
            found: Vec::new(),
            reason: String::new(),
            children: Vec::new(),
        };
        match node {
            Node::All(nodes) if nodes.is_empty() => "true".clone_into(&mut explanation.condition),
            Node::Any(nodes) if nodes.is_empty() => "false".clone_into(&mut explanation.condition),
            Node::All(nodes) => self.group("all of", nodes, found, scope, &mut explanation),
            Node::Any(nodes) => self.group("any of", nodes, found, scope, &mut explanation),
            Node::Not(node) => {
                self.group("not", std::slice::from_ref(node), found, scope, &mut explanation);
            }
            Node::Field { path, test } => {
                explanation.condition = shown(Written { node, scope });
                explanation.path = Some(WrittenPath(path, scope).to_string());
                field(path, test, found, &mut explanation);
            }
            Node::Each { path, node } => self.each(path, node, found, scope, &mut explanation),
        }
        explanation
    }

    fn group(
        &mut self,
        how: &str,
        nodes: &[Node],
        found: Found<'_>,
        scope: usize,
        explanation: &mut Explanation,
    ) {
        how.clone_into(&mut explanation.condition);
        for node in nodes {
            if !self.has_room(explanation) {
                return;
            }
            let child = self.node(node, found, scope);
            explanation.children.push(child);
        }
    }

    fn has_room(&self, explanation: &mut Explanation) -> bool {
        if self.left == 0 {
            explanation.reason =
                format!("the rest is not shown, only {EXPLANATION_NODES_MAX} conditions are");
        }
        self.left > 0
    }

    fn each(
        &mut self,
        path: &Path,
        node: &Node,
        found: Found<'_>,
        scope: usize,
        explanation: &mut Explanation,
    ) {
        let text = WrittenPath(path, scope).to_string();
        explanation.condition = format!("one element of {text}");
        explanation.path = Some(text);
        found.walk(path, &mut |value| {
            value.spread(&mut |element| {
                if !self.has_room(explanation) {
                    return true;
                }
                let child = self.node(node, element, scope + 1);
                explanation.children.push(child);
                false
            })
        });
        if explanation.children.is_empty() && explanation.reason.is_empty() {
            explanation.reason = missing(path, found);
        }
    }
}

fn field(path: &Path, test: &Test, found: Found<'_>, explanation: &mut Explanation) {
    let (mut values, mut count) = (Vec::new(), 0_usize);
    let mut see = |value: Found<'_>| {
        count += 1;
        if values.len() < VALUES_SHOWN_MAX {
            values.push(written(value));
        }
        false
    };
    found.walk(path, &mut |value| match test {
        Test::Has | Test::Contains(_) | Test::Size(..) => see(value),
        // An empty array spreads into no value, and is still what was found.
        _ if matches!(value, Found::Json(Value::Array(items)) if items.is_empty()) => see(value),
        _ if matches!(value, Found::Unset) => see(value),
        _ => value.spread(&mut see),
    });
    explanation.reason = match count {
        0 => missing(path, found),
        _ if count > values.len() => {
            format!("found {} and {} more", values.join(", "), count - values.len())
        }
        _ => format!("found {}", values.join(", ")),
    };
    explanation.found = values;
}

fn written(value: Found<'_>) -> String {
    match value {
        Found::Nothing => "nothing".to_owned(),
        Found::Unset => "nothing, the field is not set".to_owned(),
        Found::Event(event) => format!("event {}", event.id()),
        Found::Metadata(metadata) => format!("metadata of {} entries", metadata.len()),
        Found::Json(Value::Array(items)) => format!("an array of {}", items.len()),
        Found::Json(Value::Object(fields)) => format!("an object of {} fields", fields.len()),
        Found::Json(scalar) => shown(scalar),
        Found::Text(text) => shown(Value::from(text)),
        Found::Type(event_type) => shown(Value::from(event_type.as_str())),
        Found::Time(time) => format!("\"{}\"", IsoFormat(time)),
        Found::Priority(priority) => format!("\"{priority}\""),
        Found::Bool(value) => value.to_string(),
        Found::Count(number) => number.to_string(),
    }
}

/// Says that the path leads nowhere, and where it would have led with one name corrected.
fn missing(path: &Path, found: Found<'_>) -> String {
    if let (Found::Event(event), Some(Root::Payload)) = (found, path.root())
        && let Err(error) = event.payload().value()
    {
        return error.to_string();
    }
    match first_missing(path, found) {
        Some((name, known)) => match nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => format!("nothing is there; did you mean `{near}`?"),
            None if known.is_empty() => "nothing is there".to_owned(),
            None => format!("nothing is there; beside it are {}", shown(known.join(", "))),
        },
        None => "nothing is there".to_owned(),
    }
}

/// The first name on the path that an object lacks, and the names it has.
fn first_missing(path: &Path, found: Found<'_>) -> Option<(String, Vec<String>)> {
    (1..=path.steps().len()).find_map(|length| {
        let Step::Key(name) = &path.steps()[length - 1] else {
            return None;
        };
        if found.walk(&Path::new(path.steps()[..length].to_vec()), &mut |_| true) {
            return None;
        }
        let mut known = Vec::new();
        found.walk(&Path::new(path.steps()[..length - 1].to_vec()), &mut |value| {
            value.spread(&mut |element| {
                match element {
                    Found::Json(Value::Object(fields)) => {
                        known.extend(fields.keys().take(NAMES_MAX).cloned());
                    }
                    Found::Metadata(metadata) => {
                        known.extend(metadata.iter().map(|(name, _)| name.to_owned()));
                    }
                    _ => {}
                }
                known.len() >= NAMES_MAX
            })
        });
        known.sort_unstable();
        known.dedup();
        Some((name.to_string(), known))
    })
}

/// How many neighbours a missing name is compared with.
const NAMES_MAX: usize = 256;
