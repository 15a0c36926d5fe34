//! The paths that filters look at, as a trie that is walked along with an event.

use std::hash::{BuildHasher, RandomState};

use nexus_events_model::Metadata;
use nexus_events_model::filter_ast::Step;
use serde_json::{Map as Fields, Value};

use crate::index::field::{Field, NESTING_MAX, Offer};
use crate::index::found::Found;
use crate::index::map::Map;
use crate::sync::Arc;

/// What is filed at the end of one path, and the paths that go on from there.
///
/// Walking visits the smaller of what the event has and what filters ask for, so neither a wide
/// event nor ten thousand filters on fields it does not have cost much.
#[derive(Debug, Clone)]
pub(super) struct Paths<V> {
    field: Option<Arc<Field<V>>>,
    /// By the name of a field.
    names: Map<Arc<Child<V>>>,
    /// By the place of an element, or by the field with this number as its name.
    places: Map<Arc<Child<V>>>,
}

#[derive(Debug, Clone)]
struct Child<V> {
    name: Box<str>,
    /// Zero unless it is a child by place.
    place: usize,
    paths: Paths<V>,
}

impl<V> Default for Paths<V> {
    fn default() -> Self {
        Self { field: None, names: Map::default(), places: Map::default() }
    }
}

impl<V: Clone> Paths<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.field.is_none() && self.names.is_empty() && self.places.is_empty()
    }

    /// What is filed at the end of this path.
    pub(super) fn field(&self, steps: &[Step], hasher: &RandomState) -> Option<&Field<V>> {
        let Some((step, rest)) = steps.split_first() else { return self.field.as_deref() };
        let child = match step {
            Step::Key(name) => named(&self.names, name, hasher),
            Step::Index(place) => named(&self.places, &place.to_string(), hasher),
            _ => None,
        };
        child?.paths.field(rest, hasher)
    }

    /// Changes what is filed at the end of this path; a path to nothing goes.
    pub(super) fn change(
        &mut self,
        steps: &[Step],
        hasher: &RandomState,
        change: impl FnOnce(&mut Field<V>),
    ) {
        let Some((step, rest)) = steps.split_first() else {
            let field = self.field.get_or_insert_default();
            change(Arc::make_mut(field));
            if field.is_empty() {
                self.field = None;
            }
            return;
        };
        let (children, name, place) = match step {
            Step::Key(name) => (&mut self.names, name.to_string(), 0),
            Step::Index(place) => (&mut self.places, place.to_string(), *place),
            _ => return,
        };
        let hash = hasher.hash_one(&*name);
        let is = |child: &Arc<Child<V>>| *child.name == *name;
        let new = || Arc::new(Child { name: name.as_str().into(), place, paths: Self::default() });
        let empty = children.change(hash, is, new, |child| {
            let paths = &mut Arc::make_mut(child).paths;
            paths.change(rest, hasher, change);
            paths.is_empty()
        });
        if empty == Some(true) {
            children.remove(hash, is);
        }
    }

    /// Offers what is filed at what the event has here and below; `again` where this is one of
    /// several places on the same path.
    pub(super) fn visit<'a>(&'a self, found: Found<'_>, again: bool, to: &mut impl Offer<'a, V>) {
        if let Some(field) = &self.field {
            field.visit(found, again, to);
        }
        match found {
            Found::Json(Value::Object(fields)) => {
                visit_fields(&self.names, fields, again, to);
                visit_fields(&self.places, fields, again, to);
            }
            Found::Json(Value::Array(items)) => {
                self.places.each(|child| {
                    if let Some(item) = items.get(child.place) {
                        child.paths.visit(Found::Json(item), again, to);
                    }
                });
                if !self.names.is_empty() {
                    self.visit_items(items, 0, to);
                }
            }
            Found::Metadata(metadata) => {
                visit_metadata(&self.names, metadata, again, to);
                visit_metadata(&self.places, metadata, again, to);
            }
            _ => {}
        }
    }

    /// A name is looked for in every element, in arrays within arrays too.
    fn visit_items<'a>(&'a self, items: &[Value], nesting: usize, to: &mut impl Offer<'a, V>) {
        for item in items {
            match item {
                Value::Object(fields) => visit_fields(&self.names, fields, true, to),
                Value::Array(items) if nesting < NESTING_MAX => {
                    self.visit_items(items, nesting + 1, to);
                }
                _ => {}
            }
        }
    }
}

fn named<'a, V>(
    children: &'a Map<Arc<Child<V>>>,
    name: &str,
    hasher: &RandomState,
) -> Option<&'a Child<V>> {
    let child = children.get(hasher.hash_one(name), |child| *child.name == *name);
    child.map(|child| &**child)
}

fn visit_fields<'a, V: Clone>(
    children: &'a Map<Arc<Child<V>>>,
    fields: &Fields<String, Value>,
    again: bool,
    to: &mut impl Offer<'a, V>,
) {
    if children.len() <= fields.len() {
        children.each(|child| {
            if let Some(value) = fields.get(&*child.name) {
                child.paths.visit(Found::Json(value), again, to);
            }
        });
    } else {
        for (name, value) in fields {
            if let Some(child) = named(children, name, to.hasher()) {
                child.paths.visit(Found::Json(value), again, to);
            }
        }
    }
}

fn visit_metadata<'a, V: Clone>(
    children: &'a Map<Arc<Child<V>>>,
    metadata: &Metadata,
    again: bool,
    to: &mut impl Offer<'a, V>,
) {
    if children.is_empty() {
        return;
    }
    for (name, value) in metadata.iter() {
        if let Some(child) = named(children, name, to.hasher()) {
            child.paths.visit(Found::Json(value), again, to);
        }
    }
}
