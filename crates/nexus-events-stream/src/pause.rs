//! When a client is written to: at once, unless it was written to a moment ago.
//!
//! A client that gets thousands of events a second costs a wake-up and a write for each of them
//! if it is written to as often as it can be, and then nothing is left for the others. With a
//! pause after each write, what comes meanwhile goes out with the next one.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::queue::ClientQueue;

pub(crate) struct Pause {
    length: Duration,
    wrote: Instant,
    /// Events come faster than pauses pass, so that the end of the next pause is waited for and
    /// not the next event, which saves a wake-up.
    busy: bool,
}

impl Pause {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, wrote: Instant::now(), busy: false }
    }

    pub(crate) fn wrote(&mut self) {
        self.wrote = Instant::now();
    }

    /// Waits until something should be written, or the connection is to end. `looked` says that
    /// the queue was found empty. Dropping the future loses nothing.
    pub(crate) async fn next_write(&mut self, queue: &ClientQueue, looked: bool) {
        if looked || !self.busy {
            self.busy = false;
            queue.changed().await;
        }
        let until = self.wrote + self.length;
        if Instant::now() < until {
            self.busy = true;
            tokio::select! {
                () = queue.pressing() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}
