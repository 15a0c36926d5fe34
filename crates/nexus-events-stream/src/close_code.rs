//! Why a connection ends, and the close code the client sees.

/// Why a connection ended.
///
/// Codes below 4000 are those of every WebSocket. Of ours, after 4000 to 4099 the client must
/// not come back unchanged; after 4100 to 4199 it waits a second or more and comes back.
///
/// ```
/// use nexus_events_stream::CloseReason;
/// assert_eq!(CloseReason::SlowClient.code(), Some(1013));
/// assert_eq!(CloseReason::Lost.code(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed.
    Left,
    /// The connection broke.
    Lost,
    /// The streamer shuts down.
    GoingAway,
    /// The client broke the rules of WebSocket itself.
    BadFrame,
    /// A text was not UTF-8.
    BadText,
    /// A message was longer than allowed.
    TooLarge,
    /// The client's queue was full.
    SlowClient,
    /// The client did not read for too long.
    WriteStall,
    /// Too many messages were answered with an error.
    TooManyErrors,
    /// Too many messages came too fast.
    TooFast,
    /// A ping was not answered.
    NoPong,
}

impl CloseReason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Left,
        Self::Lost,
        Self::GoingAway,
        Self::BadFrame,
        Self::BadText,
        Self::TooLarge,
        Self::SlowClient,
        Self::WriteStall,
        Self::TooManyErrors,
        Self::TooFast,
        Self::NoPong,
    ];

    /// The word in the statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Lost => "lost",
            Self::GoingAway => "going_away",
            Self::BadFrame => "bad_frame",
            Self::BadText => "bad_text",
            Self::TooLarge => "too_large",
            Self::SlowClient => "slow_client",
            Self::WriteStall => "write_stall",
            Self::TooManyErrors => "too_many_errors",
            Self::TooFast => "too_fast",
            Self::NoPong => "no_pong",
        }
    }

    /// The code of the close frame; `None` where nobody is there to read one.
    #[must_use]
    pub fn code(self) -> Option<u16> {
        match self {
            Self::Left | Self::Lost | Self::WriteStall => None,
            Self::GoingAway => Some(1001),
            Self::BadFrame => Some(1002),
            Self::BadText => Some(1007),
            Self::TooLarge => Some(1009),
            Self::SlowClient => Some(1013),
            Self::TooManyErrors => Some(4006),
            Self::NoPong => Some(4102),
            Self::TooFast => Some(4105),
        }
    }

    /// The text of the close frame.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Left => "",
            Self::Lost => "connection lost",
            Self::GoingAway => "the server shuts down; connect again soon",
            Self::BadFrame => "not a valid WebSocket frame",
            Self::BadText => "a text frame is not UTF-8",
            Self::TooLarge => "the message is too long",
            Self::SlowClient => "too slow: the queue is full; read faster or narrow subscriptions",
            Self::WriteStall => "nothing was read for too long",
            Self::TooManyErrors => "too many messages were refused; see the error replies",
            Self::TooFast => "too many messages; send fewer per second",
            Self::NoPong => "a ping was not answered",
        }
    }

    pub(crate) fn place(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_word_and_a_text_that_fits_a_close_frame() {
        for (place, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.place(), place);
            assert!(reason.text().len() <= 123);
            let same = CloseReason::ALL.iter().filter(|other| other.as_str() == reason.as_str());
            assert_eq!(same.count(), 1);
        }
    }
}
