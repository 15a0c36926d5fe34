//! Stores that are wrong in one way each, and the cases that find out.

use std::sync::Arc;

use nexus_events_dispatch::store::{
    Append, Appended, Bounds, Capabilities, CloseReport, Epoch, EventStore, Expected, Held,
    Integrity, MemoryStore, Offset, Page, Progress, Read, Retention, Scan, Select, StateEntry,
    StateStore, StoreStats, Trimmed, Versioned,
};
use nexus_events_dispatch::{BoxFuture, ErrorKind, ManualClock, Result};
use nexus_events_test::TestEventBus;
use nexus_events_test::conformance::store::{self, Candidate};

use super::door::Door;

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    /// Commits when its future is polled.
    Lazy,
    /// Commits the events of a refused append.
    Torn,
    /// Does not look at what keys are expected.
    AnyKey,
    /// Does not look at what state is expected.
    AnyState,
    /// Knows no idempotency keys.
    Again,
    /// Says that it was new where it was a duplicate.
    Undisclosed,
    /// Answers an offset one too high.
    OneTooHigh,
    /// Is in another epoch each time.
    Restless,
    /// Keeps one byte less of each value.
    Short,
    /// Gives back the events without their keys.
    Keyless,
    /// Gives back the events with another source.
    Renamed,
    /// Looks at the time of the event, not at when it was recorded.
    Undated,
    /// Reads all in the order of their offsets.
    Forward,
    /// Reads to the end.
    Endless,
    /// Goes on after one event too many.
    Gap,
    /// Goes on with the last event once more.
    Twice,
    /// Has one page.
    OnePage,
    /// Gives what is kept where something else was asked for.
    Lenient,
    /// Does not look at what is selected.
    Everything,
    /// Selects by type alone.
    TypesOnly,
    /// Returns from a wait at once.
    Hasty,
    /// Does not look at the prefix of a scan.
    Prefixless,
    /// Gives the last scanned key once more.
    Inclusive,
    /// Scans without a limit.
    Boundless,
    /// Removes nothing.
    Hoarder,
    /// Removes what cursors hold.
    Reckless,
    /// Says nothing of what cursors hold.
    Silent,
    /// Keeps no version of keys.
    Versionless,
    /// Counts nothing right.
    Miscounted,
    /// Verifies nothing.
    Blind,
    /// Claims to compact.
    Boastful,
    /// Answers when it is closed.
    Undead,
}

struct Liar {
    door: Door,
    lie: Lie,
}

impl StateStore for Liar {
    fn get<'a>(
        &'a self,
        space: &'a str,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Versioned>>> {
        Box::pin(async move {
            let mut state = self.door.get(space, key).await?;
            if let (Lie::Short, Some(state)) = (self.lie, &mut state) {
                state.value.pop();
            }
            Ok(state)
        })
    }

    fn scan(&self, mut scan: Scan) -> BoxFuture<'_, Result<Vec<StateEntry>>> {
        match self.lie {
            Lie::Prefixless => scan.prefix.clear(),
            Lie::Boundless => scan.limit = usize::MAX,
            Lie::Inclusive => {
                if let Some(after) = &mut scan.after {
                    after.pop();
                }
            }
            _ => {}
        }
        self.door.scan(scan)
    }
}

impl EventStore for Liar {
    fn append(&self, mut append: Append) -> BoxFuture<'_, Result<Appended>> {
        match self.lie {
            Lie::Lazy => return Box::pin(async { self.door.append(append).await }),
            Lie::AnyKey => append.expected.clear(),
            Lie::AnyState => append.state.iter_mut().for_each(|it| it.expected = Expected::Any),
            Lie::Again => append.idempotency_key = None,
            _ => {}
        }
        let mut events = Append::new();
        events.events.clone_from(&append.events);
        let appended = self.door.append(append);
        Box::pin(async move {
            let mut appended = appended.await;
            match (self.lie, &mut appended) {
                (Lie::Torn, Err(error)) if error.kind() == ErrorKind::Conflict => {
                    self.door.append(events).await?;
                }
                (Lie::Undisclosed, Ok(appended)) => appended.duplicate = false,
                (Lie::OneTooHigh, Ok(appended)) => appended.first = appended.first.next(),
                _ => {}
            }
            appended
        })
    }

    fn read(&self, mut read: Read) -> BoxFuture<'_, Result<Page>> {
        let first = self.door.bounds().first;
        match self.lie {
            Lie::Forward => read.direction = Read::all().direction,
            Lie::Endless => read.until = None,
            Lie::Lenient => read.after = read.after.max(first.before()),
            Lie::Everything => read.select = Select::new(),
            Lie::TypesOnly => {
                let patterns = std::mem::take(&mut read.select.patterns);
                read.select = Select::new();
                read.select.patterns = patterns;
            }
            _ => {}
        }
        Box::pin(async move {
            let mut page = self.door.read(read).await?;
            match (self.lie, &mut page.next) {
                (Lie::Gap, Some(next)) => next.after = next.after.next(),
                (Lie::Twice, Some(next)) => next.after = next.after.before(),
                (Lie::OnePage, next) => *next = None,
                _ => {}
            }
            for stored in &mut page.events {
                match self.lie {
                    Lie::Keyless => stored.key = None,
                    Lie::Undated => stored.recorded = stored.event.timestamp(),
                    Lie::Renamed => {
                        stored.event = stored.event.to_builder().source("x").build()?;
                    }
                    _ => {}
                }
            }
            Ok(page)
        })
    }

    fn wait_past(&self, offset: Offset) -> BoxFuture<'_, Result<()>> {
        match self.lie {
            Lie::Hasty => Box::pin(async { Ok(()) }),
            _ => self.door.wait_past(offset),
        }
    }

    fn bounds(&self) -> Bounds {
        let bounds = self.door.bounds();
        match self.lie {
            Lie::Restless => Bounds::new(Epoch::random(), bounds.first, bounds.last),
            _ => bounds,
        }
    }

    fn key_version<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64>> {
        match self.lie {
            Lie::Versionless => Box::pin(async { Ok(0) }),
            _ => self.door.key_version(key),
        }
    }

    fn trim(&self, retention: Retention) -> BoxFuture<'_, Result<Trimmed>> {
        Box::pin(async move {
            let mut trimmed = match self.lie {
                Lie::Hoarder => Trimmed::nothing(self.door.bounds().first),
                Lie::Reckless => self.door.trim(retention.held(Held::Remove)).await?,
                _ => self.door.trim(retention).await?,
            };
            if self.lie == Lie::Silent {
                trimmed.held = None;
            }
            Ok(trimmed)
        })
    }

    fn compact(&self, progress: Progress) -> BoxFuture<'_, Result<u64>> {
        self.door.compact(progress)
    }

    fn verify(&self, progress: Progress) -> BoxFuture<'_, Result<Integrity>> {
        match self.lie {
            Lie::Blind => Box::pin(async { Ok(Integrity::default()) }),
            _ => self.door.verify(progress),
        }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.door.capabilities();
        capabilities.compaction = self.lie == Lie::Boastful;
        capabilities
    }

    fn stats(&self) -> StoreStats {
        let mut stats = self.door.stats();
        if self.lie == Lie::Miscounted {
            let StoreStats { appends, duplicates, refused, events, .. } = &mut stats;
            for count in [appends, duplicates, refused, events] {
                *count += 1;
            }
            stats.waiting = 1;
        }
        stats
    }

    fn close(&self) -> BoxFuture<'_, Result<CloseReport>> {
        match self.lie {
            Lie::Undead => Box::pin(async { Ok(CloseReport::default()) }),
            _ => self.door.close(),
        }
    }
}

async fn make(lie: Lie) -> Candidate {
    let clock = ManualClock::new(TestEventBus::START);
    let store = Arc::new(MemoryStore::new().clock(clock.clone()));
    let liar = move || Arc::new(Liar { door: Door::to(store.clone()), lie });
    let first = liar();
    Candidate::new(first).clock(clock).reopen(move || {
        let again = liar();
        async { Ok(again as _) }
    })
}

/// Each of these cases finds out.
#[track_caller]
fn is_found(lie: Lie, cases: &[&str]) {
    for case in cases {
        let found = std::panic::catch_unwind(|| store::check(case, async || make(lie).await));
        assert!(found.is_err(), "{case} does not find {lie:?}");
    }
}

macro_rules! found {
    ($($name:ident($lie:ident) $($case:literal)*;)*) => { $(
        #[test]
        fn $name() {
            is_found(Lie::$lie, &[$($case),*]);
        }
    )* };
}

found! {
    lazy(Lazy) "appends::they_stand_in_line_when_called" "expectations::of_two_with_the_same_expectation_one_happens";
    torn(Torn) "atomicity::a_key_is_at_another_version" "atomicity::a_state_is_at_another_version"
        "atomicity::a_state_to_be_removed_is_not_there" "atomicity::two_parts_contradict_each_other"
        "concurrency::of_many_that_expect_the_same_one_happens";
    any_key(AnyKey) "expectations::key_absent_of_some" "expectations::key_exact_one_too_low"
        "expectations::all_expectations_must_hold" "reopening::versions_of_keys_are_remembered";
    any_state(AnyState) "expectations::state_absent_of_some" "expectations::a_delete_expects_as_a_put_does"
        "expectations::a_later_change_meets_an_earlier_one" "reopening::a_version_never_comes_again";
    again(Again) "idempotency::the_second_changes_nothing" "idempotency::keys_are_told_apart"
        "idempotency::it_is_remembered_to_the_end_of_the_window" "reopening::idempotency_keys_are_remembered";
    undisclosed(Undisclosed) "idempotency::duplicates_in_line" "concurrency::of_many_duplicates_one_happens";
    one_too_high(OneTooHigh) "appends::one_event" "appends::offsets_go_on" "acks::mixed_levels_keep_their_order"
        "concurrency::offsets_have_no_gap" "reopening::offsets_go_on";
    restless(Restless) "appends::the_epoch_stays" "trimming::the_epoch_and_the_state_stay"
        "reopening::everything_is_there";
    short(Short) "states::what_was_put" "states::any_bytes_are_a_key_and_a_value" "states::a_large_value";
    keyless(Keyless) "round_trip::the_key_beside_it" "expectations::an_empty_key_is_a_key";
    renamed(Renamed) "round_trip::source" "round_trip::every_field" "round_trip::the_least";
    undated(Undated) "appends::the_clock_says_when_it_was_recorded";
    forward(Forward) "reading::everything_backward" "reading::after_backward" "reading::between_backward";
    endless(Endless) "reading::until_the_middle" "reading::between" "selecting::within_a_range";
    gap(Gap) "reading::everything" "paging::the_default_is_256_events" "paging::no_bytes_at_all_means_one_event";
    twice(Twice) "reading::everything" "paging::every_page_is_further_on" "following::from_any_offset_into_what_comes";
    one_page(OnePage) "reading::everything" "paging::few_of_many_are_found" "paging::the_next_page_is_the_same_read";
    lenient(Lenient) "reading::below_the_first_kept" "following::removed_events_are_an_error"
        "reopening::what_was_removed_stays_removed";
    everything(Everything) "selecting::a_type" "selecting::a_key" "selecting::since_a_time" "following::only_some";
    types_only(TypesOnly) "selecting::a_source" "selecting::a_session" "selecting::a_filter_over_the_payload"
        "selecting::a_high_priority" "selecting::type_and_key" "selecting::before_a_time" "selecting::a_user";
    hasty(Hasty) "following::a_wait_is_for_events_alone" "closing::who_waits_is_woken";
    prefixless(Prefixless) "scanning::a_prefix" "scanning::after_within_a_prefix";
    inclusive(Inclusive) "scanning::after_a_key" "scanning::after_within_a_prefix";
    boundless(Boundless) "scanning::so_many" "scanning::a_thousand_keys_page_by_page";
    hoarder(Hoarder) "trimming::one_event_less" "trimming::older_than_so_long" "trimming::about_so_many_bytes"
        "reading::all_means_what_is_kept";
    reckless(Reckless) "trimming::a_cursor_holds_what_it_has_not_passed" "reopening::cursors_are_where_they_were";
    silent(Silent) "trimming::a_cursor_at_the_start_holds_everything";
    versionless(Versionless) "expectations::keys_count_for_themselves" "bad_input::the_longest_key"
        "reopening::versions_of_keys_outlive_their_events";
    miscounted(Miscounted) "upkeep::events_are_counted" "upkeep::appends_are_counted" "upkeep::duplicates_are_counted"
        "upkeep::refused_appends_are_counted" "upkeep::nothing_waits_in_a_store_at_rest";
    blind(Blind) "upkeep::all_that_is_there_is_verified" "upkeep::a_verify_says_how_far_it_is" "reopening::it_is_sound";
    boastful(Boastful) "upkeep::a_compact_loses_nothing";
    undead(Undead) "closing::no_append" "closing::no_read" "closing::no_wait_for_what_is_there"
        "closing::no_get" "closing::no_scan" "closing::no_trim" "closing::no_verify";
}
