//! `nexus demo`: a real week of events through real handlers, with a check at the end.
//!
//! The handlers, in `handlers.rs`, are what a program that uses Nexus events looks like; all
//! else here replays the data, shows how far it is, and counts.

mod check;
mod data;
mod delays;
mod handlers;
mod judge;
mod pace;
mod rebooking;
mod replay;
mod status;
mod table;

use std::io::IsTerminal;
use std::net::Ipv4Addr;
use std::time::Duration;

use nexus_events_dispatch::Bus;
use nexus_events_dispatch::store::Retention;
use tokio::net::TcpListener;

use crate::cli::DemoArgs;
use crate::commands::serve::pointers;
use crate::config;
use crate::demo::check::Ledger;
use crate::demo::data::Data;
use crate::demo::pace::Pace;
use crate::demo::replay::{Ended, Replay};
use crate::demo::status::Status;
use crate::exit::{Exit, Failure, Outcome};
use crate::keep::{self, Temporary};
use crate::output;
use crate::serving::Serving;
use crate::signals::Signals;
use crate::wire::App;

pub(crate) const PORT_DEFAULT: u16 = 7878;

/// How long follow-ups may take after the last event.
const SETTLE_WAIT_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: DemoArgs) -> Outcome {
    let mut signals = Signals::new()?;
    let data = if args.data.is_empty() { Data::shipped()? } else { Data::of_files(&args.data)? };
    let socket = listen(args.port).await?;

    // It goes when the demo has ended, however it did.
    let directory = match args.ephemeral {
        true => None,
        false => Some(Temporary::new()?),
    };
    let bus = open(directory.as_ref()).await?;
    let board = handlers::register(&bus)?;
    let delays = delays::attach(&bus)?;
    // A saga needs a store.
    let rebooking = bus.store().map(|_| rebooking::attach(&bus)).transpose()?;
    let mut ledger = Ledger::new(&bus, &data.expected, args.expect.clone())?;
    let app = App::new(bus.clone())?;
    if let Some(rebooking) = &rebooking {
        app.sagas().add(rebooking.clone());
    }
    let serving = Serving::start(app, socket)?;
    announce(&args, &data, &serving.url())?;

    let pace = if args.max { Pace::Max } else { Pace::Times(args.speed) };
    let mut replay = Replay {
        bus: &bus,
        pace,
        status: Status::new(data.events.len(), data.is_timed),
        board: &board,
    };
    let limit = args.seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let ended = replay.run(data.events, &mut ledger, limit, &mut signals).await?;
    delays.flush().await;
    let settled = tokio::time::timeout(SETTLE_WAIT_MAX, bus.idle()).await.is_ok();
    replay.status.end();

    let stored = bus.store().map(|store| store.stats());
    let verdict = ledger.verdict(ended == Ended::Complete, settled, stored);
    let mut findings = board.summary();
    findings.push(delays.summary());
    if let Some(rebooking) = &rebooking {
        findings.push(rebooking::summary(rebooking).await?);
    }
    output::print(&table::render(&verdict, &findings))?;
    // A script goes on with what it has next; a person gets to look around.
    let stays =
        ended == Ended::Complete && !args.max && limit.is_none() && std::io::stdout().is_terminal();
    if stays {
        output::note("The console stays open; Ctrl-C ends it.");
        signals.next().await;
    }
    signals.then_end_at_once();
    serving.stop().await;
    Ok(match (verdict.holds(), ended) {
        (false, _) => Exit::CheckFailed,
        (true, Ended::Interrupted) => Exit::Interrupted,
        (true, _) => Exit::Done,
    })
}

/// A bus that stores its events in this directory, where there is one.
async fn open(directory: Option<&Temporary>) -> Outcome<Bus> {
    let Some(directory) = directory else { return Ok(Bus::new()) };
    let store = keep::open(directory.path(), Retention::new()).await?;
    Bus::builder().store(store).open().await.map_err(Failure::of_store)
}

/// The port that was asked for, or one near the default.
async fn listen(port: Option<u16>) -> Outcome<TcpListener> {
    let ip = Ipv4Addr::LOCALHOST.into();
    if let Some(port) = port {
        return config::listen((ip, port).into()).await;
    }
    let socket = config::listen_near(ip, PORT_DEFAULT).await?;
    let port = socket.local_addr().map_err(Failure::from)?.port();
    if port != PORT_DEFAULT {
        output::note(&format!("note: port {PORT_DEFAULT} is in use, so this is port {port}"));
    }
    Ok(socket)
}

fn announce(args: &DemoArgs, data: &Data, url: &str) -> Outcome<()> {
    let speed = match args.max {
        true => "as fast as the handlers go".to_owned(),
        false => format!("{} times as fast as they happened", args.speed),
    };
    let event = r#"{"event_type":"flight.cancelled","source":"airport/JFK","payload":{"carrier":"XX","flight":1,"origin":"JFK"}}"#;
    let lines = pointers(url, "flight.*", event);
    let version = env!("CARGO_PKG_VERSION");
    let events = output::grouped(data.events.len() as u64);
    output::print(&format!(
        "Nexus events {version}: {events} events from {}, {speed}\n\n{lines}\n",
        data.origin
    ))?;
    Ok(())
}
