//! Layers: behaviour around publishing, subscribing and handling.

use std::fmt;

use nexus_events_model::{Event, Pattern};

use crate::bus::Bus;
use crate::error::Result;
use crate::handler::{BoxFuture, Handler};
use crate::publish::Receipt;
use crate::subscription::SubscriptionOptions;
use crate::sync::Arc;

/// Behaviour around publishing, subscribing and handling; the second extension point beside
/// [`Handler`]. Every method has a default that changes nothing.
///
/// A layer is given to [`BusBuilder::layer`](crate::BusBuilder::layer) for all events and
/// handlers of a bus, or to [`HandlerExt::layer`](crate::HandlerExt::layer) for one handler. The
/// first one given is the outermost; those of the bus are outside of those of a handler.
///
/// The order matters. With `.layer(RateLimit)` outside of `.layer(Retry)` an event that fails
/// three times and then succeeds takes one permit; the other way round each of its four attempts
/// takes one.
///
/// ```
/// use nexus_events_dispatch::{Bus, Error, ErrorKind, Layer, Next, Published};
/// use nexus_events_model::Event;
///
/// /// Lets no event pass that says nothing about its origin.
/// struct SourceNeeded;
///
/// impl Layer for SourceNeeded {
///     fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
///         if event.source().is_empty() {
///             return Published::Ready(Err(Error::refused("an event needs a source; call .source(..)")));
///         }
///         next.run(event)
///     }
/// }
///
/// let bus = Bus::builder().layer(SourceNeeded).build()?;
/// assert_eq!(bus.try_publish(Event::builder("a")).unwrap_err().kind(), ErrorKind::Refused);
/// assert!(bus.try_publish(Event::builder("a").source("shop")).is_ok());
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
pub trait Layer: Send + Sync + 'static {
    /// Around the publishing of an event, follow-ups included. It may change the event, refuse
    /// it, or answer for it; what runs after it is `next`. Only a layer of a bus is asked.
    ///
    /// A layer that has to wait does so before it calls `next`: dropping its future then means
    /// that nothing was published. After that the event may be in although the future is dropped,
    /// as when its publisher gives up in front of a full queue.
    fn publish<'a>(&'a self, event: Event, next: Next<'a>) -> Published<'a> {
        next.run(event)
    }

    /// Before a handler is registered. It may change what is registered, or refuse.
    ///
    /// # Errors
    /// Whatever should be told to the caller of [`Bus::on`].
    fn subscribe(&self, subscription: &mut NewSubscription) -> Result<()> {
        let _ = subscription;
        Ok(())
    }

    /// The handler with this layer around it; asked once, when it is registered, so a layer that
    /// leaves it alone costs no event anything.
    fn handle(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        handler
    }
}

/// A handler about to be registered.
#[non_exhaustive]
pub struct NewSubscription {
    /// The event types it is for.
    pub pattern: Pattern,
    /// The handler, with the layers around it that were asked before.
    pub handler: Arc<dyn Handler>,
    /// How it is registered.
    pub options: SubscriptionOptions,
    /// Whether it needs a tokio runtime with a timer even when it runs inline, to try again for
    /// instance.
    pub needs_runtime: bool,
}

impl fmt::Debug for NewSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSubscription")
            .field("pattern", &self.pattern)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl NewSubscription {
    /// What the layers make of a handler: each is asked, the innermost first.
    pub(crate) fn build(
        pattern: Pattern,
        handler: Arc<dyn Handler>,
        options: SubscriptionOptions,
        bus_layers: &[Arc<dyn Layer>],
    ) -> Result<Self> {
        let own = options.layers.0.clone();
        let mut subscription = Self { pattern, handler, options, needs_runtime: false };
        // A name found under layers is the handler's own.
        let name = subscription.handler.name();
        for layer in bus_layers.iter().chain(&own).rev() {
            layer.subscribe(&mut subscription)?;
            subscription.handler = layer.handle(subscription.handler.clone());
        }
        subscription.options.own_name.get_or_insert(name);
        Ok(subscription)
    }
}

/// What comes after a layer: the next one, or the bus.
pub struct Next<'a> {
    pub(crate) layers: &'a [Arc<dyn Layer>],
    pub(crate) door: &'a (dyn Door + 'a),
}

/// The bus behind the layers.
pub(crate) trait Door: Send + Sync {
    fn bus(&self) -> &Bus;

    fn open(&self, event: Event) -> Published<'_>;

    /// What was known of the event when it came in, once it has: that may be before
    /// [`open`](Self::open) is through, or although its future was dropped.
    fn entered(&self) -> Option<&Receipt>;
}

impl<'a> Next<'a> {
    /// Passes the event on.
    #[must_use]
    pub fn run(self, event: Event) -> Published<'a> {
        match self.layers.split_first() {
            Some((layer, layers)) => layer.publish(event, Next { layers, door: self.door }),
            None => self.door.open(event),
        }
    }

    /// The bus, for its clock and to look around.
    #[must_use]
    pub fn bus(&self) -> &'a Bus {
        self.door.bus()
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

/// What came of publishing, or is going to.
pub enum Published<'a> {
    /// It is accepted or refused.
    Ready(Result<Receipt>),
    /// Something has to be waited for.
    Pending(BoxFuture<'a, Result<Receipt>>),
}

impl Published<'_> {
    /// The receipt, waited for where that is needed.
    ///
    /// # Errors
    /// Those of the layers and of [`Bus::publish`].
    pub async fn wait(self) -> Result<Receipt> {
        match self {
            Self::Ready(result) => result,
            Self::Pending(future) => future.await,
        }
    }
}

impl fmt::Debug for Published<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(result) => f.debug_tuple("Ready").field(result).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// The layers of one handler, the outermost first.
#[derive(Clone, Default)]
pub(crate) struct Layers(pub(crate) Vec<Arc<dyn Layer>>);

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} layers", self.0.len())
    }
}

impl PartialEq for Layers {
    /// Whether they are the very same ones.
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}
