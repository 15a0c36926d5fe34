//! Random interleavings of replies, failures, drops, time and requesters against a naive oracle.

use nexus_events_dispatch::Bus;
use nexus_events_patterns::{Error, ErrorKind, Reject, ReplyTo, Requests};
use proptest::prelude::*;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{ask, ms};

/// What a responder does at a time.
#[derive(Debug, Clone, Copy)]
enum Act {
    Reply(u64),
    Reject(i64),
    /// Lets go, whatever was to come.
    Drop,
    Panic,
}

/// When the requester ends by itself.
#[derive(Debug, Clone, Copy)]
struct Requester {
    timeout: u64,
    dropped: Option<u64>,
}

/// Each responder's acts, with their times.
type Script = Vec<Vec<(u64, Act)>>;

#[derive(Debug, PartialEq, Default)]
struct Counted {
    replies: u64,
    late: u64,
    duplicate: u64,
}

#[derive(Debug, PartialEq)]
enum Ending {
    Reply(u64),
    Rejected(i64),
    Failed(ErrorKind),
    Dropped,
}

/// The script in order of time. No two things happen at the same time.
fn oracle(script: &Script, requester: Requester) -> (Ending, Counted) {
    let mut acts = Vec::new();
    for (responder, own) in script.iter().enumerate() {
        for (time, act) in own {
            acts.push((*time, responder, Some(*act)));
            if matches!(act, Act::Drop | Act::Panic) {
                break;
            }
        }
        let holds_on = !own.iter().any(|(_, act)| matches!(act, Act::Drop | Act::Panic));
        if holds_on {
            // It returns behind its last act.
            acts.push((own.last().map_or(0, |(time, _)| *time), responder, None));
        }
    }
    acts.sort_by_key(|(time, ..)| *time);
    let end = requester.dropped.unwrap_or(u64::MAX).min(requester.timeout);
    let by_itself = match requester.dropped {
        Some(dropped) if dropped < requester.timeout => Ending::Dropped,
        _ => Ending::Failed(ErrorKind::TimedOut),
    };
    let (mut ending, mut counted, mut left) = (None, Counted::default(), script.len());
    let mut answered = false;
    if script.is_empty() {
        return (Ending::Failed(ErrorKind::NoResponders), counted);
    }
    for (time, _, act) in acts {
        if time > end && ending.is_none() {
            ending = Some(());
        }
        match act {
            Some(Act::Reply(_) | Act::Reject(_)) if answered => counted.duplicate += 1,
            Some(Act::Reply(_) | Act::Reject(_)) if ending.is_some() => counted.late += 1,
            Some(Act::Reply(_) | Act::Reject(_)) => {
                counted.replies += 1;
                answered = true;
            }
            Some(Act::Drop | Act::Panic) | None => left -= 1,
        }
        let first = match act {
            Some(Act::Reply(number)) => Some(Ending::Reply(number)),
            Some(Act::Reject(code)) => Some(Ending::Rejected(code)),
            _ if left == 0 => Some(Ending::Failed(ErrorKind::ResponderGone)),
            _ => None,
        };
        if let Some(first) = first.filter(|_| ending.is_none()) {
            return (first, rest(script, time, answered, counted));
        }
    }
    (by_itself, counted)
}

/// What is counted behind the end of a request.
fn rest(script: &Script, end: u64, answered: bool, mut counted: Counted) -> Counted {
    for own in script {
        for (time, act) in own {
            match act {
                Act::Drop | Act::Panic => break,
                Act::Reply(_) | Act::Reject(_) if *time > end && answered => counted.duplicate += 1,
                Act::Reply(_) | Act::Reject(_) => {}
            }
        }
    }
    counted
}

async fn real(script: &Script, requester: Requester) -> (Ending, Counted, usize) {
    let bus = Bus::new();
    let begun = Instant::now();
    for own in script.clone() {
        bus.respond_with("price.asked", move |reply_to: ReplyTo| {
            play(own.clone(), begun, reply_to)
        })
        .unwrap();
    }
    let asking = bus.request::<u64>(ask()).timeout(ms(requester.timeout)).into_future();
    let dropped = begun + ms(requester.dropped.unwrap_or(1_000_000));
    let ending = match timeout_at(dropped, asking).await {
        Ok(answer) => ending(answer),
        Err(_) => Ending::Dropped,
    };
    let pending = bus.pending_requests();
    bus.idle().await;
    let stats = bus.request_stats();
    let counted = Counted { replies: stats.replies, late: stats.late, duplicate: stats.duplicate };
    (ending, counted, pending)
}

async fn play(own: Vec<(u64, Act)>, begun: Instant, reply_to: ReplyTo) {
    for (time, act) in own {
        sleep_until(begun + ms(time)).await;
        match act {
            Act::Reply(number) => drop(reply_to.reply(number)),
            Act::Reject(code) => drop(reply_to.reject(Reject::new(code, "no"))),
            Act::Drop => return,
            Act::Panic => panic!("as the script says"),
        }
    }
}

fn ending(answer: Result<u64, Error>) -> Ending {
    match answer {
        Ok(number) => Ending::Reply(number),
        Err(error) => match error.reject() {
            Some(reject) => Ending::Rejected(reject.code()),
            None => Ending::Failed(error.kind()),
        },
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => any::<u64>().prop_map(Act::Reply),
        2 => any::<i64>().prop_map(Act::Reject),
        2 => Just(Act::Drop),
        1 => Just(Act::Panic),
    ]
}

/// Up to four responders with up to four acts each, all at times of their own; the requester's are
/// odd.
fn scripts() -> impl Strategy<Value = (Script, Requester)> {
    let times = Just((1..=16_u64).map(|step| step * 10).collect::<Vec<_>>()).prop_shuffle();
    let acts = prop::collection::vec(prop::collection::vec(act(), 0..=4), 0..=4);
    let requester = (0..17_u64, prop::option::of(0..17_u64)).prop_map(|(timeout, dropped)| {
        Requester { timeout: timeout * 10 + 5, dropped: dropped.map(|step| step * 10 + 7) }
    });
    (times, acts, requester).prop_map(|(mut times, acts, requester)| {
        let script = acts
            .into_iter()
            .map(|acts| {
                let mut own: Vec<u64> = acts.iter().filter_map(|_| times.pop()).collect();
                own.sort_unstable();
                own.into_iter().zip(acts).collect()
            })
            .collect();
        (script, requester)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn requests_end_as_the_oracle_says((script, requester) in scripts()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (ending, counted, pending) = runtime.block_on(real(&script, requester));
        prop_assert_eq!((ending, counted), oracle(&script, requester));
        prop_assert_eq!(pending, 0);
    }
}
