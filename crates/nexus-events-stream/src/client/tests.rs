//! What needs a clock that stands still or a socket that does not write.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::ws::Message;
use futures_util::{Sink, Stream};
use nexus_events_dispatch::Bus;
use nexus_events_model::Event;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep};
use tokio_tungstenite::tungstenite::{self, error::CapacityError};

use crate::{StreamOptions, Streamer};

/// A socket without a network.
struct FakeSocket {
    incoming: mpsc::UnboundedReceiver<Result<Message, axum::Error>>,
    outgoing: mpsc::UnboundedSender<Message>,
    blocked: Arc<Mutex<bool>>,
    /// How long a flush takes.
    takes: Arc<Mutex<Duration>>,
    flush: Option<Pin<Box<Sleep>>>,
}

impl Stream for FakeSocket {
    type Item = Result<Message, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx)
    }
}

impl Sink<Message> for FakeSocket {
    type Error = axum::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        if *self.blocked.lock() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), axum::Error> {
        self.outgoing.send(message).map_err(axum::Error::new)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        let takes = *self.takes.lock();
        if !takes.is_zero() {
            let flush = self.flush.get_or_insert_with(|| Box::pin(sleep(takes)));
            ready!(flush.as_mut().poll(cx));
            self.flush = None;
        }
        self.poll_ready(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        self.poll_ready(cx)
    }
}

struct Rig {
    bus: Bus,
    streamer: Streamer,
    says: mpsc::UnboundedSender<Result<Message, axum::Error>>,
    hears: mpsc::UnboundedReceiver<Message>,
    blocked: Arc<Mutex<bool>>,
    takes: Arc<Mutex<Duration>>,
    task: JoinHandle<()>,
}

impl Rig {
    /// A client that is subscribed to everything.
    async fn start(options: StreamOptions) -> Self {
        let bus = Bus::new();
        let streamer = Streamer::new(&bus, options).unwrap();
        let mut rig = Self::connect(bus, streamer);
        rig.say(r#"{"type":"subscribe","event_types":["**"]}"#);
        assert!(rig.text().await.contains("connection_established"));
        assert!(rig.text().await.contains("subscription_created"));
        rig
    }

    fn connect(bus: Bus, streamer: Streamer) -> Self {
        let (says, incoming) = mpsc::unbounded_channel();
        let (outgoing, hears) = mpsc::unbounded_channel();
        let (blocked, takes) = <(Arc<Mutex<bool>>, Arc<Mutex<Duration>>)>::default();
        let (flush, held) = (None, (blocked.clone(), takes.clone()));
        let socket = FakeSocket { incoming, outgoing, blocked, takes, flush };
        let task = tokio::spawn(super::serve(streamer.shared.clone(), socket, bus.now()));
        let (blocked, takes) = held;
        Self { bus, streamer, says, hears, blocked, takes, task }
    }

    fn say(&self, text: &str) {
        self.says.send(Ok(Message::Text(text.into()))).unwrap();
    }

    async fn text(&mut self) -> String {
        match self.hears.recv().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("expected a text, got {other:?}"),
        }
    }

    async fn close_code(&mut self) -> Option<u16> {
        while let Some(message) = self.hears.recv().await {
            if let Message::Close(Some(frame)) = message {
                return Some(frame.code);
            }
        }
        None
    }

    fn publish(&self) {
        self.bus.try_publish(Event::builder("a.b")).unwrap();
    }

    fn disconnected(&self, reason: &str) -> u64 {
        self.streamer.stats().disconnected.get(reason).copied().unwrap_or(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_pongs_is_closed_in_time() {
    let mut rig = Rig::start(StreamOptions::new()).await;
    let start = Instant::now();
    assert!(matches!(rig.hears.recv().await, Some(Message::Ping(_))));
    assert_eq!(rig.close_code().await, Some(4102));
    let took = start.elapsed().as_secs_f64();
    assert!((32.4..=37.6).contains(&took), "{took}");
    assert_eq!(rig.disconnected("no_pong"), 1);
}

#[tokio::test(start_paused = true)]
async fn any_word_of_a_client_keeps_it() {
    let mut rig = Rig::start(StreamOptions::new()).await;
    for _ in 0..20 {
        assert!(matches!(rig.hears.recv().await, Some(Message::Ping(_))));
        rig.say(r#"{"type":"get_stats"}"#);
        assert!(rig.text().await.contains(r#""active_streams":1"#));
    }
}

#[tokio::test(start_paused = true)]
async fn options_move_the_ping() {
    let second = Duration::from_secs(1);
    let mut rig = Rig::start(StreamOptions::new().ping(second, second / 2)).await;
    let start = Instant::now();
    assert_eq!(rig.close_code().await, Some(4102));
    assert!(start.elapsed() < second * 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_stalls_ends_the_connection() {
    let options = StreamOptions::new().write_stall(Duration::from_secs(7));
    let mut rig = Rig::start(options).await;
    *rig.blocked.lock() = true;
    let start = Instant::now();
    rig.publish();
    (&mut rig.task).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 7);
    assert_eq!(rig.disconnected("write_stall"), 1);
    let stats = rig.streamer.stats();
    assert_eq!((stats.dropped["write_stall"], stats.connected_clients), (1, 0));
    assert_eq!((stats.queued_messages, stats.queued_bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_ends_the_connection_at_once_although_a_write_is_stalled() {
    let options = StreamOptions::new().queue(10, 1 << 20).write_pause(Duration::ZERO, 0);
    let rig = Rig::start(options).await;
    *rig.blocked.lock() = true;
    let start = Instant::now();
    rig.publish();
    tokio::task::yield_now().await;
    (0..10).for_each(|_| rig.publish());
    while rig.streamer.stats().connected_clients > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let stats = rig.streamer.stats();
    assert_eq!((stats.dropped["slow_client"], stats.disconnected["slow_client"]), (11, 1));
    assert_eq!((stats.queued_messages, stats.total_subscriptions), (0, 0));
}

/// A client that was not written to for a while, and the length of its pause.
async fn rested(options: StreamOptions) -> (Rig, Duration) {
    let pause = Duration::from_millis(40);
    let rig = Rig::start(options.write_pause(pause, 0)).await;
    tokio::time::sleep(2 * pause).await;
    (rig, pause)
}

#[tokio::test(start_paused = true)]
async fn the_first_event_after_a_pause_is_written_at_once_and_the_next_ones_together() {
    let (mut rig, pause) = rested(StreamOptions::new()).await;
    for _ in 0..3 {
        let start = Instant::now();
        rig.publish();
        rig.text().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        for writes in 1..4 {
            (0..3).for_each(|_| rig.publish());
            for _ in 0..3 {
                rig.text().await;
                assert_eq!(start.elapsed(), writes * pause);
            }
        }
        tokio::time::sleep(2 * pause).await;
    }
}

/// The default has a pause, for which a single client is no reason.
#[tokio::test(start_paused = true)]
async fn nothing_waits_without_a_pause_and_no_single_client_does() {
    let options = StreamOptions::new;
    for options in [options().write_pause(Duration::ZERO, 0), options()] {
        let mut rig = Rig::start(options).await;
        let start = Instant::now();
        for _ in 0..10 {
            rig.publish();
            rig.text().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_a_quarter_of_the_queue_does_not_wait() {
    for options in
        [StreamOptions::new().queue(40, 1 << 20), StreamOptions::new().queue(4096, 12_000)]
    {
        let (mut rig, pause) = rested(options).await;
        let start = Instant::now();
        for _ in 0..100 {
            (0..12).for_each(|_| rig.publish());
            for _ in 0..12 {
                rig.text().await;
            }
        }
        assert!(start.elapsed() < pause, "{:?}", start.elapsed());
        assert_eq!(rig.streamer.stats().connected_clients, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_quarter_is_being_written_does_not_wait_either() {
    let (mut rig, pause) = rested(StreamOptions::new().queue(40, 1 << 20)).await;
    *rig.takes.lock() = pause / 20;
    let start = Instant::now();
    for _ in 0..2 {
        (0..12).for_each(|_| rig.publish());
        // They are taken then, and not yet written.
        rig.text().await;
    }
    for _ in 0..22 {
        rig.text().await;
    }
    assert!(start.elapsed() < pause, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_heard_whatever_is_being_written_or_waited_for() {
    for pause in [0, 1, 1_000].map(Duration::from_millis) {
        for before in [1, 3] {
            let mut rig = Rig::start(StreamOptions::new().write_pause(pause, 0)).await;
            sleep(Duration::from_secs(2)).await;
            *rig.takes.lock() = Duration::from_millis(2);
            rig.publish();
            sleep(Duration::from_millis(before)).await;
            rig.publish();
            let start = Instant::now();
            rig.streamer.shutdown(Duration::ZERO).await;
            assert_eq!(rig.close_code().await, Some(1001));
            assert!(start.elapsed() < Duration::from_millis(10), "{pause:?} {:?}", start.elapsed());
        }
    }
}

/// Without a pause there is always something to write.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_always_written_to_is_pinged() {
    let mut rig = Rig::start(StreamOptions::new().write_pause(Duration::ZERO, 0)).await;
    *rig.takes.lock() = Duration::from_millis(20);
    let bus = rig.bus.clone();
    let publisher = tokio::spawn(async move {
        loop {
            bus.try_publish(Event::builder("a.b")).unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    });
    let start = Instant::now();
    while !matches!(rig.hears.recv().await, Some(Message::Ping(_))) {
        assert!(start.elapsed() < Duration::from_secs(30));
    }
    publisher.abort();
}

#[tokio::test(start_paused = true)]
async fn a_reply_does_not_wait() {
    let (mut rig, _) = rested(StreamOptions::new()).await;
    rig.publish();
    rig.text().await;
    let start = Instant::now();
    for _ in 0..3 {
        rig.publish();
        rig.say(r#"{"type":"get_stats"}"#);
        assert!(rig.text().await.contains("a.b"));
        assert!(rig.text().await.contains(r#""active_streams":1"#));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_cuts_who_does_not_answer_the_close() {
    let mut rig = Rig::start(StreamOptions::new()).await;
    let place = rig.streamer.shared.slots.clone().try_acquire_owned().unwrap();
    let (done, mut finished) = watch::channel(false);
    let mut cut = rig.streamer.shared.cut.subscribe();
    tokio::spawn(async move {
        let _ = cut.wait_for(|cut| *cut).await;
        drop(place);
        done.send_replace(true);
    });
    let start = Instant::now();
    let report = rig.streamer.shutdown(Duration::from_secs(3)).await;
    assert_eq!((report.closed, report.cut_off), (0, 1));
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(rig.close_code().await, Some(1001));
    finished.wait_for(|done| *done).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_read_stays_open_for_the_client_to_read_why() {
    let mut rig = Rig::start(StreamOptions::new()).await;
    let start = Instant::now();
    let error = CapacityError::MessageTooLong { size: 2, max_size: 1 };
    rig.says.send(Err(axum::Error::new(tungstenite::Error::Capacity(error)))).unwrap();
    assert_eq!(rig.close_code().await, Some(1009));
    (&mut rig.task).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 1);
    assert_eq!(rig.disconnected("too_large"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_while_a_shutdown_begins_is_sent_away() {
    let bus = Bus::new();
    let streamer = Streamer::new(&bus, StreamOptions::new()).unwrap();
    streamer.shutdown(Duration::ZERO).await;
    let mut rig = Rig::connect(bus, streamer);
    assert!(rig.text().await.contains("connection_established"));
    let start = Instant::now();
    assert_eq!(rig.close_code().await, Some(1001));
    assert_eq!(start.elapsed(), Duration::ZERO);
}
