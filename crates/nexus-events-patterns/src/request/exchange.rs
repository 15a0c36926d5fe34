//! What is known of one request, and what follows from it. It waits for nothing and locks nothing.

use std::collections::VecDeque;

use nexus_events_model::Payload;

use super::reject::Reject;
use crate::limits::REPLIES_WAITING_MAX;

/// What a responder says.
pub(crate) type Answer = Result<Payload, Reject>;

/// How many answers a request wants, and from where they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The first one.
    One,
    /// All of them.
    Many,
    /// The first event of a type; whoever publishes it need not be known.
    Event,
}

#[derive(Debug)]
pub(crate) struct Exchange {
    wanted: Wanted,
    answers: VecDeque<Answer>,
    /// The one answer has come.
    answered: bool,
    /// The event is in, with as many responders.
    begun: Option<usize>,
    /// Responders that may still begin, or run.
    places: usize,
    /// Who may answer after its handler has returned, too.
    holders: usize,
    /// The requester has gone, or has what it wanted.
    closed: bool,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The requester gets it.
    In,
    /// Another one came first.
    Already,
    /// The requester has gone.
    Late,
    /// Too many wait for a requester that does not take them.
    Full,
}

/// What a requester finds.
#[derive(Debug)]
pub(crate) enum Found {
    Answer(Answer),
    /// There is nothing yet.
    Nothing,
    /// Nobody was there to ask.
    NoResponders,
    /// Nobody is left who could answer.
    Gone,
}

impl Exchange {
    pub(crate) fn new(wanted: Wanted) -> Self {
        let (answers, answered, closed) = (VecDeque::new(), false, false);
        Self { wanted, answers, answered, begun: None, places: 0, holders: 0, closed }
    }

    pub(crate) fn begin(&mut self, responders: usize) {
        (self.begun, self.places) = (Some(responders), responders);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    pub(crate) fn has_no_responders(&self) -> bool {
        self.begun.is_none_or(|responders| responders == 0) && self.holders == 0 && !self.answered
    }

    pub(crate) fn place_ended(&mut self) {
        self.places = self.places.saturating_sub(1);
    }

    /// No responder begins any more.
    pub(crate) fn over(&mut self) {
        self.places = 0;
    }

    pub(crate) fn hold(&mut self) {
        self.holders += 1;
    }

    pub(crate) fn let_go(&mut self) {
        self.holders = self.holders.saturating_sub(1);
    }

    /// Takes an answer in; gives back one that is too many, to be dropped elsewhere.
    pub(crate) fn put(&mut self, answer: Answer) -> (Taken, Option<Answer>) {
        let taken = if self.wanted != Wanted::Many && self.answered {
            Taken::Already
        } else if self.closed {
            Taken::Late
        } else if self.answers.len() == REPLIES_WAITING_MAX {
            Taken::Full
        } else {
            self.answered = true;
            self.answers.push_back(answer);
            return (Taken::In, None);
        };
        (taken, Some(answer))
    }

    pub(crate) fn next(&mut self) -> Found {
        if let Some(answer) = self.answers.pop_front() {
            return Found::Answer(answer);
        }
        let left = self.places + self.holders;
        match self.begun {
            // An event may come from anywhere, at any time.
            _ if self.wanted == Wanted::Event => Found::Nothing,
            Some(0) if left == 0 && !self.answered => Found::NoResponders,
            Some(_) if left == 0 => Found::Gone,
            _ => Found::Nothing,
        }
    }

    /// The requester goes; gives back what it has not taken.
    pub(crate) fn close(&mut self) -> VecDeque<Answer> {
        self.closed = true;
        std::mem::take(&mut self.answers)
    }
}
