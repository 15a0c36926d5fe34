//! A browser sees the events. Connect with any WebSocket client to the address it prints and send
//! `{"type":"subscribe","event_types":["tick.*"]}`.
//!
//! It serves until stopped.
//!
//! run: no

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use nexus_events::prelude::*;
use nexus_events::stream::{StreamOptions, Streamer};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = Bus::new();
    let streamer = Streamer::new(&bus, StreamOptions::default())?;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("ws://{}/ws", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, streamer.router()).await });

    for number in 0_u64.. {
        bus.publish(Event::builder("tick.second").payload(json!({"number": number}))).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
