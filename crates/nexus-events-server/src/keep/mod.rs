//! Where a server keeps its events: what the command line says of it, the directory, the file.

pub(crate) mod units;

mod address;
mod args;
mod directory;
mod opening;

pub(crate) use self::address::Address;
pub(crate) use self::args::KeepArgs;
pub(crate) use self::directory::Temporary;
pub(crate) use self::opening::{file_in, meanwhile, open};

/// Where events are kept unless told otherwise.
pub(crate) const DATA_DEFAULT: &str = "./nexus-data";
