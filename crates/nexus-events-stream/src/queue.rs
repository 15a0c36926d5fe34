//! What waits for one client: bounded, and filled without ever waiting.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::{Message, Utf8Bytes};
use nexus_events_model::Encoded;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::close_code::CloseReason;
use crate::limits::{BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX, REPLY_BYTES_MAX};
use crate::subscriptions::ClientSubscription;

/// One message to a client.
pub(crate) enum Frame {
    /// Spliced together when it is written, so that a thousand queues hold one event.
    Event(Arc<ClientSubscription>, Encoded),
    Broadcast(Utf8Bytes),
    Reply(String),
}

impl Frame {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Event(subscription, event) => subscription.prefix.message_bytes(event),
            Self::Broadcast(text) => text.len(),
            Self::Reply(text) => text.len(),
        }
    }

    fn is_reply(&self) -> bool {
        matches!(self, Self::Reply(_))
    }

    pub(crate) fn into_message(self) -> Message {
        match self {
            Self::Event(subscription, event) => {
                Message::Text(subscription.prefix.message(&event).into())
            }
            Self::Broadcast(text) => Message::Text(text),
            Self::Reply(text) => Message::Text(text.into()),
        }
    }
}

/// What became of a message that was put into a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued {
        bytes: usize,
    },
    /// The subscription or the connection has ended.
    Ended,
    /// There was no room; the connection ends.
    Full,
    /// It is longer than any message may be.
    TooLarge,
}

/// What a client's queue asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    Nothing,
    /// To be written to, when that suits.
    Some,
    /// To be written to at once: so much waits, or the end has come.
    Pressing,
}

/// How much waits, in events and broadcasts; replies are not counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Load {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Load {
    fn less(self, other: Self) -> Self {
        Self { messages: self.messages - other.messages, bytes: self.bytes - other.bytes }
    }
}

pub(crate) struct ClientQueue {
    state: Mutex<State>,
    messages_max: usize,
    bytes_max: usize,
    /// There is something to write, or the end has come.
    ready: Notify,
    /// So much waits that it should be written without a pause, or the end has come.
    pressing: Notify,
    /// The end has come and what is being written does not matter any more.
    cut: Notify,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Frame>,
    /// Waiting or taken and not yet written.
    load: Load,
    taken: Load,
    reply_bytes: usize,
    ending: Option<CloseReason>,
}

impl ClientQueue {
    pub(crate) fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            messages_max,
            bytes_max,
            ready: Notify::new(),
            pressing: Notify::new(),
            cut: Notify::new(),
        }
    }

    /// Puts in an event or a broadcast if there is room, and otherwise ends the connection: a
    /// client that missed a message and was not told would be wrong from then on.
    pub(crate) fn push(&self, frame: Frame) -> Pushed {
        let bytes = frame.bytes();
        if bytes > MESSAGE_BYTES_MAX {
            return Pushed::TooLarge;
        }
        let mut state = self.state.lock();
        // Asked under the lock, so that nothing follows the reply to an unsubscribe.
        let ended = matches!(&frame, Frame::Event(subscription, _) if !subscription.is_active());
        if ended || state.ending.is_some() {
            return Pushed::Ended;
        }
        let load = state.load;
        let has_room = load.messages == 0
            || (load.messages < self.messages_max && load.bytes + bytes <= self.bytes_max);
        if !has_room {
            state.ending = Some(CloseReason::SlowClient);
            drop(state);
            self.cut.notify_one();
            self.announce_end();
            return Pushed::Full;
        }
        state.load = Load { messages: load.messages + 1, bytes: load.bytes + bytes };
        let waited = load.less(state.taken);
        let pressing = self.presses(state.load.less(state.taken)) && !self.presses(waited);
        self.put(state, frame);
        if pressing {
            self.pressing.notify_one();
        }
        Pushed::Queued { bytes }
    }

    /// Puts in a reply. There is always room: no message is read while many replies wait.
    pub(crate) fn reply(&self, text: String) {
        let mut state = self.state.lock();
        state.reply_bytes += text.len();
        self.put(state, Frame::Reply(text));
    }

    fn put(&self, mut state: parking_lot::MutexGuard<'_, State>, frame: Frame) {
        let was_empty = state.frames.is_empty();
        state.frames.push_back(frame);
        drop(state);
        if was_empty {
            self.ready.notify_one();
        }
    }

    /// Whether so much waits: a whole batch, or a quarter of the room.
    fn presses(&self, waiting: Load) -> bool {
        waiting.messages >= BATCH_MESSAGES_MAX.min(self.messages_max / 4)
            || waiting.bytes > self.bytes_max / 4
    }

    pub(crate) fn demand(&self) -> Demand {
        let state = self.state.lock();
        if state.ending.is_some() || self.presses(state.load.less(state.taken)) {
            Demand::Pressing
        } else if state.frames.is_empty() {
            Demand::Nothing
        } else {
            Demand::Some
        }
    }

    fn announce_end(&self) {
        self.ready.notify_one();
        self.pressing.notify_one();
    }

    /// Whether another message of the client may be read and answered.
    pub(crate) fn has_reply_room(&self) -> bool {
        self.state.lock().reply_bytes < REPLY_BYTES_MAX
    }

    /// Lets what waits be written, and then ends the connection.
    pub(crate) fn finish(&self) {
        self.state.lock().ending.get_or_insert(CloseReason::GoingAway);
        self.announce_end();
    }

    /// Moves the next messages into an empty batch; why the connection ends, if it does now.
    pub(crate) fn take(&self, batch: &mut Vec<Frame>) -> Option<CloseReason> {
        let mut state = self.state.lock();
        match state.ending {
            Some(CloseReason::SlowClient) => return state.ending,
            Some(_) if state.frames.is_empty() => return state.ending,
            _ => {}
        }
        let count = state.frames.len().min(BATCH_MESSAGES_MAX);
        batch.reserve_exact(count);
        batch.extend(state.frames.drain(..count));
        for frame in batch.iter() {
            if frame.is_reply() {
                state.reply_bytes -= frame.bytes();
            } else {
                state.taken.messages += 1;
                state.taken.bytes += frame.bytes();
            }
        }
        if state.frames.is_empty() && state.frames.capacity() > BATCH_MESSAGES_MAX {
            state.frames = VecDeque::new();
        }
        None
    }

    /// What was taken is written; gives back how much that was.
    pub(crate) fn written(&self) -> Load {
        let mut state = self.state.lock();
        let written = std::mem::take(&mut state.taken);
        state.load = state.load.less(written);
        written
    }

    /// Drops everything; gives back how much that was.
    pub(crate) fn clear(&self) -> Load {
        let mut state = self.state.lock();
        state.ending.get_or_insert(CloseReason::Lost);
        let frames = std::mem::take(&mut state.frames);
        let load = std::mem::take(&mut state.load);
        state.taken = Load::default();
        drop(state);
        drop(frames);
        load
    }

    /// Waits until there is something to write or the connection is to end.
    pub(crate) async fn changed(&self) {
        self.ready.notified().await;
    }

    /// Waits until so much waits that it should be written without a pause, or the connection is
    /// to end.
    pub(crate) async fn pressing(&self) {
        self.pressing.notified().await;
    }

    /// Waits until what is being written does not matter any more.
    pub(crate) async fn cut(&self) {
        self.cut.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Frame {
        Frame::Broadcast("x".repeat(bytes).into())
    }

    const TEN: Pushed = Pushed::Queued { bytes: 10 };

    #[test]
    fn both_bounds_end_the_connection() {
        for queue in [ClientQueue::new(2, 1_000), ClientQueue::new(1_000, 20)] {
            assert_eq!([queue.push(text(10)), queue.push(text(10))], [TEN, TEN]);
            assert_eq!(queue.push(text(10)), Pushed::Full);
            assert_eq!(queue.push(text(10)), Pushed::Ended);
            assert_eq!(queue.take(&mut Vec::new()), Some(CloseReason::SlowClient));
            assert_eq!(queue.clear(), Load { messages: 2, bytes: 20 });
        }
    }

    #[test]
    fn what_is_being_written_still_counts() {
        let queue = ClientQueue::new(2, 1_000);
        queue.push(text(10));
        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch), None);
        assert_eq!([queue.push(text(10)), queue.push(text(10))], [TEN, Pushed::Full]);
    }

    #[test]
    fn what_is_written_makes_room() {
        let queue = ClientQueue::new(1, 1_000);
        for _ in 0..3 {
            assert_eq!(queue.push(text(10)), TEN);
            let mut batch = Vec::new();
            queue.take(&mut batch);
            assert_eq!(batch.len(), 1);
            assert_eq!(queue.written(), Load { messages: 1, bytes: 10 });
        }
    }

    #[test]
    fn one_message_fits_whatever_the_bound_and_none_over_the_largest() {
        let queue = ClientQueue::new(10, 1);
        assert_eq!(queue.push(text(MESSAGE_BYTES_MAX + 1)), Pushed::TooLarge);
        assert_eq!(queue.push(text(10)), TEN);
        assert_eq!(queue.push(text(1)), Pushed::Full);
    }

    #[test]
    fn replies_need_no_room_among_events() {
        let queue = ClientQueue::new(1, 10);
        assert_eq!(queue.push(text(10)), TEN);
        queue.reply("y".repeat(REPLY_BYTES_MAX));
        assert!(!queue.has_reply_room());
        let mut batch = Vec::new();
        queue.take(&mut batch);
        assert_eq!(batch.iter().map(Frame::bytes).collect::<Vec<_>>(), [10, REPLY_BYTES_MAX]);
        assert!(queue.has_reply_room());
        assert_eq!(queue.written(), Load { messages: 1, bytes: 10 });
    }

    #[test]
    fn a_batch_is_bounded_and_in_order() {
        let queue = ClientQueue::new(1_000, 1_000_000);
        (0..300).for_each(|n| assert_ne!(queue.push(text(n)), Pushed::Full));
        let mut batch = Vec::new();
        queue.take(&mut batch);
        assert_eq!(batch.len(), BATCH_MESSAGES_MAX);
        batch.clear();
        queue.take(&mut batch);
        assert_eq!(batch.first().map(Frame::bytes), Some(BATCH_MESSAGES_MAX));
        assert_eq!(batch.len(), 300 - BATCH_MESSAGES_MAX);
    }

    #[test]
    fn a_finish_lets_what_waits_through_and_nothing_new_in() {
        let queue = ClientQueue::new(10, 1_000);
        queue.push(text(10));
        queue.finish();
        assert_eq!(queue.push(text(10)), Pushed::Ended);
        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch), None);
        assert_eq!(batch.len(), 1);
        assert_eq!(queue.take(&mut Vec::new()), Some(CloseReason::GoingAway));
    }
}
