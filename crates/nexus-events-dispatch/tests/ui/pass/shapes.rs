//! Every shape of handler, with and without options.

use std::sync::Arc;

use nexus_events_dispatch::{
    Bus, Called, Context, Handler, HandlerError, HandlerExt, Mode, Payload, Rejection, State,
};
use nexus_events_model::{
    CausationId, CorrelationId, Event, EventId, EventType, Metadata, Priority, SessionId,
    TypedEvent, UserId,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order {
    total: u64,
}

impl TypedEvent for Order {
    const TYPE: EventType = EventType::from_static("order.created");
}

#[derive(Clone)]
struct Db;

struct Own;

impl Handler for Own {
    fn call<'a>(&'a self, _: &'a Event, _: &'a Context) -> Called<'a> {
        Called::Ready(Ok(().into()))
    }
    fn mode(&self) -> Mode {
        Mode::Inline
    }
}

fn nothing() {}
fn event(_: &Event) {}
fn event_and_context(_: &Event, _: &Context) {}
fn context_first(_: &Context, _: &Event, _: State<Db>) {}
fn in_between(_: State<Db>, _: &Event, _: EventId, order: &Order, _: &Context) {
    let _ = order.total;
}
fn typed(_: &Order) {}
fn all_owned(_: Event, _: Context, _: Payload<Order>) {}
fn generic<T: TypedEvent>(_: &T) {}
fn fails(_: &Event) -> Result<(), HandlerError> {
    Err("no".into())
}
fn eight(
    _: &Event,
    _: Option<CorrelationId>,
    _: Option<CausationId>,
    _: Option<SessionId>,
    _: Option<UserId>,
    _: Metadata,
    _: Priority,
    _: EventType,
) {
}

async fn later() {}
async fn later_event(_: Event) {}
async fn later_typed(_: Payload<Order>, _: Context, _: Result<UserId, Rejection>) {}
async fn later_fails(_: State<Db>) -> nexus_events_dispatch::Result<()> {
    Ok(())
}
async fn later_eight(
    _: Event,
    _: Context,
    _: Payload<Order>,
    _: State<Db>,
    _: EventId,
    _: EventType,
    _: Metadata,
    _: Priority,
) {
}

fn main() -> nexus_events_dispatch::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let bus = Bus::builder().state(Db).build()?;
    let on = Order::TYPE;

    bus.on(&on, nothing)?;
    bus.on(&on, event)?;
    bus.on(&on, event_and_context)?;
    bus.on(&on, context_first)?;
    bus.on(&on, in_between)?;
    bus.on(&on, typed)?;
    bus.on(&on, all_owned)?;
    bus.on(&on, generic::<Order>)?;
    bus.on(&on, fails)?;
    bus.on(&on, eight)?;

    bus.on(&on, later)?;
    bus.on(&on, later_event)?;
    bus.on(&on, later_typed)?;
    bus.on(&on, later_fails)?;
    bus.on(&on, later_eight)?;

    let greeting = String::from("welcome");
    bus.on(&on, || {})?;
    bus.on(&on, |_: &Event| {})?;
    bus.on(&on, |_: &Event| -> Result<(), &str> { Err("no") })?;
    bus.on(&on, |_: &Event| -> () { panic!("later") })?;
    bus.on(&on, |_: &Event| panic!("later"))?;
    bus.on(&on, |_: &Event, _: Payload<Order>, _: &Context| {})?;
    bus.on(&on, {
        let greeting = greeting.clone();
        move |order: &Order| println!("{greeting} {}", order.total)
    })?;
    bus.on(&on, async || {})?;
    bus.on(&on, async |_: Event, _: Context| {})?;
    bus.on(&on, |event: Event| async move { drop(event) })?;
    bus.on(&on, |_: Event| std::future::ready(()))?;
    bus.on(&on, move |event: Event| {
        let greeting = greeting.clone();
        async move { println!("{greeting} {}", event.id()) }
    })?;

    bus.on(&on, typed.named("typed-first").priority(10))?;
    bus.on(&on, later_typed.priority(10).named("later-first"))?;
    bus.on(&on, (|_: &Order| {}).priority(1))?;
    bus.on(&on, (async |_: Payload<Order>| {}).priority(1))?;

    bus.on(&on, Own)?;
    bus.on(&on, Own.priority(1))?;
    bus.on(&on, Arc::new(Own))?;
    Ok(())
}
