//! A request cut into lines while it arrives: only one line is held at a time.

use axum::body::Bytes;

use crate::http::error::ApiError;
use crate::http::incoming::Incoming;

/// The lines of a request.
pub(crate) struct Lines {
    body: Incoming,
    rest: Bytes,
    line: Vec<u8>,
    /// The line now held is longer than allowed, and not kept.
    overlong: bool,
    line_bytes_max: usize,
    number: usize,
}

/// One line of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1, empty ones too.
    pub(crate) number: usize,
    /// `None` when it is longer than allowed.
    pub(crate) bytes: Option<Vec<u8>>,
}

impl Lines {
    pub(crate) fn new(body: Incoming, line_bytes_max: usize) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            line: Vec::new(),
            overlong: false,
            line_bytes_max,
            number: 0,
        }
    }

    /// The next line that is not empty, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, ApiError> {
        loop {
            if self.rest.is_empty() {
                match self.body.next().await? {
                    Some(bytes) => self.rest = bytes,
                    None => return Ok(self.take()),
                }
            }
            match self.rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let bytes = self.rest.split_to(end + 1);
                    self.keep(&bytes[..end]);
                    if let Some(line) = self.take() {
                        return Ok(Some(line));
                    }
                }
                None => {
                    let bytes = std::mem::take(&mut self.rest);
                    self.keep(&bytes);
                }
            }
        }
    }

    /// What of the request was not read.
    pub(crate) fn into_body(self) -> Incoming {
        self.body
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.overlong || self.line.len() + bytes.len() > self.line_bytes_max {
            self.overlong = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn take(&mut self) -> Option<Line> {
        self.number += 1;
        let bytes = std::mem::take(&mut self.line);
        let overlong = std::mem::take(&mut self.overlong);
        let empty = !overlong && bytes.iter().all(u8::is_ascii_whitespace);
        (!empty).then(|| Line { number: self.number, bytes: (!overlong).then_some(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use tokio::sync::watch;

    use super::*;

    async fn all(chunks: &'static [&'static str]) -> Vec<(usize, Option<String>)> {
        let stream =
            futures_util::stream::iter(chunks.iter().map(|chunk| Ok::<_, std::io::Error>(*chunk)));
        let stopping = watch::Sender::new(false);
        let body =
            Incoming::new(Body::from_stream(stream), Duration::from_secs(60), stopping.subscribe());
        let mut lines = Lines::new(body, 4);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push((line.number, line.bytes.map(|bytes| String::from_utf8(bytes).unwrap())));
        }
        found
    }

    #[tokio::test]
    async fn lines_are_put_together_from_any_pieces() {
        let expected =
            vec![(1, Some("ab".to_owned())), (3, Some("c".to_owned())), (4, Some("d".to_owned()))];
        assert_eq!(all(&["ab\n\nc\nd"]).await, expected);
        assert_eq!(all(&["a", "b", "\n", "\nc", "\nd\n"]).await, expected);
    }

    #[tokio::test]
    async fn an_overlong_line_is_skipped_and_the_next_one_read() {
        let expected = vec![(1, None), (2, Some("abcd".to_owned()))];
        assert_eq!(all(&["123", "45", "67\nabcd"]).await, expected);
        assert_eq!(all(&[]).await, vec![]);
    }
}
