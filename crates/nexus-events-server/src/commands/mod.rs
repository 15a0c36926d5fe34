//! The commands that run a server or talk to one.

pub(crate) mod publish;
pub(crate) mod serve;
pub(crate) mod tail;

mod client;
mod payload;
mod subscription;
