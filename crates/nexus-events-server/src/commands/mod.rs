//! The commands that run a server or talk to one.

pub(crate) mod dead_letters;
pub(crate) mod publish;
pub(crate) mod replay;
pub(crate) mod saga;
pub(crate) mod scheduled;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod tail;

mod client;
mod payload;
mod subscription;
