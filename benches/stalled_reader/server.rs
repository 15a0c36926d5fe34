//! The process that is measured: bus, streamer and publisher. It is told what to do on its
//! standard input and answers on its standard output, one line each.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use axum::serve::ListenerExt;
use nexus_events_dispatch::Bus;
use nexus_events_model::Event;
use nexus_events_stream::{StreamOptions, Streamer};
use serde_json::json;
use tokio::net::TcpListener;

/// How far the publisher may be ahead of the last reader: half of what a client's queue holds.
const AHEAD_EVENTS_MAX: u64 = 512;
const HELD_LOOK_EVERY: Duration = Duration::from_micros(200);
/// The rate that stands for as many as the readers take.
pub(crate) const FLAT_OUT: u64 = 0;
/// Published at once when there is no rate.
const FLAT_OUT_EVENTS: u64 = 8;
const WATCH_EVERY: Duration = Duration::from_millis(2);
/// Makes the payload, as JSON, exactly 512 bytes long.
const FILL_BYTES: usize = 467;

/// Up to which event all readers have read.
static READ_BY_ALL: AtomicU64 = AtomicU64::new(0);

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")?;
    // What grows is to be the streamer's.
    let bus = Bus::builder().history(0).build()?;
    let streamer = Streamer::new(&bus, StreamOptions::new())?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    say(&format!("address {}", listener.local_addr()?));
    let router = streamer.router();
    runtime.spawn(async move {
        let listener = listener.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        axum::serve(listener, router).await
    });
    std::thread::spawn(move || watch(&streamer));

    let mut published = 0;
    let (commands, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("read", number)) => {
                    READ_BY_ALL.store(number.parse().unwrap_or(0), Ordering::Release);
                }
                Some(("publish", numbers)) => {
                    let _ = commands.send(numbers.to_owned());
                }
                _ => {}
            }
        }
    });
    while let Some(numbers) = waiting.blocking_recv() {
        let (rate, events) = numbers.split_once(' ').context("publish RATE EVENTS")?;
        publish(&bus, &mut published, rate.parse()?, events.parse()?)?;
    }
    Ok(())
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody to talk to: the end of standard input ends this process too.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| time.as_micros() as u64)
}

/// Publishes by the clock. Every event carries the time it was due, so that a publisher that is
/// late counts; only being held back by the readers moves the times.
fn publish(bus: &Bus, published: &mut u64, rate: u64, events: u64) -> Result<()> {
    let in_tick = if rate == FLAT_OUT { FLAT_OUT_EVENTS } else { (rate / 1_000).max(1) };
    let tick = Duration::from_nanos((1_000_000_000 * in_tick).checked_div(rate).unwrap_or(0));
    let end = *published + events;
    let fill = "x".repeat(FILL_BYTES);
    let (begin, begin_us) = (Instant::now(), now_us());
    let (mut due, mut held) = (begin, Duration::ZERO);
    while *published < end {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let ready = Instant::now();
        if rate == FLAT_OUT {
            due = ready;
        }
        while *published + in_tick > READ_BY_ALL.load(Ordering::Acquire) + AHEAD_EVENTS_MAX {
            std::thread::sleep(HELD_LOOK_EVERY);
            due = Instant::now();
        }
        held += due.saturating_duration_since(ready);
        let due_us = begin_us + (due - begin).as_micros() as u64;
        for number in *published..(*published + in_tick).min(end) {
            let (n, t) = (format!("{number:07}"), format!("{due_us:016}"));
            bus.try_publish(Event::builder("tick").payload(json!({"n": n, "t": t, "x": fill})))?;
        }
        *published = (*published + in_tick).min(end);
        due += tick;
    }
    say(&format!("published {begin_us} {} {}", now_us(), held.as_micros()));
    Ok(())
}

/// Reports when a queue ran over, and when that client was disconnected. It looks on after that,
/// as it does where nobody stalls, so that both kinds of runs have the same work.
fn watch(streamer: &Streamer) {
    let (mut full_us, mut is_said) = (None, false);
    loop {
        std::thread::sleep(WATCH_EVERY);
        let stats = streamer.stats();
        if full_us.is_none() && stats.dropped.values().sum::<u64>() > 0 {
            full_us = Some(now_us());
        }
        // Readers leave when they have everything.
        let given_up = |reason: &&str| !matches!(*reason, "left" | "lost");
        if let Some(reason) = stats.disconnected.keys().copied().find(given_up)
            && !std::mem::replace(&mut is_said, true)
        {
            let gone_us = now_us();
            let dropped: u64 = stats.dropped.values().sum();
            let full_us = full_us.unwrap_or(gone_us);
            say(&format!("disconnected {full_us} {gone_us} {dropped} {reason}"));
        }
    }
}
