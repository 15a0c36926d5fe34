//! Stores: the ports that any store implements, the reference in memory, and, with feature `store`,
//! the durable one in a file.
//!
#![cfg_attr(feature = "store", doc = "```")]
#![cfg_attr(not(feature = "store"), doc = "```ignore")]
//! use std::sync::Arc;
//! use nexus_events::prelude::*;
//! use nexus_events::store::Store;
//!
//! # let path = std::env::temp_dir().join(format!("nexus-facade-{}", std::process::id()));
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let bus = Bus::builder().store(Arc::new(Store::open(&path)?)).open().await?;
//! let receipt = bus.publish(Event::builder("order.created")).await?;
//! println!("the disk has it, at offset {}", receipt.offset.unwrap());
//! # bus.store().unwrap().close().await?; std::fs::remove_file(&path).unwrap();
//! # Ok::<(), Error>(()) }).unwrap();
//! ```

pub use nexus_events_dispatch::store::*;
#[cfg(feature = "store")]
pub use nexus_events_store::*;
