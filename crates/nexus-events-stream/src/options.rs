//! The settings of a streamer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::origin::AllowedOrigin;

/// The limits of a streamer. Each of them is in its statistics.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_stream::{StreamOptions, Streamer};
/// let options = StreamOptions::new().connections(500).allow_origin("https://*.example.com");
/// let streamer = Streamer::new(&Bus::new(), options)?;
/// assert_eq!(streamer.stats().limits["connections"], 500);
/// # Ok::<(), nexus_events_stream::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "options do nothing until a streamer is made with them"]
pub struct StreamOptions {
    pub(crate) connections: usize,
    pub(crate) subscriptions: usize,
    pub(crate) patterns: usize,
    pub(crate) queue_messages: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) inbound_bytes: usize,
    pub(crate) inbound_per_second: u32,
    pub(crate) inbound_burst: u32,
    pub(crate) errors_per_minute: u32,
    pub(crate) handshake_bytes: usize,
    pub(crate) ping: Duration,
    pub(crate) pong: Duration,
    pub(crate) write_stall: Duration,
    pub(crate) write_pause: Duration,
    pub(crate) write_pause_above: u32,
    pub(crate) origins: Vec<String>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS_DEFAULT,
            subscriptions: limits::SUBSCRIPTIONS_DEFAULT,
            patterns: limits::PATTERNS_DEFAULT,
            queue_messages: limits::QUEUE_MESSAGES_DEFAULT,
            queue_bytes: limits::QUEUE_BYTES_DEFAULT,
            inbound_bytes: limits::INBOUND_BYTES_DEFAULT,
            inbound_per_second: limits::INBOUND_PER_SECOND_DEFAULT,
            inbound_burst: limits::INBOUND_BURST_DEFAULT,
            errors_per_minute: limits::ERRORS_PER_MINUTE_DEFAULT,
            handshake_bytes: limits::HANDSHAKE_BYTES_DEFAULT,
            ping: limits::PING_DEFAULT,
            pong: limits::PONG_DEFAULT,
            write_stall: limits::WRITE_STALL_DEFAULT,
            write_pause: limits::WRITE_PAUSE_DEFAULT,
            write_pause_above: limits::WRITE_PAUSE_ABOVE_DEFAULT,
            origins: Vec::new(),
        }
    }
}

impl StreamOptions {
    /// The defaults of [`limits`].
    pub fn new() -> Self {
        Self::default()
    }

    /// How many clients may be connected at the same time.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How many subscriptions a client may have.
    pub fn subscriptions(mut self, subscriptions: usize) -> Self {
        self.subscriptions = subscriptions;
        self
    }

    /// How many entries the `event_types` of a subscription may have.
    pub fn patterns(mut self, patterns: usize) -> Self {
        self.patterns = patterns;
        self
    }

    /// How many messages, and bytes of them, may wait for a client before it counts as slow.
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        (self.queue_messages, self.queue_bytes) = (messages, bytes);
        self
    }

    /// How long a message from a client may be, in bytes.
    pub fn inbound_bytes(mut self, bytes: usize) -> Self {
        self.inbound_bytes = bytes;
        self
    }

    /// How many messages a client may send, per second on average and at once.
    pub fn inbound_rate(mut self, per_second: u32, burst: u32) -> Self {
        (self.inbound_per_second, self.inbound_burst) = (per_second, burst);
        self
    }

    /// How many error replies a client gets in a minute before it is disconnected.
    pub fn errors_per_minute(mut self, errors: u32) -> Self {
        self.errors_per_minute = errors;
        self
    }

    /// How long the headers of the request that opens a connection may be, in bytes together.
    pub fn handshake_bytes(mut self, bytes: usize) -> Self {
        self.handshake_bytes = bytes;
        self
    }

    /// The time between two pings, and how long a client may take to answer.
    pub fn ping(mut self, every: Duration, pong_within: Duration) -> Self {
        (self.ping, self.pong) = (every, pong_within);
        self
    }

    /// How long a client may take to read what was written.
    pub fn write_stall(mut self, most: Duration) -> Self {
        self.write_stall = most;
        self
    }

    /// The least time between two writes to a client while all clients together are written to
    /// more often than so many times a second: an event that comes sooner after the last write
    /// waits, and goes out with what comes meanwhile. The runtime's timer makes up to a millisecond
    /// more of it. It is 0, for no pause ever, or 1 ms to 1 s.
    ///
    /// Nothing waits while a whole batch (256 messages) or a quarter of the client's queue is
    /// there, and neither do replies. Default: 1 ms above 50,000 writes a second.
    pub fn write_pause(mut self, least: Duration, above_per_second: u32) -> Self {
        (self.write_pause, self.write_pause_above) = (least, above_per_second);
        self
    }

    /// Also lets pages of this origin connect: `https://app.example.com`, or
    /// `https://*.example.com` for every host below. The origin that the request goes to is
    /// always allowed, and so is a client that is no browser and sends none.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// The origins, once every option is found to be in its range.
    pub(crate) fn check(&self) -> Result<Vec<AllowedOrigin>> {
        range("connections", self.connections, 1_000_000)?;
        range("subscriptions", self.subscriptions, 65_536)?;
        range("patterns", self.patterns, 65_536)?;
        range("queue messages", self.queue_messages, 1 << 20)?;
        range("queue bytes", self.queue_bytes, 1 << 30)?;
        range("inbound bytes", self.inbound_bytes, 16 << 20)?;
        range("inbound messages per second", self.inbound_per_second as usize, 1_000_000)?;
        range("inbound burst", self.inbound_burst as usize, 1_000_000)?;
        range("errors per minute", self.errors_per_minute as usize, 1_000_000)?;
        range("handshake bytes", self.handshake_bytes, 1 << 20)?;
        time("ping", self.ping)?;
        time("pong", self.pong)?;
        time("write stall", self.write_stall)?;
        let pauses = Duration::from_millis(1)..=limits::WRITE_PAUSE_MAX;
        if !self.write_pause.is_zero() && !pauses.contains(&self.write_pause) {
            let message = format!(
                "write pause is 0, or 1 ms to {:?}, not {:?}",
                limits::WRITE_PAUSE_MAX,
                self.write_pause
            );
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        if self.pong >= self.ping {
            let message = format!(
                "pong within {:?} is not shorter than ping every {:?}; make it so",
                self.pong, self.ping
            );
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        if self.origins.len() > limits::ORIGINS_MAX {
            let message = format!(
                "{} origins are allowed, the most is {}; use `https://*.example.com`",
                self.origins.len(),
                limits::ORIGINS_MAX
            );
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        self.origins.iter().map(|origin| AllowedOrigin::parse(origin)).collect()
    }

    /// As they show in the statistics.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "connections": self.connections,
            "subscriptions_per_client": self.subscriptions,
            "patterns_per_subscription": self.patterns,
            "queue_messages": self.queue_messages,
            "queue_bytes": self.queue_bytes,
            "inbound_bytes": self.inbound_bytes,
            "inbound_per_second": self.inbound_per_second,
            "inbound_burst": self.inbound_burst,
            "errors_per_minute": self.errors_per_minute,
            "handshake_bytes": self.handshake_bytes,
            "ping_seconds": self.ping.as_secs_f64(),
            "pong_seconds": self.pong.as_secs_f64(),
            "write_stall_seconds": self.write_stall.as_secs_f64(),
            "write_pause_seconds": self.write_pause.as_secs_f64(),
            "write_pause_above_per_second": self.write_pause_above,
            "message_bytes": limits::MESSAGE_BYTES_MAX,
            "reply_bytes": limits::REPLY_BYTES_MAX,
            "allowed_origins": self.origins,
        })
    }
}

fn range(name: &str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOption, format!("{name} is 1 to {most}, not {value}")))
}

fn time(name: &str, value: Duration) -> Result<()> {
    if (Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60)).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOption, format!("{name} is 1 ms to 24 h, not {value:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range() {
        assert!(StreamOptions::new().check().unwrap().is_empty());
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let options = StreamOptions::new;
        let seconds = Duration::from_secs;
        for (options, named) in [
            (options().connections(0), "connections"),
            (options().subscriptions(0), "subscriptions"),
            (options().patterns(0), "patterns"),
            (options().queue(0, 1), "queue messages"),
            (options().queue(1, 0), "queue bytes"),
            (options().inbound_bytes(17 << 20), "inbound bytes"),
            (options().inbound_rate(0, 1), "inbound messages per second"),
            (options().inbound_rate(1, 0), "inbound burst"),
            (options().errors_per_minute(0), "errors per minute"),
            (options().handshake_bytes(0), "handshake bytes"),
            (options().ping(Duration::ZERO, seconds(1)), "ping"),
            (options().ping(seconds(9), Duration::ZERO), "pong"),
            (options().ping(seconds(9), seconds(9)), "pong within 9s"),
            (options().write_stall(Duration::ZERO), "write stall"),
            (options().write_pause(seconds(2), 0), "write pause"),
            (options().write_pause(Duration::from_micros(100), 0), "write pause"),
            (options().allow_origin("example.com"), "example.com"),
        ] {
            let error = options.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert!(error.to_string().contains(named), "{error} should name {named}");
        }
        let many = (0..65).fold(options(), |all, n| all.allow_origin(format!("https://{n}.de")));
        assert!(many.check().unwrap_err().to_string().contains("65 origins"));
    }
}
