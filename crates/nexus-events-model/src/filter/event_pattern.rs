//! The EventBridge-style JSON form of a filter: lists are alternatives, keys all hold.

use serde_json::{Map, Value};

use crate::filter::compile::{Compiled, Compiler, Kind, Refusal, check_list, shown};
use crate::filter::found::Found;
use crate::filter::node::Node;
use crate::filter::path::{Path, Step};
use crate::limits::FILTER_DEPTH_MAX;

/// Where the parser stands: inside how many elements, and how far from the innermost.
#[derive(Clone)]
struct Place {
    in_element: bool,
    steps: Vec<Step>,
    depth: usize,
}

pub(crate) fn parse(compiler: &mut Compiler, pattern: &Value) -> Compiled<Node> {
    let Value::Object(fields) = pattern else {
        return Err(format!(
            "the filter is an object with a field for each condition, not {}",
            shown(pattern)
        )
        .into());
    };
    object(compiler, fields, &Place { in_element: false, steps: Vec::new(), depth: 0 })
}

fn object(compiler: &mut Compiler, fields: &Map<String, Value>, place: &Place) -> Compiled<Node> {
    if place.depth >= FILTER_DEPTH_MAX {
        return Err(Refusal::too_deep());
    }
    // With one key a path says the same; with several, they belong to one element of an array.
    if fields.len() < 2 || place.steps.is_empty() {
        return keys(compiler, fields, place);
    }
    let inner = Place { in_element: true, steps: Vec::new(), depth: place.depth + 1 };
    let node = keys(compiler, fields, &inner)?;
    let path = Path::new(place.steps.clone());
    let holds_for_nothing = node.holds(Found::Nothing);
    let element = Node::each(path.clone(), node);
    if !holds_for_nothing {
        return Ok(element);
    }
    let anything = Node::each(path, Node::all(Vec::new()));
    Ok(Node::any(vec![element, anything.negated()]))
}

fn keys(compiler: &mut Compiler, fields: &Map<String, Value>, place: &Place) -> Compiled<Node> {
    if fields.is_empty() {
        return Err("an object without a field matches nothing in particular; name a field in it or leave it out".to_owned().into());
    }
    let mut nodes = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let node = key(compiler, name, value, place).map_err(|refusal| refusal.within(name))?;
        nodes.push(node);
    }
    Ok(Node::all(nodes))
}

fn key(compiler: &mut Compiler, name: &str, value: &Value, place: &Place) -> Compiled<Node> {
    let deeper = |steps: Vec<Step>| Place { steps, depth: place.depth + 1, ..*place };
    match (name, value) {
        ("$or", Value::Array(list)) => {
            check_list(list.len())?;
            let mut nodes = Vec::with_capacity(list.len());
            for value in list {
                let Value::Object(fields) = value else {
                    return Err(
                        format!("`$or` needs a list of objects, not {}", shown(value)).into()
                    );
                };
                nodes.push(object(compiler, fields, &deeper(place.steps.clone()))?);
            }
            return Ok(Node::any(nodes));
        }
        ("$not", Value::Object(fields)) => {
            return Ok(object(compiler, fields, &deeper(place.steps.clone()))?.negated());
        }
        ("$or", _) => return Err("`$or` needs a list of objects".to_owned().into()),
        ("$not", _) => return Err("`$not` needs an object".to_owned().into()),
        _ => {}
    }
    let mut steps = place.steps.clone();
    steps.push(Step::Key(name.into()));
    if !place.in_element && place.steps.is_empty() {
        compiler.check_root(name)?;
    }
    match value {
        Value::Object(fields) => object(compiler, fields, &deeper(steps)),
        Value::Array(_) => {
            let path = Path::new(steps);
            let kind = if place.in_element { Kind::Plain } else { compiler.check_path(&path)? };
            compiler.value(&path, kind, value, place.depth + 1)
        }
        scalar => Err(format!("a value stands in a list: [{}]", shown(scalar)).into()),
    }
}
