//! Ask, and await an answer.

mod ask;
mod collector;
mod counters;
mod exchange;
mod late;
mod many;
mod of_bus;
mod reject;
mod reply_to;
mod responder;
mod slot;

use std::sync::Arc;

use nexus_events_dispatch as dispatch;
use nexus_events_dispatch::{Bus, Configured, Context, HandlerExt, IntoHandler, Subscription};
use nexus_events_model::{IntoEvent, Pattern};

use self::ask::Asked;
pub use self::ask::Request;
pub use self::counters::RequestStats;
pub use self::late::LateReply;
pub use self::many::{Replies, RequestMany};
use self::of_bus::BusRequests;
pub use self::reject::Reject;
pub use self::reply_to::ReplyTo;
pub use self::responder::{Responder, responder};
use crate::error::Result;

/// Requests through a [`Bus`], and the handlers that answer them.
///
/// A request is an event as any other: layers, history, waves and statistics see it, and other
/// handlers may get it too. Its answer goes straight to the one who waits, as the very value that
/// the responder gave.
///
/// ```
/// use nexus_events_dispatch::{Bus, Payload};
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{ErrorKind, Reject, Requests};
/// use serde_json::json;
///
/// async fn price(sku: Payload<String>) -> Result<u64, Reject> {
///     match sku.as_str() {
///         "pen" => Ok(120),
///         other => Err(Reject::new(404, format!("no {other} here"))),
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.respond("price.asked", price)?;
///
/// let price: u64 = bus.request(Event::builder("price.asked").payload(json!("pen"))).await?;
/// assert_eq!(price, 120);
///
/// let error = bus.request::<u64>(Event::builder("price.asked").payload(json!("ink"))).await.unwrap_err();
/// assert_eq!((error.kind(), error.reject().unwrap().code()), (ErrorKind::Failed, 404));
///
/// let error = bus.request::<u64>(Event::builder("weather.asked")).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NoResponders);
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// ```
pub trait Requests: sealed::Sealed {
    /// Asks, and gives the first answer as a `T`. Nothing is published before the request is
    /// awaited. Made from inside a handler, by its [`Context`] or by the bus, it carries on the
    /// conversation, and waits no longer than whoever waits for that handler's answer.
    #[must_use = "a request is made when it is awaited"]
    fn request<T>(&self, event: impl IntoEvent) -> Request<T>;

    /// Asks everybody, and gives the answers in the order they come.
    #[must_use = "a request is made when it is sent"]
    fn request_many<T>(&self, event: impl IntoEvent) -> RequestMany<T>;

    /// Registers a function that answers with what it returns: see [`responder`], which also
    /// shows how it is given a name or other options.
    ///
    /// # Errors
    /// As [`Bus::on`].
    fn respond<Shape>(
        &self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        function: impl Responder<Shape>,
    ) -> Result<Subscription>;

    /// Registers a handler that answers by its [`ReplyTo`].
    ///
    /// # Errors
    /// As [`Bus::on`].
    fn respond_with<Shape>(
        &self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        handler: impl IntoHandler<Shape> + HandlerExt<Shape>,
    ) -> Result<Subscription>;

    /// Tells this function of every reply that comes too late, after it is counted. It takes the
    /// place of the one that was told before, and is to be quick.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_patterns::Requests;
    /// let bus = Bus::new();
    /// bus.tell_late_replies(|late| eprintln!("{} was answered {:?} late", late.request.id(), late.after));
    /// ```
    fn tell_late_replies(&self, told: impl Fn(&LateReply) + Send + Sync + 'static);

    /// How many requests are waited for right now.
    #[must_use]
    fn pending_requests(&self) -> usize {
        self.request_stats().pending
    }

    /// What has become of the requests of this bus.
    #[must_use]
    fn request_stats(&self) -> RequestStats;
}

impl Requests for Bus {
    fn request<T>(&self, event: impl IntoEvent) -> Request<T> {
        Request::new(Asked::new(self, None, event))
    }

    fn request_many<T>(&self, event: impl IntoEvent) -> RequestMany<T> {
        RequestMany::new(Asked::new(self, None, event))
    }

    fn respond<Shape>(
        &self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        function: impl Responder<Shape>,
    ) -> Result<Subscription> {
        Ok(self.on(pattern, responder(function))?)
    }

    fn respond_with<Shape>(
        &self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        handler: impl IntoHandler<Shape> + HandlerExt<Shape>,
    ) -> Result<Subscription> {
        let handler: Configured = handler.with(dispatch::SubscriptionOptions::responds);
        Ok(self.on(pattern, handler)?)
    }

    fn tell_late_replies(&self, told: impl Fn(&LateReply) + Send + Sync + 'static) {
        self.extension::<BusRequests>().tell(Arc::new(told));
    }

    fn request_stats(&self) -> RequestStats {
        self.extension::<BusRequests>().counters.stats()
    }
}

impl Requests for Context {
    fn request<T>(&self, event: impl IntoEvent) -> Request<T> {
        Request::new(Asked::new(self.bus(), Some(self), event))
    }

    fn request_many<T>(&self, event: impl IntoEvent) -> RequestMany<T> {
        RequestMany::new(Asked::new(self.bus(), Some(self), event))
    }

    fn respond<Shape>(
        &self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        function: impl Responder<Shape>,
    ) -> Result<Subscription> {
        self.bus().respond(pattern, function)
    }

    fn respond_with<Shape>(
        &self,
        pattern: impl TryInto<Pattern, Error: Into<dispatch::Error>>,
        handler: impl IntoHandler<Shape> + HandlerExt<Shape>,
    ) -> Result<Subscription> {
        self.bus().respond_with(pattern, handler)
    }

    fn tell_late_replies(&self, told: impl Fn(&LateReply) + Send + Sync + 'static) {
        self.bus().tell_late_replies(told);
    }

    fn request_stats(&self) -> RequestStats {
        self.bus().request_stats()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for nexus_events_dispatch::Bus {}
    impl Sealed for nexus_events_dispatch::Context {}
}
