//! Finding what matches, faster than asking each pattern or filter.
//!
//! [`Pattern::matches`](nexus_events_model::Pattern::matches) and
//! [`Filter::matches`](nexus_events_model::Filter::matches) are the truth; everything here finds
//! the same, sooner. All of it is made of values: a clone is a few pointers, a change copies one
//! path and leaves every other clone as it was. So whoever shares an index swaps a pointer, and
//! nobody reads under a lock.
//!
//! # Patterns
//!
//! [`PatternIndex`] keeps patterns without a wildcard in a `Map` by the hash that every event
//! type carries: one look-up. The others stand in a trie of `Node`s, one segment each; a node has
//! its children by name in a `Map`, and apart from them what follows `*` and `**`. A look-up
//! hashes the segments of the event type once, goes down by name, by `*` and by `**`, and visits
//! at most the nodes that some pattern made for this very event type. What counts is how many
//! cache lines that takes: names lie inline in the node, a pattern that ends in a wildcard needs
//! no node of its own, and `Map` needs one line per level of 64 ways.
//!
//! [`PatternTable`] shares an index between threads and remembers results in `Recent`: 64 pages of
//! lines by hash. It is part of the swapped snapshot, so a look-up that hits is one load of the
//! snapshot, two steps and a comparison, and a change of the table forgets all results by not
//! copying them. A reader that finds nothing walks the index and adds a line, unless a writer is
//! at work; once a page is full only every 16th does, because that costs more than the walk.
//!
//! # Filters
//!
//! [`FilterIndex`] files each filter under a condition it cannot match without (`spot`): of a
//! conjunction the one that brings it up least often, of a disjunction one for each alternative.
//! `Paths` is a trie of the paths in use, walked along with the event; at the end of a path,
//! `Field` looks the value up: scalars, starts and ends by hash, ranges in a weight-balanced tree
//! (`Ranges`) whose nodes know the latest end below them. What comes up is a candidate, and the
//! filter itself has the last word, so a spot may promise too much but never too little:
//!
//! - a path spreads over arrays just as a filter's does; the elements an `Each` speaks of are
//!   reached by the same path, with a number in it taken as a name;
//! - two bounds on one path outside an `Each` may be kept by two values, so where a path leads to
//!   several, all such ranges come up;
//! - what is not set is looked up as null and is not there otherwise;
//! - a negation has no spot.
//!
//! # Costs
//!
//! | | grows with |
//! |---|---|
//! | pattern look-up | segments of the event type, cache misses |
//! | pattern added or removed | segments, and 64 pointers per level of a `Map` |
//! | filter look-up | fields of the event that filters ask for, candidates |
//! | filter added or removed | steps of the path, 64 pointers per level, logarithm of the ranges |
//! | many values under one pattern | 128 values, one pointer per 128, and the search for the one |

mod field;
mod filter_index;
mod found;
mod map;
mod name;
mod node;
mod paths;
mod pattern_index;
mod pattern_table;
mod ranges;
mod recent;
mod spot;
mod values;

pub use self::filter_index::FilterIndex;
pub use self::pattern_index::PatternIndex;
pub use self::pattern_table::PatternTable;
