//! A runtime of as many threads as there are tasks. A model is over when all of them have ended;
//! one that never does is a deadlock, and fails it.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::PoisonError;
use std::task::{Poll, Waker};

use super::checker;
use super::{Arc, Notify};

/// How many shared lanes a bus opens.
const WORKERS: usize = 1;

#[derive(Debug, Clone)]
pub(crate) struct Handle;

/// Of the one runtime there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id;

/// There is no runtime.
pub(crate) struct NoRuntime;

pub(crate) struct Entered;

/// The task was aborted.
#[derive(Debug)]
pub(crate) struct Aborted;

impl Handle {
    /// Loom follows few threads only, so its models do without tasks.
    pub(crate) fn try_current() -> Result<Self, NoRuntime> {
        if cfg!(nexus_loom) { Err(NoRuntime) } else { Ok(Self) }
    }

    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn enter(&self) -> Entered {
        Entered
    }

    pub(crate) fn id(&self) -> Id {
        Id
    }

    pub(crate) fn metrics(&self) -> Self {
        Self
    }

    pub(crate) fn num_workers(&self) -> usize {
        WORKERS
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        checker::future::block_on(future)
    }

    pub(crate) fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let task = Task(shared.clone());
        checker::thread::spawn(move || checker::future::block_on(shared.run(future)));
        task
    }
}

pub(crate) fn spawn_blocking<T: Send + 'static>(
    code: impl FnOnce() -> T + Send + 'static,
) -> Task<T> {
    Handle.spawn(async { code() })
}

/// Those who publish in a model are threads, not tasks.
pub(crate) fn try_id() -> Option<Id> {
    None
}

/// A task, as its handles see it.
struct Shared<T> {
    state: std::sync::Mutex<State<T>>,
    ended: Notify,
}

struct State<T> {
    aborted: bool,
    has_ended: bool,
    result: Option<T>,
    waker: Option<Waker>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        let state = State { aborted: false, has_ended: false, result: None, waker: None };
        Self { state: std::sync::Mutex::new(state), ended: Notify::new() }
    }
}

impl<T> Shared<T> {
    /// Never locked across a step of the model.
    fn state(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, future: impl Future<Output = T>) {
        let result = {
            let mut future = pin!(future);
            let run = poll_fn(|task| {
                self.state().waker = Some(task.waker().clone());
                if self.state().aborted {
                    return Poll::Ready(None);
                }
                future.as_mut().poll(task).map(Some)
            });
            run.await
        };
        let mut state = self.state();
        (state.has_ended, state.result, state.waker) = (true, result, None);
        drop(state);
        self.ended.notify_waiters();
    }
}

pub(crate) struct Task<T>(Arc<Shared<T>>);

impl<T: Send + 'static> Task<T> {
    pub(crate) fn abort(&self) {
        self.0.abort();
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.0.state().has_ended
    }

    pub(crate) fn abort_handle(&self) -> AbortHandle {
        AbortHandle(self.0.clone())
    }

    async fn join(self) -> Result<T, Aborted> {
        loop {
            let ended = self.0.ended.notified();
            if self.0.state().has_ended {
                return self.0.state().result.take().ok_or(Aborted);
            }
            ended.await;
        }
    }
}

impl<T: Send + 'static> IntoFuture for Task<T> {
    type Output = Result<T, Aborted>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.join())
    }
}

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was aborted")
    }
}

impl std::error::Error for Aborted {}

#[derive(Clone)]
pub(crate) struct AbortHandle(Arc<dyn Abort>);

impl AbortHandle {
    pub(crate) fn abort(&self) {
        self.0.abort();
    }
}

trait Abort: Send + Sync {
    fn abort(&self);
}

impl<T: Send> Abort for Shared<T> {
    fn abort(&self) {
        let mut state = self.state();
        state.aborted = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}
