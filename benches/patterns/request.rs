//! One request and its answer, one after the other: through a channel to a task that answers by a
//! oneshot, through the bus, and through a server of NATS where one is installed.

use std::time::Instant;

use nexus_events_benches::{Cell, Peer, Report, compare, nanoseconds};
use nexus_events_dispatch::{Bus, Payload};
use nexus_events_model::{Event, EventType};
use nexus_events_patterns::{Reject, Requests};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::goals::Goals;
use crate::nats;

/// Round trips in one turn.
const TRIPS: u64 = 2_000;

/// The same where each goes over the network.
const TRIPS_FAR: u64 = 100;

const ASKED: EventType = EventType::from_static("number.asked");

/// Peers in their order: the first, the second and the last.
const BARE: usize = 0;
const OURS: usize = 1;
const NATS: usize = 3;

type Asked = (u64, oneshot::Sender<u64>);

pub(crate) fn run(report: &mut Report, goals: &mut Goals) {
    let one = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let two = two.expect("a runtime");
    let (server, missing) = match nats::Server::start() {
        Ok(server) => (Some(server), None),
        Err(missing) => (None, Some(missing)),
    };
    let columns = ["one thread".to_owned(), "two threads".to_owned()];
    let (one, two) = (measure(&one, server.as_ref()), measure(&two, server.as_ref()));
    for (threads, cells) in columns.iter().zip([&one, &two]) {
        let median = |peer: usize| cells.get(peer).map(|(_, cell)| cell.median);
        let (Some(bare), Some(ours)) = (median(BARE), median(OURS)) else { continue };
        goals.most(&format!("request, times a bare oneshot, {threads}"), 3.0, ours / bare);
        if let Some(far) = median(NATS) {
            goals.most(&format!("request, times that of NATS, {threads}"), 0.05, ours / far);
        }
    }
    let rows: Vec<(String, Vec<Option<Cell>>)> = one
        .into_iter()
        .zip(two)
        .map(|((name, one), (_, two))| (name, vec![Some(one), Some(two)]))
        .collect();
    report.table("One request and its answer", &columns, &rows);
    if let Some(missing) = missing {
        report.line(&format!("\nNATS was not measured: {missing}."));
    }
}

fn measure(runtime: &Runtime, server: Option<&nats::Server>) -> Vec<(String, Cell)> {
    let _entered = runtime.enter();
    let channel = channel();
    let (queued, inline) = (bus(), Bus::new());
    inline.respond(ASKED, |number: Payload<u64>| Ok::<_, Reject>(*number + 1)).expect("a bus");
    let client = server.map(|server| runtime.block_on(server.client()));
    let mut peers = vec![
        turns(runtime, "tokio mpsc and oneshot", TRIPS, move |number| {
            let channel = channel.clone();
            async move {
                let (sender, receiver) = oneshot::channel();
                channel.send((number, sender)).await.expect("a task");
                receiver.await.expect("an answer")
            }
        }),
        turns(runtime, "request, responder on a task", TRIPS, move |number| ask(&queued, number)),
        turns(runtime, "request, inline responder", TRIPS, move |number| ask(&inline, number)),
    ];
    if let Some(client) = client {
        peers.push(turns(runtime, "NATS request", TRIPS_FAR, move |number| {
            nats::ask(client.clone(), number)
        }));
    }
    compare(peers)
}

/// A task that answers what comes through a channel.
fn channel() -> mpsc::Sender<Asked> {
    let (sender, mut receiver) = mpsc::channel::<Asked>(1_024);
    tokio::spawn(async move {
        while let Some((number, reply)) = receiver.recv().await {
            let _ = reply.send(number + 1);
        }
    });
    sender
}

fn bus() -> Bus {
    let bus = Bus::new();
    bus.respond(ASKED, async |number: Payload<u64>| Ok::<_, Reject>(*number + 1)).expect("a bus");
    bus
}

fn ask(bus: &Bus, number: u64) -> impl Future<Output = u64> + use<> {
    let asked = bus.request::<u64>(Event::builder(ASKED).typed(number));
    async move { asked.await.expect("an answer") }
}

/// A task of the runtime asks over and over.
fn turns<'a, F: Future<Output = u64> + Send>(
    runtime: &'a Runtime,
    name: &str,
    trips: u64,
    ask: impl Fn(u64) -> F + Send + Sync + 'static,
) -> Peer<'a> {
    let ask = std::sync::Arc::new(ask);
    Peer::timed(name, move || {
        let ask = ask.clone();
        let turn = async move {
            let begun = Instant::now();
            for number in 0..trips {
                assert_eq!(ask(number).await, number + 1);
            }
            nanoseconds(begun.elapsed()) / trips as f64
        };
        runtime.block_on(async { tokio::spawn(turn).await.expect("a turn") })
    })
}
