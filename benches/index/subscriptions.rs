//! The patterns that are subscribed to, and the event types that are asked about.

use nexus_events_model::{EventType, Pattern};

use nexus_events_benches::Numbers;

/// Numbers of subscriptions.
pub(crate) const SIZES: [usize; 4] = [10, 1_000, 100_000, 1_000_000];

/// Event types of the spread load; a power of two.
pub(crate) const SPREAD: usize = 1 << 16;

/// Event types of the hot load; a power of two.
pub(crate) const HOT: usize = 16;

/// A quarter each of `a1.b2`, `a1.*`, `*.b2` and `a1.**`.
pub(crate) fn pattern(number: usize, size: usize) -> Pattern {
    let (kind, name) = (number % 4, number / 4);
    let text = match kind {
        0 => exact(name, size),
        1 => format!("a{name}.*"),
        2 => format!("*.b{name}"),
        _ => format!("a{name}.**"),
    };
    Pattern::new(text).expect("a valid pattern")
}

/// The one second segment that is subscribed to together with this first one.
fn exact(name: usize, size: usize) -> String {
    let names = size.div_ceil(4);
    format!("a{name}.b{}", (name * 7 + 3) % names)
}

/// Event types that four subscriptions match each, in the order in which they are asked about.
pub(crate) fn event_types(count: usize, size: usize) -> Vec<EventType> {
    let mut numbers = Numbers(7);
    let names = (size / 4).max(1);
    let name = |_| EventType::new(exact(numbers.below(names), size)).expect("a valid type");
    (0..count).map(name).collect()
}
