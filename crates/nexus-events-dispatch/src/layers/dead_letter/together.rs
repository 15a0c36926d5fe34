//! Several replays at the same time, as far as no key orders them.

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::Poll;

use nexus_events_model::Text;

use super::record::DeadLetter;
use crate::error::Result;
use crate::handler::BoxFuture;

/// The ids of what has to be replayed one after the other, line by line.
pub(super) fn lines(letters: Vec<DeadLetter>) -> Vec<Vec<u64>> {
    let mut lines: Vec<Vec<u64>> = Vec::new();
    let mut by_key: HashMap<(Text, Text), usize> = HashMap::new();
    for letter in letters {
        let Some(key) = letter.key else {
            lines.push(vec![letter.id]);
            continue;
        };
        let line = *by_key.entry((letter.handler, key)).or_insert_with(|| {
            lines.push(Vec::new());
            lines.len() - 1
        });
        lines[line].push(letter.id);
    }
    lines
}

/// Runs them, so many at a time; the first error, once those that had begun are over.
pub(super) async fn several_at_once<'a, F>(
    futures: impl Iterator<Item = F> + Send,
    most: usize,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'a,
{
    let (mut waiting, mut failed) = (futures.fuse(), None);
    let mut running: Vec<BoxFuture<'a, Result<()>>> = Vec::new();
    poll_fn(|task| {
        loop {
            while running.len() < most && failed.is_none() {
                let Some(next) = waiting.next() else { break };
                running.push(Box::pin(next));
            }
            let (before, mut at) = (running.len(), 0);
            while let Some(future) = running.get_mut(at) {
                match future.as_mut().poll(task) {
                    Poll::Pending => at += 1,
                    Poll::Ready(result) => {
                        failed = failed.take().or(result.err());
                        drop(running.swap_remove(at));
                    }
                }
            }
            if running.is_empty() && (before == 0 || failed.is_some()) {
                return Poll::Ready(());
            }
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    #[tokio::test]
    async fn as_many_as_allowed_run_and_all_come_to_an_end() {
        let (running, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_: usize| async {
            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::Relaxed);
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        several_at_once((0..20).map(work), 8).await.unwrap();
        assert_eq!((most.into_inner(), done.into_inner()), (8, 20));
    }

    #[tokio::test]
    async fn after_an_error_no_other_begins() {
        let begun = AtomicUsize::new(0);
        let work = |at: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            async move { if at == 0 { Err(Error::refused("no")) } else { Ok(()) } }
        };
        several_at_once((0..20).map(work), 2).await.unwrap_err();
        assert_eq!(begun.into_inner(), 2);
    }
}
