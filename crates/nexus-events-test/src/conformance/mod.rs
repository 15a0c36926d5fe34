//! Tests that every implementation of a port passes.
//!
//! The cases are written against the port and its documentation, not against one implementation,
//! so that a new one is finished when it passes.

pub mod store;
