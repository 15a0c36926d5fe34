//! Peers take turns, so that what disturbs the machine for a while disturbs all of them.

const ROUNDS: usize = 5;
const ROUNDS_QUICK: usize = 2;

pub(crate) fn of(quick: bool) -> usize {
    if quick { ROUNDS_QUICK } else { ROUNDS }
}

/// Every second round goes backwards, so that nobody always follows the same neighbour.
pub(crate) fn order(peers: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..peers).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}
