//! Gather the events of one correlation, and see which led to which.
