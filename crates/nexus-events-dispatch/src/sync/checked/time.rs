//! Time that stands still until a model [advances](advance) it, so that a timer goes off between
//! any two steps of the other threads.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::{Add, Sub};
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant as Base};

std::thread_local! {
    /// Of the model that this thread of the machine runs.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// Who waits, by number.
    static TIMERS: RefCell<BTreeMap<u64, Waker>> = const { RefCell::new(BTreeMap::new()) };
    static TIMERS_MADE: Cell<u64> = const { Cell::new(0) };
}

/// When the time of models begins.
static START: OnceLock<Base> = OnceLock::new();

/// Begins the time of a model anew.
pub fn begin() {
    NOW.set(Duration::ZERO);
    TIMERS.take();
}

/// Lets time pass for all threads of a model.
pub fn advance(by: Duration) {
    NOW.set(NOW.get() + by);
    TIMERS.take().into_values().for_each(Waker::wake);
}

/// What happens after something else has a higher one, although time stands still.
pub(crate) type Tick = u64;

pub(crate) fn tick() -> Tick {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1, Ordering::Relaxed)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Instant(Base);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(*START.get_or_init(Base::now) + NOW.get())
    }

    pub(crate) fn from_std(instant: Base) -> Self {
        Self(instant)
    }

    pub(crate) fn into_std(self) -> Base {
        self.0
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    pub(crate) fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    pub(crate) fn duration_since(&self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    pub(crate) fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Time is up.
#[derive(Debug)]
pub(crate) struct Elapsed;

pub(crate) fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
    sleep_until(Instant::now() + duration)
}

pub(crate) fn sleep_until(at: Instant) -> impl Future<Output = ()> + Send {
    TIMERS_MADE.set(TIMERS_MADE.get() + 1);
    Sleep { at, number: TIMERS_MADE.get() }
}

struct Sleep {
    at: Instant,
    number: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let waker = task.waker().clone();
        let before = TIMERS.with_borrow_mut(|timers| timers.insert(self.number, waker));
        // A step of the model, so not with the timers in hand.
        drop(before);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = TIMERS.with_borrow_mut(|timers| timers.remove(&self.number));
        drop(waker);
    }
}

pub(crate) fn timeout<F: Future>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    timeout_at(Instant::now() + duration, future)
}

pub(crate) async fn timeout_at<F: Future>(at: Instant, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut up) = (pin!(future), pin!(sleep_until(at)));
    poll_fn(|task| match future.as_mut().poll(task) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => up.as_mut().poll(task).map(|()| Err(Elapsed)),
    })
    .await
}
