//! Many events of one request: published some at a time, and what became of each.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use nexus_events_dispatch::{Bus, Receipt};
use nexus_events_model::Event;
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::limits::{EVENTS_PER_TURN, STORED_TOGETHER_MAX};

/// Events of one request, some at a time: what is published together shares the store's commits.
pub(crate) struct Together<'a> {
    bus: &'a Bus,
    most: usize,
    waiting: Vec<(Option<usize>, Result<Event, ApiError>)>,
    answer: Answer,
}

impl<'a> Together<'a> {
    pub(crate) fn new(bus: &'a Bus) -> Self {
        let most = if bus.store().is_some() { STORED_TOGETHER_MAX } else { EVENTS_PER_TURN };
        Self { bus, most, waiting: Vec::new(), answer: Answer::default() }
    }

    pub(crate) fn count(&self) -> usize {
        self.answer.results.len() + self.waiting.len()
    }

    pub(crate) async fn add(&mut self, line: Option<usize>, event: Result<Event, ApiError>) {
        self.waiting.push((line, event));
        if self.waiting.len() >= self.most {
            self.publish().await;
        }
    }

    /// Publishes what waits, in order, and gives others a turn: publishing need not wait for
    /// anything, and meanwhile nobody would write to the clients.
    pub(crate) async fn publish(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let bus = self.bus;
        let publishing = self.waiting.drain(..).map(|(line, event)| async move {
            let published = match event {
                Ok(event) => bus.publish(event).await.map_err(|error| match line {
                    Some(line) => ApiError::from(error).at(&format!("line {line}")),
                    None => error.into(),
                }),
                Err(error) => Err(error),
            };
            (line, published)
        });
        for (line, published) in join_all(publishing.collect::<Vec<_>>()).await {
            self.answer.note(line, published);
        }
        tokio::task::yield_now().await;
    }

    pub(crate) async fn answer(mut self) -> Answer {
        self.publish().await;
        self.answer
    }
}

/// What became of many events.
#[derive(Default)]
pub(crate) struct Answer {
    accepted: usize,
    results: Vec<Value>,
    /// The status of the first refusal.
    refused: Option<StatusCode>,
}

impl Answer {
    /// Adds what became of one.
    fn note(&mut self, line: Option<usize>, result: Result<Receipt, ApiError>) {
        let mut entry = json!({"index": self.results.len()});
        if let Some(line) = line {
            entry["line"] = line.into();
        }
        match result {
            Ok(receipt) => {
                self.accepted += 1;
                entry["event_id"] = json!(receipt.event_id);
                place(&mut entry, &receipt);
            }
            Err(error) => {
                self.refused.get_or_insert(error.status());
                entry["error"] = error.to_json();
            }
        }
        self.results.push(entry);
    }

    fn body(self) -> Value {
        json!({"accepted": self.accepted, "rejected": self.results.len() - self.accepted, "results": self.results})
    }

    /// The answer to a request that could not be read to its end.
    pub(crate) fn ended(self, error: &ApiError) -> Response {
        let mut body = self.body();
        body["error"] = error.to_json();
        (error.status(), Json(body)).into_response()
    }
}

impl IntoResponse for Answer {
    /// 201 when all were accepted, 207 when some were; when none was, the status of the first
    /// refusal.
    fn into_response(self) -> Response {
        let nothing =
            ApiError::bad_request("invalid_event", "the request has no event", "send at least one");
        let status = match (self.accepted, self.refused) {
            (0, None) => return self.ended(&nothing),
            (0, Some(refused)) => refused,
            (_, None) => StatusCode::CREATED,
            (_, Some(_)) => StatusCode::MULTI_STATUS,
        };
        (status, Json(self.body())).into_response()
    }
}

/// Where in the log it is, when there is one.
pub(crate) fn place(entry: &mut Value, receipt: &Receipt) {
    if let Some(offset) = receipt.offset {
        entry["offset"] = json!(offset);
    }
    if receipt.duplicate {
        entry["duplicate"] = true.into();
    }
}
