//! The order of layers, with the arithmetic of their documentation.

use nexus_events_dispatch::layers::{DeadLetters, Jitter, RateLimit, Retry, Timeout};
use nexus_events_dispatch::{Bus, HandlerExt};
use nexus_events_model::{Event, OutcomeStatus};

use super::{Calls, SECOND, outcome};
use crate::event;

fn retry() -> Retry {
    Retry::new().max_attempts(4).base(SECOND).jitter(Jitter::None)
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_for_each_attempt_inside_of_retry_and_for_all_outside() {
    for (outside, attempts, seconds) in [("retry", 4, 27), ("timeout", 1, 5)] {
        let (bus, calls, timeout) = (Bus::new(), Calls::new(), Timeout::new(5 * SECOND));
        let counted = calls.clone();
        let hangs = move |_: Event| {
            counted.add();
            std::future::pending::<()>()
        };
        let layered = match outside {
            "retry" => hangs.layer(retry()).layer(timeout),
            _ => hangs.layer(timeout).layer(retry()),
        };
        bus.on("a", layered).unwrap();
        assert_eq!(outcome(&bus, event("a")).await.status, OutcomeStatus::TimedOut);
        assert_eq!((calls.count(), calls.start.elapsed()), (attempts, SECOND * seconds));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_for_events_outside_of_retry_and_for_attempts_inside() {
    // Attempts 1, 2 and 4 s apart; the event after this one gets its turn at 1 s or at 8 s.
    for (outside, turn) in [("limit", 1_000), ("retry", 8_000)] {
        let (bus, calls, others) = (Bus::new(), Calls::new(), Calls::new());
        let limit = RateLimit::on_handle(1);
        let layered = match outside {
            "limit" => calls.fails_async(3).layer(limit.clone()).layer(retry()),
            _ => calls.fails_async(3).layer(retry()).layer(limit.clone()),
        };
        bus.on("a", layered).unwrap();
        bus.on("b", others.fails_async(0).layer(limit)).unwrap();
        if outside == "limit" {
            bus.publish(event("a")).await.unwrap();
            tokio::task::yield_now().await;
            bus.publish(event("b")).await.unwrap();
        } else {
            bus.publish_and_wait(event("a")).await.unwrap();
            bus.publish(event("b")).await.unwrap();
        }
        bus.idle().await;
        assert_eq!(calls.millis(), [0, 1_000, 3_000, 7_000]);
        assert_eq!(others.millis(), [turn]);
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letters_see_the_end_outside_of_retry_and_each_attempt_inside() {
    for (outside, letters_left, parked) in [("letters", 0, 0), ("retry", 1, 3)] {
        let (bus, calls, letters) = (Bus::new(), Calls::new(), DeadLetters::new());
        let layered = match outside {
            "letters" => calls.fails(3).layer(letters.layer()).layer(retry()),
            _ => calls.fails(3).layer(retry()).layer(letters.layer()),
        };
        bus.on("a", layered).unwrap();
        assert_eq!(outcome(&bus, event("a")).await.status, OutcomeStatus::Success);
        let stats = letters.stats();
        assert_eq!((stats.letters, stats.parked), (letters_left, parked));
        assert!(letters.get(1).is_none_or(|letter| letter.attempts.len() == 1));
    }
}
