//! Group commit as users of a library write it: a queue, and one thread that commits together what
//! is in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::row::Row;

type Waiting = (Arc<Row>, oneshot::Sender<()>);

/// Rows that one commit takes.
const MOST: usize = 4_096;

pub(crate) struct Group {
    line: Option<mpsc::Sender<Waiting>>,
    writer: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

impl Group {
    pub(crate) fn new(mut commit: impl FnMut(&[Arc<Row>]) + Send + 'static) -> Self {
        let (line, next) = mpsc::channel::<Waiting>();
        let commits = Arc::<AtomicU64>::default();
        let counted = commits.clone();
        let writer = std::thread::spawn(move || {
            while let Ok(first) = next.recv() {
                let more = next.try_iter().take(MOST - 1);
                let (rows, answers): (Vec<_>, Vec<_>) = std::iter::once(first).chain(more).unzip();
                commit(&rows);
                counted.fetch_add(1, Ordering::Relaxed);
                for answer in answers {
                    let _ = answer.send(());
                }
            }
        });
        Self { line: Some(line), writer: Some(writer), commits }
    }

    pub(crate) fn append(&self, row: Arc<Row>) -> BoxFuture<'_, ()> {
        let (answer, answered) = oneshot::channel();
        let line = self.line.as_ref().expect("it is open");
        line.send((row, answer)).expect("a writer");
        Box::pin(async move { answered.await.expect("an answer") })
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.line.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
