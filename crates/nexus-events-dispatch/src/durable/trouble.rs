//! Why a consumer does not get on, for those who look after it.

use nexus_events_model::Text;
use tracing::{info, warn};

use super::consumer::Consumer;
use crate::error::Error;
use crate::layers::shortened;
use crate::store::Offset;

/// What its store refuses it.
#[derive(Default)]
pub(super) struct Trouble {
    /// Why it cannot read, the log or its own cursor, or cannot go on after that.
    reading: Option<Text>,
    /// Why it cannot write where it is.
    writing: Option<Text>,
}

impl Consumer {
    /// It cannot go on. Says so once for each reason.
    pub(super) fn cannot_go_on(&self, error: &Error) {
        let why = shortened(error.to_string().into());
        let mut trouble = self.trouble.lock();
        if trouble.reading.as_ref() != Some(&why) {
            trouble.reading = Some(why);
            drop(trouble);
            let consumer = &**self.name();
            warn!(consumer, %error, "a durable handler cannot go on; it tries again each second");
        }
    }

    /// It goes on.
    pub(super) fn goes_on(&self) {
        if self.trouble.lock().reading.take().is_some() {
            info!(consumer = &**self.name(), "a durable handler goes on");
        }
    }

    /// Whether it could write where it is.
    pub(super) fn has_written(&self, refused: Option<&Error>) {
        let why = refused.map(|error| shortened(error.to_string().into()));
        self.trouble.lock().writing = why;
    }

    /// Why it does not get on.
    pub(super) fn failing(&self) -> Option<Text> {
        let Trouble { reading, writing } = &*self.trouble.lock();
        let stuck = || {
            let window = self.window.lock();
            window.came_back().map(|(offset, why)| event_failed(offset, why))
        };
        let unwritten = || writing.as_ref().map(not_written);
        reading.clone().or_else(stuck).or_else(unwritten)
    }
}

fn event_failed(offset: Offset, why: &Text) -> Text {
    format!("the event at offset {offset} is given again and again: {why}").into()
}

fn not_written(why: &Text) -> Text {
    format!("where it is cannot be written: {why}").into()
}
