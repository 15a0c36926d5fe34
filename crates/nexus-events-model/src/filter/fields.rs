//! The flat form of a filter: a map from fields to what they have to be.

use serde_json::{Map, Value};

use crate::filter::UnknownFields;
use crate::filter::compile::{Compiled, Compiler};
use crate::filter::node::Node;
use crate::filter::path::{Path, Step};

pub(crate) fn parse(
    compiler: &mut Compiler,
    fields: &Map<String, Value>,
    unknown: UnknownFields,
) -> Compiled<Node> {
    let mut nodes = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let path = Path::new(steps(name).map_err(|refusal| refusal.within(name))?);
        if unknown == UnknownFields::Ignore && path.root().is_none() {
            continue;
        }
        let node = field(compiler, &path, value).map_err(|refusal| refusal.within(name))?;
        nodes.push(node);
    }
    Ok(Node::all(nodes))
}

fn field(compiler: &mut Compiler, path: &Path, value: &Value) -> Compiled<Node> {
    let kind = compiler.check_path(path)?;
    compiler.value(path, kind, value, 1)
}

/// `payload.items.0.sku`, or the JSON pointer `/payload/items/0/sku` where a name has a dot.
fn steps(name: &str) -> Compiled<Vec<Step>> {
    match name.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(unescaped).collect(),
        None if name.split('.').any(str::is_empty) => {
            Err("a path has no empty part; write a name with dots as the JSON pointer /payload/a.b"
                .to_owned()
                .into())
        }
        None => Ok(name.split('.').map(|name| step(name.to_owned())).collect()),
    }
}

fn unescaped(part: &str) -> Compiled<Step> {
    let mut escapes = part.split('~').skip(1);
    if escapes.any(|rest| !rest.starts_with(['0', '1'])) {
        return Err("in a JSON pointer `~` is written `~0` and `/` is written `~1`"
            .to_owned()
            .into());
    }
    Ok(step(part.replace("~1", "/").replace("~0", "~")))
}

/// As in a JSON pointer, a number is a place in an array and the name of a field in an object.
fn step(name: String) -> Step {
    let number = name == "0"
        || name.starts_with(|c: char| matches!(c, '1'..='9'))
            && name.bytes().all(|b| b.is_ascii_digit());
    match name.parse() {
        Ok(index) if number => Step::Index(index),
        _ => Step::Key(name.into()),
    }
}
