//! The names of all cases, by subject: each is a function in the file of its subject.

use super::*;
use crate::conformance::store::outcomes::Case;

/// Hands all names to another macro, behind what it is given for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ($then:path [$($given:tt)*]) => {
        $then! {
            [$($given)*]
            appends {
                an_empty_store_has_bounds one_event many_events_have_neighbouring_offsets
                offsets_go_on the_epoch_stays nothing_at_all state_alone_takes_no_offset
                versions_of_commits_grow the_same_event_twice_is_two_events
                events_of_one_append_were_recorded_together the_clock_says_when_it_was_recorded
                a_dropped_future_is_committed_all_the_same they_stand_in_line_when_called
            }
            acks {
                memory buffered synced what_the_highest_level_has_acked_is_seen_at_once
                mixed_levels_keep_their_order a_later_append_meets_an_earlier_one
                close_keeps_what_was_acked_in_memory
            }
            expectations {
                key_any_of_none key_any_of_some key_absent_of_none key_absent_of_some
                key_present_of_none key_present_of_some key_exact_zero_of_none
                key_exact_zero_of_some key_exact_one_too_low key_exact key_exact_one_too_high
                key_exact_highest state_any_of_none state_any_of_some state_absent_of_none
                state_absent_of_some state_present_of_none state_present_of_some
                state_exact_zero_of_none state_exact_zero_of_some state_exact_one_too_low
                state_exact state_exact_one_too_high keys_count_for_themselves
                an_empty_key_is_a_key a_key_is_expected_before_its_own_events
                all_expectations_must_hold expectations_without_events_are_met
                a_key_counts_on_when_its_events_are_removed a_later_change_meets_an_earlier_one
                a_delete_expects_as_a_put_does of_two_with_the_same_expectation_one_happens
            }
            atomicity {
                a_key_is_at_another_version a_state_is_at_another_version
                a_state_to_be_removed_is_not_there two_parts_contradict_each_other
                a_key_is_too_long an_expected_key_is_too_long a_space_is_too_long
                the_key_of_a_state_is_too_long the_key_of_a_removed_state_is_too_long
                an_idempotency_key_is_too_long there_are_too_many_events there_are_too_many_bytes
                a_state_is_too_large a_payload_cannot_be_written all_parts_happen_together
            }
            idempotency {
                the_second_changes_nothing the_second_may_be_another_one
                a_duplicate_is_known_before_expectations a_refused_one_may_come_again
                keys_are_told_apart none_is_never_a_duplicate an_append_of_state_alone
                an_empty_append the_longest_key it_is_remembered_when_its_events_are_removed
                duplicates_in_line it_is_remembered_to_the_end_of_the_window
                a_duplicate_does_not_prolong_the_window as_many_are_remembered_as_promised
            }
            reading {
                everything everything_backward after_the_first after_the_end_of_an_append
                after_the_middle after_the_last_but_one after_the_last after_what_is_to_come
                after_the_highest_offset until_the_start until_the_first until_the_middle
                until_the_last until_beyond_the_last between between_one_and_the_next
                between_one_and_itself between_the_wrong_way_round after_backward until_backward
                between_backward nothing_backward the_first_alone_backward an_empty_log
                all_means_what_is_kept below_the_first_kept right_below_the_first_kept
                a_log_of_which_all_is_removed a_page_goes_on_where_events_were_removed
            }
            paging {
                no_page_has_more_events_than_asked_for none_at_all_means_one
                the_default_is_256_events no_page_has_far_more_bytes_than_asked_for
                no_bytes_at_all_means_one_event one_event_larger_than_a_page
                the_last_page_has_no_next every_page_is_further_on the_next_page_is_the_same_read
                few_of_many_are_found what_comes_meanwhile_is_on_the_last_page
            }
            selecting {
                all_of_them a_type a_type_of_one_segment a_type_that_is_none one_wildcard
                a_wildcard_in_front a_wildcard_in_the_middle many_segments any_type
                one_of_two_patterns patterns_that_overlap a_key an_empty_key a_key_that_is_none
                a_source an_unknown_source a_correlation_id a_session a_user the_lowest_priority
                a_normal_priority a_high_priority the_highest_priority a_filter_over_the_payload
                a_filter_over_the_envelope a_filter_for_none type_and_key type_and_source
                source_and_session correlation_and_priority user_and_session filter_and_type
                all_that_can_be_said what_contradicts_itself since_a_time since_between_two
                since_the_future before_a_time before_the_first between_two_times times_and_a_type
                within_a_range every_answer_is_that_of_the_select_itself
            }
            round_trip {
                the_least source target priorities correlation causation session_and_user channel
                retries trace metadata much_metadata every_field long_names timestamps uuids
                unusual_ids unicode empty_payloads payloads_of_every_kind numbers a_deep_payload
                many_fields a_typed_payload a_payload_of_nearly_a_mebibyte the_key_beside_it
            }
            states {
                what_is_not_there what_was_put the_last_value_stands what_was_removed
                none_to_remove_is_no_error an_empty_value_is_a_value empty_names_are_names
                names_that_run_together any_bytes_are_a_key_and_a_value the_longest_names
                a_large_value a_large_value_is_replaced_again_and_again
                its_version_is_that_of_its_commit the_same_value_again_is_a_change
                a_version_never_comes_again
            }
            scanning {
                a_space_in_order a_space_that_is_none a_prefix a_prefix_that_is_a_key
                a_prefix_of_none the_highest_prefix after_a_key after_a_key_that_is_none
                after_the_empty_key after_the_last after_within_a_prefix
                after_a_key_before_the_prefix after_a_key_beyond_the_prefix so_many
                so_many_within_a_prefix more_than_there_are none_at_all_means_one
                a_thousand_keys_page_by_page removed_keys_are_not_among_them
                an_entry_is_what_get_answers
            }
            cursors {
                one_comes_back_as_it_was none_is_listed_in_an_empty_store
                it_moves_with_what_was_done many_are_listed_by_name a_removed_one_is_not_listed
                one_that_cannot_be_read_is_named
            }
            following {
                from_the_start from_any_offset_into_what_comes from_an_offset_to_come
                what_is_there_has_an_end who_waits_is_woken a_wait_that_is_given_up_loses_nothing
                only_some what_is_not_selected_is_seen_too what_is_seen_is_what_was_given
                removed_events_are_an_error the_start_is_the_oldest_that_is_kept
                it_goes_back_when_told a_close_ends_it a_wait_ends_at_once_where_there_is_more
                a_wait_is_for_events_alone
            }
            concurrency {
                offsets_have_no_gap each_appender_keeps_its_order
                followers_from_the_start_miss_nothing followers_of_a_past_miss_nothing
                followers_from_the_middle_miss_nothing followers_of_what_is_to_come_miss_nothing
                of_many_that_expect_the_same_one_happens of_many_duplicates_one_happens
                a_counter_loses_no_increment readers_see_whole_appends
            }
            trimming {
                no_bounds_at_all no_bounds_but_none_held more_events_than_there_are
                as_many_events_as_there_are one_event_less one_event no_event any_number_of_bytes
                no_bytes any_age the_tighter_of_two_bounds about_so_many_bytes older_than_so_long
                a_clock_that_went_back_removes_nothing an_empty_store offsets_go_on_afterwards
                a_second_one_finds_nothing the_epoch_and_the_state_stay
                a_cursor_holds_what_it_has_not_passed a_cursor_at_the_start_holds_everything
                cursors_beyond_the_bounds_hold_nothing what_was_held_goes_when_the_cursor_has_moved
                a_removed_cursor_holds_nothing what_is_held_is_removed_when_told
                what_was_lost_is_counted_once a_cursor_below_what_is_kept_holds_the_rest
            }
            upkeep {
                an_empty_store_is_sound all_that_is_there_is_verified a_verify_says_how_far_it_is
                who_cannot_compact_says_so a_compact_loses_nothing events_are_counted
                appends_are_counted duplicates_are_counted refused_appends_are_counted
                idempotency_keys_are_counted commits_are_at_most_appends
                nothing_waits_in_a_store_at_rest bytes_grow_and_shrink
            }
            closing {
                no_append no_empty_append no_read no_wait_for_what_is_to_come
                no_wait_for_what_is_there no_get no_scan no_version_of_a_key no_trim no_compact
                no_verify what_cannot_fail_answers a_second_close_answers_the_same an_empty_store
                who_waits_is_woken what_stands_in_line_is_committed
            }
            bad_input {
                the_longest_key a_key_too_long_to_be_there_has_no_version
                state_too_long_to_be_there_is_none as_many_events_as_promised
                nearly_as_many_bytes_as_promised an_event_larger_than_can_be_read_as_json
                payloads_that_look_at_the_store_when_dropped
            }
            reopening {
                an_empty_store everything_is_there offsets_go_on
                offsets_go_on_after_all_was_removed what_was_removed_stays_removed
                versions_of_commits_go_on a_version_never_comes_again
                versions_of_keys_are_remembered versions_of_keys_outlive_their_events
                idempotency_keys_are_remembered idempotency_keys_are_forgotten_in_time
                cursors_are_where_they_were a_follower_goes_on it_is_sound
            }
        }
    };
}

macro_rules! table {
    ([] $($subject:ident { $($case:ident)* })*) => {
        /// All of them.
        pub(super) const CASES: &[Case] = &[$($(
            Case {
                name: concat!(stringify!($subject), "::", stringify!($case)),
                run: |it| Box::pin($subject::$case(it)),
            },
        )*)*];
    };
}

crate::__store_cases! { table [] }
