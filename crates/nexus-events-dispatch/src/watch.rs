//! Calls that do not return. What runs handlers is looked at once a second while some of it is
//! busy: a call that is found twice takes long, one that is found for half a minute is given up.
//!
//! Nothing is counted or timed per event for this. Who runs handlers shows where he is, and the
//! watch remembers what it saw the last time.

use std::time::Duration;

use crate::bus::{Bus, Inner};
use crate::entry::Entry;
use crate::handler::Mode;
use crate::limits::{OVERDUE_AFTER, STUCK_AFTER_DEFAULT, STUCK_THREADS_MAX};
use crate::runtime::{contained, step_back};
use crate::sync::{
    Arc, AtomicBool, AtomicUsize, Handle, Instant, Mutex, Notify, Ordering, Weak, timeout,
};
use crate::trace;

/// Something that runs handlers, one call at a time.
pub(crate) trait Watched: Send + Sync {
    /// Whether it has something to do.
    fn is_busy(&self) -> bool;

    /// The call that holds up its thread now.
    fn sight(&self) -> Option<Sight>;

    /// Says that this call is going to be given up the next time it is seen.
    fn doubt(&self, bus: &Bus);

    /// Gives the call up, which has run for so long; `false` when it has returned.
    fn give_up(&self, bus: &Bus, sight: &Sight, ran: Duration) -> bool;
}

/// A call as it is seen from outside.
#[derive(Clone)]
pub(crate) struct Sight {
    pub(crate) entry: Arc<Entry>,
    /// Of the thing that runs it.
    pub(crate) turn: u64,
    /// Where in that turn, on a shared lane.
    pub(crate) place: Option<usize>,
}

impl Sight {
    fn is_same(&self, other: &Self) -> bool {
        (self.turn, self.place) == (other.turn, other.place)
            && Arc::ptr_eq(&self.entry, &other.entry)
    }
}

pub(crate) struct Watch {
    stuck_after: Duration,
    /// Whether that holds for threads that may block.
    with_blocking: bool,
    posts: Mutex<Vec<Post>>,
    /// Whether somebody looks, or nobody needs to any more.
    awake: AtomicBool,
    over: AtomicBool,
    ended: Notify,
    /// Threads that calls do not give back.
    stuck: AtomicUsize,
}

/// Something that is looked at.
struct Post {
    watched: Weak<dyn Watched>,
    seen: Option<Seen>,
}

struct Seen {
    sight: Sight,
    since: Instant,
    overdue: bool,
    doubted: bool,
    /// There are too many that have been given up.
    hopeless: bool,
}

impl Watch {
    pub(crate) fn new(stuck_after: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            stuck_after: stuck_after.unwrap_or(STUCK_AFTER_DEFAULT),
            with_blocking: stuck_after.is_some(),
            posts: Mutex::default(),
            awake: AtomicBool::new(false),
            over: AtomicBool::new(false),
            ended: Notify::new(),
            stuck: AtomicUsize::new(0),
        })
    }

    pub(crate) fn stuck_after(&self) -> Duration {
        self.stuck_after
    }

    pub(crate) fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, watched: Weak<dyn Watched>) {
        let mut posts = self.posts.lock();
        if posts.len() == posts.capacity() {
            posts.retain(|post| post.watched.strong_count() > 0);
        }
        posts.push(Post { watched, seen: None });
    }

    /// Somebody is about to be busy. What was started for that is let run first: it would wait
    /// behind the calling task, and for ever if that does not return.
    #[inline]
    pub(crate) async fn look(self: &Arc<Self>, bus: &Bus) {
        if !self.awake.load(Ordering::Relaxed) && self.wake(bus) {
            step_back().await;
        }
    }

    /// Whether something was started.
    #[cold]
    fn wake(self: &Arc<Self>, bus: &Bus) -> bool {
        if self.over.load(Ordering::SeqCst) || self.awake.swap(true, Ordering::SeqCst) {
            return false;
        }
        let watcher = Watcher { watch: self.clone(), bus: Arc::downgrade(&bus.0), relieved: false };
        let runtime = Handle::try_current();
        runtime.is_ok_and(|runtime| {
            runtime.spawn(watcher.work());
            true
        })
    }

    /// Nobody is looked at any more.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.ended.notify_waiters();
    }

    /// A call that was given up has returned.
    pub(crate) fn returned(&self, entry: &Entry) {
        self.stuck.fetch_sub(1, Ordering::SeqCst);
        entry.counters.is_overdue(false);
    }

    /// Looks at everybody; whether somebody is busy.
    fn look_around(&self, bus: &Bus) -> bool {
        let mut posts = std::mem::take(&mut *self.posts.lock());
        let mut busy = false;
        posts.retain_mut(|post| {
            let watched = post.watched.upgrade();
            // The last of a handler may be dropped here, which is the program's code.
            contained(|| match &watched {
                Some(watched) => busy |= self.look_at(bus, &**watched, post),
                None => drop(post.see(None)),
            });
            watched.is_some()
        });
        self.posts.lock().append(&mut posts);
        busy
    }

    fn look_at(&self, bus: &Bus, watched: &dyn Watched, post: &mut Post) -> bool {
        let Some(seen) = post.see(watched.sight()) else { return watched.is_busy() };
        let ran = seen.since.elapsed();
        // A thread that may block may be blocked.
        let holds_up = seen.sight.entry.mode != Mode::Blocking;
        if holds_up && ran >= OVERDUE_AFTER && !std::mem::replace(&mut seen.overdue, true) {
            seen.sight.entry.counters.is_overdue(true);
            trace::overdue(&seen.sight.entry, ran);
        }
        let has_time = ran < self.stuck_after || !(holds_up || self.with_blocking);
        if has_time || seen.hopeless {
            return true;
        }
        if !std::mem::replace(&mut seen.doubted, true) {
            watched.doubt(bus);
            return true;
        }
        if self.stuck.fetch_add(1, Ordering::SeqCst) >= STUCK_THREADS_MAX {
            self.stuck.fetch_sub(1, Ordering::SeqCst);
            seen.hopeless = true;
            trace::hopeless(&seen.sight.entry, ran);
            return true;
        }
        // It is overdue until it returns.
        if !std::mem::replace(&mut seen.overdue, true) {
            seen.sight.entry.counters.is_overdue(true);
        }
        let sight = seen.sight.clone();
        if watched.give_up(bus, &sight, ran) {
            post.seen = None;
            trace::stuck(&sight.entry, ran);
        } else {
            self.stuck.fetch_sub(1, Ordering::SeqCst);
            post.see(None);
        }
        true
    }
}

impl Post {
    /// What is seen now, and since when.
    fn see(&mut self, sight: Option<Sight>) -> Option<&mut Seen> {
        let same = |seen: &Seen| sight.as_ref().is_some_and(|sight| sight.is_same(&seen.sight));
        if !self.seen.as_ref().is_some_and(same) {
            if let Some(before) = self.seen.take()
                && before.overdue
            {
                before.sight.entry.counters.is_overdue(false);
            }
            let since = Instant::now();
            self.seen = sight.map(|sight| Seen {
                sight,
                since,
                overdue: false,
                doubted: false,
                hopeless: false,
            });
        }
        self.seen.as_mut()
    }
}

/// The task that looks.
struct Watcher {
    watch: Arc<Watch>,
    bus: Weak<Inner>,
    /// Whether somebody else looks, or nobody needs to.
    relieved: bool,
}

impl Watcher {
    async fn work(mut self) {
        self.look_on().await;
        self.relieved = true;
    }

    async fn look_on(&self) {
        let watch = &*self.watch;
        let pause = watch.stuck_after.min(OVERDUE_AFTER);
        let mut idle = false;
        loop {
            let mut ended = std::pin::pin!(watch.ended.notified());
            ended.as_mut().enable();
            if watch.over.load(Ordering::SeqCst) || timeout(pause, ended).await.is_ok() {
                return;
            }
            let Some(bus) = self.bus.upgrade().map(Bus) else { return };
            let busy = watch.look_around(&bus);
            if idle && (!busy || watch.awake.swap(true, Ordering::SeqCst)) {
                return;
            }
            // Who does not see this is about to be busy, which shows the next time.
            idle = !busy;
            watch.awake.store(busy, Ordering::SeqCst);
        }
    }
}

impl Drop for Watcher {
    /// Its runtime has ended, unless it is relieved.
    fn drop(&mut self) {
        if !self.relieved {
            self.watch.awake.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_events_model::Event;
    use tokio::task::yield_now;
    use tokio::time::advance;

    use super::*;

    /// Hangs in its first turn until it is given up.
    struct Hangs {
        entry: Arc<Entry>,
        doubted: AtomicBool,
        given_up: AtomicBool,
    }

    impl Watched for Hangs {
        fn is_busy(&self) -> bool {
            self.sight().is_some()
        }

        fn sight(&self) -> Option<Sight> {
            let sight = Sight { entry: self.entry.clone(), turn: 1, place: None };
            Some(sight).filter(|_| !self.given_up.load(Ordering::SeqCst))
        }

        fn doubt(&self, _: &Bus) {
            self.doubted.store(true, Ordering::SeqCst);
        }

        fn give_up(&self, _: &Bus, _: &Sight, _: Duration) -> bool {
            assert!(self.doubted.load(Ordering::SeqCst));
            self.given_up.store(true, Ordering::SeqCst);
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_overdue_after_a_second_and_given_up_after_half_a_minute() {
        let bus = Bus::new();
        let entry = bus.on("a", |_: &Event| {}).unwrap().entry;
        let (doubted, given_up) = (AtomicBool::new(false), AtomicBool::new(false));
        let hangs = Arc::new(Hangs { entry: entry.clone(), doubted, given_up });
        let weak: Weak<dyn Watched> = Arc::downgrade(&(hangs.clone() as Arc<dyn Watched>));
        bus.watch().add(weak);
        bus.watch().look(&bus).await;
        let mut seen = Vec::new();
        for _ in 0..33 {
            advance(OVERDUE_AFTER).await;
            yield_now().await;
            let stats = bus.stats();
            seen.push((stats.handlers[0].overdue, stats.stuck_threads));
        }
        // It is seen after a second, and takes a second then. Doubted comes before given up.
        assert_eq!((seen[0], seen[1], seen[30], seen[31]), ((0, 0), (1, 0), (1, 0), (1, 1)));
        bus.watch().returned(&entry);
        let stats = bus.stats();
        assert_eq!((stats.handlers[0].overdue, stats.stuck_threads), (0, 0));
        // Nobody looks any more.
        assert!(!bus.watch().awake.load(Ordering::SeqCst));
    }
}
