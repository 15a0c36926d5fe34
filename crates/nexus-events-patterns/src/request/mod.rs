//! Ask, and await an answer.
