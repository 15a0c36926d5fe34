//! What somebody drives, and who takes over when that one stops half way.

use std::collections::VecDeque;

use crate::delivery::Delivery;
use crate::sync::Arc;

/// Deliveries somebody is driving. When that one's future is dropped half way, or leaves the
/// follow-ups, a task takes over.
pub(crate) struct Driving(pub(crate) VecDeque<Arc<Delivery>>);

impl Drop for Driving {
    fn drop(&mut self) {
        for delivery in self.0.drain(..) {
            let bus = delivery.bus.clone();
            bus.hand_over(delivery);
        }
    }
}
