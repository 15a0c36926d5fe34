//! Who replays a dead letter, where several programs use one store.

use time::OffsetDateTime;
use uuid::Uuid;

use super::letters::{DeadLetters, unknown};
use super::record::DeadLetter;
use crate::bus::Bus;
use crate::error::{ErrorKind, Result};
use crate::limits::DEAD_LETTER_CLAIM;

/// That somebody replays it, until then unless he says so again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(super) by: Uuid,
    pub(super) until: OffsetDateTime,
}

/// Whether a replay may begin.
pub(super) enum Begun {
    Yes(Box<DeadLetter>),
    /// Another one is on its way.
    Pending,
}

impl DeadLetters {
    /// Begins a replay, which nobody else can begin meanwhile, in this program or another.
    pub(super) async fn begin(&self, bus: &Bus, id: u64) -> Result<Begun> {
        loop {
            self.reload(id).await?;
            let begun = self.state(|state| state.begin_replay(id)).ok_or_else(|| unknown(id))?;
            let Some(letter) = begun else { return Ok(Begun::Pending) };
            if !self.is_shared() {
                return Ok(Begun::Yes(Box::new(letter)));
            }
            let now = bus.now();
            if self.is_elsewhere(&letter, now) {
                self.give_back(id);
                return Ok(Begun::Pending);
            }
            let claimed = DeadLetter { claim: Some(self.claim(now)), ..letter.clone() };
            match self.change(&letter, claimed.clone()).await {
                Ok(()) => return Ok(Begun::Yes(Box::new(claimed))),
                Err(error) => {
                    self.give_back(id);
                    if error.kind() != ErrorKind::Conflict {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// It takes longer: nobody else is to begin.
    pub(super) async fn claim_again(&self, bus: &Bus, id: u64) {
        let Some(letter) = self.own_claim(id) else { return };
        let claim = Some(self.claim(bus.now()));
        // Where it fails, the next time may be soon enough.
        let _ = self.change(&letter, DeadLetter { claim, ..letter.clone() }).await;
    }

    /// Others may begin.
    pub(super) async fn release(&self, id: u64) {
        if let Some(letter) = self.own_claim(id) {
            // Where it fails, others wait until the time of the claim is over.
            let _ = self.change(&letter, DeadLetter { claim: None, ..letter.clone() }).await;
        }
    }

    /// Whether another program replays it.
    pub(super) fn is_elsewhere(&self, letter: &DeadLetter, now: OffsetDateTime) -> bool {
        letter.claim.is_some_and(|claim| claim.by != self.owner() && claim.until > now)
    }

    fn give_back(&self, id: u64) {
        self.state(|state| {
            state.take_back_replay(id);
            state.end_replay(id);
        });
    }

    fn own_claim(&self, id: u64) -> Option<DeadLetter> {
        let letter = self.get(id)?;
        letter.claim.filter(|claim| claim.by == self.owner())?;
        Some(letter)
    }

    fn claim(&self, now: OffsetDateTime) -> Claim {
        let until = now.checked_add(DEAD_LETTER_CLAIM.try_into().unwrap_or(time::Duration::MAX));
        Claim { by: self.owner(), until: until.unwrap_or(now) }
    }
}
