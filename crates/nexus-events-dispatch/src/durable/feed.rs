//! The task of a consumer: takes events from the log and gives them to its handler.

use std::collections::{BTreeMap, VecDeque};
use std::pin::{Pin, pin};

use tracing::warn;

use super::Durables;
use super::consumer::{Consumer, FromLog};
use crate::bus::{Bus, Inner};
use crate::delivery::Delivery;
use crate::entrance::before;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::layers::DeadLetter;
use crate::limits::{CONSUMER_PAUSE, CONSUMER_WINDOW_BYTES, CONSUMER_WINDOW_EVENTS, CRASHES_ALONE};
use crate::runtime::{Job, contain};
use crate::store::{Cancelled, Offset, Read, StoredEvent};
use crate::sync::{Arc, Ordering, Weak, sleep};

/// A consumer at work.
pub(super) struct Feed {
    consumer: Arc<Consumer>,
    /// The handler, or the head of its group.
    target: Arc<Entry>,
    bus: Weak<Inner>,
    durables: Arc<Durables>,
    /// Read and not given yet, with whether it is cancelled.
    page: VecDeque<(StoredEvent, bool)>,
    /// Up to here the log is read.
    read: Offset,
}

/// Why something is not done.
enum Stop {
    /// The consumer is to end.
    Ended,
    /// The store failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Closed => Self::Ended,
            _ => Self::Failed(error),
        }
    }
}

type Going<T = ()> = Result<T, Stop>;

impl Feed {
    pub(super) fn new(
        consumer: Arc<Consumer>,
        target: Arc<Entry>,
        bus: &Bus,
        durables: &Arc<Durables>,
    ) -> Self {
        Self {
            consumer,
            target,
            bus: Arc::downgrade(&bus.0),
            durables: durables.clone(),
            page: VecDeque::new(),
            read: Offset::START,
        }
    }

    /// Runs until it is stopped, and writes how far it came.
    pub(super) async fn run(mut self) {
        let consumer = self.consumer.clone();
        {
            let front = consumer.front().cloned();
            let mut end = pin!(async {
                match &front {
                    Some(front) => drop(before(front.ended(), consumer.stopped()).await),
                    None => consumer.stopped().await,
                }
            });
            let writing = pin!(write(&consumer));
            let work = contain(Box::pin(self.work()));
            let work = pin!(async { drop(before(work, writing).await) });
            before(work, end.as_mut()).await;
        }
        self.finish().await;
    }

    /// Reads and gives, for ever; a failure of the store is waited out.
    async fn work(&mut self) {
        while let Err(stop) = self.begin().await {
            if !self.wait_out(stop).await {
                return;
            }
        }
        loop {
            match self.go_on().await {
                Ok(()) => self.consumer.goes_on(),
                Err(stop) => {
                    if !self.wait_out(stop).await {
                        return;
                    }
                }
            }
        }
    }

    /// Waits after a failure; `false` when there is nothing to wait for.
    async fn wait_out(&self, stop: Stop) -> bool {
        let Stop::Failed(error) = stop else { return false };
        self.consumer.cannot_go_on(&error);
        sleep(CONSUMER_PAUSE).await;
        true
    }

    async fn begin(&mut self) -> Going {
        // Once: what a failure of the store interrupts after that is no second crash.
        if !self.consumer.ready.load(Ordering::SeqCst) {
            self.consumer.begin(&self.durables).await?;
        }
        self.read = self.consumer.window.lock().seen();
        self.handle_suspects().await?;
        self.give_left().await
    }

    /// What the process has crashed at is handled alone before it may be parked, so that the crash
    /// shows which event it is; what it crashed at too often is parked.
    async fn handle_suspects(&mut self) -> Going {
        let (left, most) = (self.consumer.window.lock().left(), self.consumer.durable.crashes);
        for stored in left {
            let crashes = self.consumer.window.lock().crashes(stored.offset);
            if crashes >= most {
                self.park(&stored, crashes).await?;
            } else if crashes > 0 && crashes + CRASHES_ALONE >= most {
                self.consumer.window.lock().set_alone(Some(stored.offset));
                self.consumer.write(true).await?;
                let offset = stored.offset;
                if self.give_unless_cancelled(stored).await? {
                    self.until(|consumer| !consumer.window.lock().is_given(offset)).await;
                }
            }
        }
        self.consumer.window.lock().set_alone(None);
        Ok(())
    }

    async fn park(&self, stored: &StoredEvent, crashes: u32) -> Going {
        let text = format!(
            "crash_loop: the process ended {crashes} times while this event was handled; find out why before it is replayed"
        );
        let bus = self.bus()?;
        let letter = DeadLetter::crash_loop(&bus, &self.target, &stored.event, text.into());
        self.durables.letters.park(letter.clone()).await?;
        if let Some(event) = self.durables.letters.failure_event(&letter) {
            // What refuses it has counted it.
            let _ = bus.publish(event).await;
        }
        self.consumer.counts.crash_parked.fetch_add(1, Ordering::Relaxed);
        self.consumer.counts.parked.fetch_add(1, Ordering::Relaxed);
        self.done(stored.offset);
        self.consumer.write(true).await?;
        Ok(())
    }

    /// Gives what is taken and in nobody's hands.
    async fn give_left(&mut self) -> Going {
        let left = self.consumer.window.lock().left();
        for stored in left {
            self.give_unless_cancelled(stored).await?;
        }
        Ok(())
    }

    /// One event, or what has come back.
    async fn go_on(&mut self) -> Going {
        let has_left = |consumer: &Consumer| {
            let window = consumer.window.lock();
            window.given() < window.len()
        };
        if has_left(&self.consumer) {
            // Its handler does not take it, or it could not be parked.
            sleep(CONSUMER_PAUSE).await;
            let left = self.consumer.window.lock().left().len() as u64;
            self.consumer.counts.redelivered.fetch_add(left, Ordering::Relaxed);
            return self.give_left().await;
        }
        let events = CONSUMER_WINDOW_EVENTS.max(self.target.concurrency.saturating_mul(2));
        let has_room = move |consumer: &Consumer| {
            consumer.window.lock().has_room(events, CONSUMER_WINDOW_BYTES)
        };
        if !has_room(&self.consumer) {
            self.until(|consumer| has_room(consumer) || has_left(consumer)).await;
            return Ok(());
        }
        let Some((stored, cancelled)) = self.next(has_left).await? else { return Ok(()) };
        self.take(stored, cancelled, events).await
    }

    /// The next event of the log; `None` when something has come back meanwhile.
    async fn next(
        &mut self,
        has_left: impl Fn(&Consumer) -> bool + Copy,
    ) -> Going<Option<(StoredEvent, bool)>> {
        loop {
            if let Some(next) = self.page.pop_front() {
                return Ok(Some(next));
            }
            let store = self.durables.store().clone();
            let last = store.bounds().last;
            if last <= self.read {
                self.consumer.look_past(self.read);
                let came_back = self.until(has_left);
                match before(store.wait_past(self.read), came_back).await {
                    Some(grown) => grown?,
                    None => return Ok(None),
                }
                continue;
            }
            self.read_page(last).await?;
        }
    }

    async fn read_page(&mut self, last: Offset) -> Going {
        let store = self.durables.store().clone();
        if self.read.next() < store.bounds().first {
            self.skip_trimmed();
            return Ok(());
        }
        let read = Read::after(self.read).until(last).select(self.consumer.select());
        let page = match store.read(read).await {
            Err(error) if error.kind() == ErrorKind::Trimmed => {
                self.skip_trimmed();
                return Ok(());
            }
            page => page?,
        };
        let end = page.next.as_ref().map_or(last, |next| next.after);
        let mut cancelled = BTreeMap::new();
        if let (Some(first), Some(last)) = (page.events.first(), page.events.last()) {
            cancelled = Cancelled::between(&*store, first.offset, last.offset).await?;
        }
        let own = self.target.priority.number();
        let is_cancelled = |stored: &StoredEvent| {
            cancelled.get(&stored.offset).is_some_and(|cancelled| cancelled.priority > own)
        };
        let events = page.events.into_iter().map(|stored| {
            let is_cancelled = is_cancelled(&stored);
            (stored, is_cancelled)
        });
        self.page.extend(events);
        self.read = end;
        Ok(())
    }

    /// The log begins later than where it reads.
    fn skip_trimmed(&mut self) {
        let first = self.durables.store().bounds().first;
        let lost = first.before().number().saturating_sub(self.read.number());
        let consumer = &**self.consumer.name();
        warn!(consumer, lost, "events were removed from the log before this consumer came to them");
        self.consumer.counts.trimmed.fetch_add(lost, Ordering::Relaxed);
        self.read = first.before();
    }

    async fn take(&mut self, stored: StoredEvent, cancelled: bool, ahead: usize) -> Going {
        let (offset, id) = (stored.offset, stored.event.id().clone());
        let consumer = self.consumer.clone();
        let own = self.target.priority.number();
        let cancelled_now = self.durables.live.passed(&id, &consumer).await;
        consumer.look_past(offset.before());
        if !self.target.accepts(&stored.event) {
            consumer.look_past(offset);
            return Ok(());
        }
        if cancelled || cancelled_now.is_some_and(|priority| priority > own) {
            consumer.counts.cancelled.fetch_add(1, Ordering::Relaxed);
            consumer.look_past(offset);
            return Ok(());
        }
        consumer.window.lock().take(stored.clone());
        if offset > consumer.window.lock().delivered() {
            let ahead = Offset::new(offset.number().saturating_add(ahead as u64));
            consumer.window.lock().deliver_up_to(ahead);
            // Before a handler is called: a crash is to show which events it may be of.
            consumer.write(true).await?;
        }
        self.give(stored)
    }

    /// Gives an event that was there before; `false` when it was cancelled.
    async fn give_unless_cancelled(&mut self, stored: StoredEvent) -> Going<bool> {
        let offset = stored.offset;
        let own = self.target.priority.number();
        let cancelled = Cancelled::between(&**self.durables.store(), offset, offset).await?;
        let is_cancelled = cancelled.values().any(|cancelled| cancelled.priority > own);
        if is_cancelled
            || !self.target.accepts(&stored.event)
            || self.consumer.is_parked(&stored.event)
        {
            self.done(offset);
            return Ok(false);
        }
        self.give(stored)?;
        Ok(true)
    }

    fn done(&self, offset: Offset) {
        let item = self.consumer.window.lock().done(offset);
        drop(item);
        self.consumer.progress.notify_waiters();
    }

    fn give(&self, stored: StoredEvent) -> Going {
        let bus = self.bus()?;
        let (offset, consumer) = (stored.offset, &self.consumer);
        let attempt = {
            let mut window = consumer.window.lock();
            if !window.give(offset) {
                return Ok(());
            }
            window.attempts(offset) + 1
        };
        let from_log = FromLog::new(consumer, offset, attempt);
        let delivery = Delivery::of_log(&bus, stored.event, self.target.clone(), from_log);
        let job = Job { delivery: delivery.clone(), place: 0 };
        let pushed = match self.target.lane.get() {
            Some(lane) => lane.push_apart(job),
            None => Ok(()),
        };
        if let Err(reason) = pushed
            && delivery.not_run(0, reason)
        {
            bus.hand_over(delivery);
        }
        Ok(())
    }

    fn bus(&self) -> Going<Bus> {
        self.bus.upgrade().map(Bus).ok_or(Stop::Ended)
    }

    /// Waits for something that progress brings about.
    async fn until(&self, done: impl Fn(&Consumer) -> bool) {
        self.consumer.goes_on();
        loop {
            let mut progress = pin!(self.consumer.progress.notified());
            progress.as_mut().enable();
            if done(&self.consumer) {
                return;
            }
            progress.await;
        }
    }

    /// Writes how far it came, once what handlers have is done or cut off.
    async fn finish(&self) {
        let consumer = &self.consumer;
        self.until(|consumer| consumer.is_cut_off() || consumer.window.lock().given() == 0).await;
        if consumer.ready.load(Ordering::SeqCst)
            && let Err(error) = consumer.write(false).await
        {
            let consumer = &**consumer.name();
            warn!(consumer, %error, "a consumer could not write where it is; some events come again");
        }
    }
}

impl Drop for Feed {
    /// It has ended, or its runtime has.
    fn drop(&mut self) {
        self.durables.live.left(&self.consumer);
        self.durables.consumers.lock().retain(|other| !Arc::ptr_eq(other, &self.consumer));
        self.consumer.has_closed();
    }
}

/// Writes the cursor whenever it has moved, as often as the store takes it.
async fn write(consumer: &Consumer) {
    let mut written = Offset::START;
    loop {
        let mut progress: Pin<&mut _> = pin!(consumer.progress.notified());
        progress.as_mut().enable();
        let acked = consumer.window.lock().acked();
        if !consumer.ready.load(Ordering::SeqCst) || acked == written {
            progress.await;
            continue;
        }
        match consumer.write(true).await {
            Ok(_) => written = acked,
            // What comes next writes it too.
            Err(_) => sleep(CONSUMER_PAUSE).await,
        }
    }
}

impl Consumer {
    /// Up to here nothing else is to be handled.
    fn look_past(&self, offset: Offset) {
        self.window.lock().look_past(offset);
        self.progress.notify_waiters();
    }
}
