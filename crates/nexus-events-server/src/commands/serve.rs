//! `nexus serve`: a server until it is told to stop.

use std::net::IpAddr;

use nexus_events_dispatch::store::{Ack, EventStore};
use nexus_events_dispatch::{BusBuilder, Persist};

use crate::cli::ServeArgs;
use crate::config::{self, ServeConfig};
use crate::exit::{Exit, Failure, Outcome};
use crate::keep::{self, Address, KeepArgs};
use crate::output::{self, counted};
use crate::serving::Serving;
use crate::signals::Signals;
use crate::wire::App;

pub(crate) async fn run(mut args: ServeArgs) -> Outcome {
    args.bind = with_port(&args.bind);
    let config = ServeConfig::new(&args)?;
    let mut signals = Signals::new()?;
    let socket = config::listen(config.address).await?;
    let app = app(config.bus, &args.keep).await?;
    let kept = kept(&app, &args.keep);
    let serving = Serving::start(app, socket)?;
    let address = (!args.keep.ephemeral).then(|| Address::write(&args.keep.data, &serving.url()));
    if !serving.address.ip().is_loopback() {
        output::note(
            "note: whoever reaches this address may publish and read; 127.0.0.1 keeps it to this machine",
        );
    }
    // Serving goes on when nobody reads where.
    output::print(&where_to_look(&serving.url(), &kept))?;

    signals.next().await;
    output::note("stopping; once more to stop at once");
    signals.then_end_at_once();
    let stopped = serving.stop().await;
    drop(address);
    stopped.kept.inspect(|kept| output::note(&kept.to_string()));
    if let Some(error) = stopped.failed {
        return Err(Failure::of_store(error));
    }
    match stopped.clean {
        true => Ok(Exit::Done),
        false => Err(Failure::new(Exit::Failed, "not everything got through before the deadline")),
    }
}

async fn app(bus: BusBuilder, keep: &KeepArgs) -> Outcome<App> {
    if keep.ephemeral {
        return Ok(App::new(bus.build()?)?);
    }
    let store = keep::open(&keep.data, keep.retention()).await?;
    let persist = Persist::to(store.clone()).ack(keep.ack.into());
    let bus = bus.store(persist).open().await.map_err(Failure::of_store)?;
    Ok(App::with_store(bus, store)?)
}

/// Where events are kept, for people.
fn kept(app: &App, keep: &KeepArgs) -> String {
    let Some(store) = app.file() else {
        return "in memory only (--ephemeral)".to_owned();
    };
    let (stats, ack) = (store.stats(), Ack::from(keep.ack));
    let ack = match ack {
        Ack::Synced => String::new(),
        ack => format!(", acknowledged when {}", ack.as_str()),
    };
    let events = counted(stats.events, "event");
    format!("{}, {events} so far{ack}", store.path().display())
}

/// An address without a port gets the default one.
fn with_port(bind: &str) -> String {
    let port = crate::demo::PORT_DEFAULT;
    match bind.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        Ok(ip) => format!("{ip}:{port}"),
        Err(_) if bind == "localhost" => format!("{bind}:{port}"),
        Err(_) => bind.to_owned(),
    }
}

fn where_to_look(url: &str, kept: &str) -> String {
    format!(
        "Nexus events {}\n\n  kept     {kept}\n{}\nCtrl-C stops it.\n",
        env!("CARGO_PKG_VERSION"),
        pointers(url, "order.*", r#"{"event_type":"order.created","payload":{"amount":12}}"#)
    )
}

/// Lines to open and to paste.
pub(crate) fn pointers(url: &str, pattern: &str, event: &str) -> String {
    let option = match url {
        "http://127.0.0.1:7878" => String::new(),
        _ => format!(" --url {url}"),
    };
    format!(
        "  console  {url}/\n  publish  curl -s {url}/events -d '{event}'\n  tail     {} tail '{pattern}'{option}\n  stats    curl -s {url}/stats\n",
        program(std::env::args().next())
    )
}

/// The name that this program was started by, so that the lines work where it was started.
fn program(name: Option<String>) -> String {
    let name = name.filter(|name| !name.is_empty() && !name.contains(char::is_control));
    let name = name.unwrap_or_else(|| "nexus".to_owned());
    let plain = if cfg!(windows) { "/._-:\\" } else { "/._-" };
    if name.chars().all(|c| c.is_ascii_alphanumeric() || plain.contains(c)) {
        return name;
    }
    match cfg!(windows) {
        true => format!("\"{name}\""),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_gets_the_default_one() {
        for (given, expected) in [
            ("localhost", "localhost:7878"),
            ("127.0.0.1", "127.0.0.1:7878"),
            ("::1", "[::1]:7878"),
            ("[::1]", "[::1]:7878"),
            ("localhost:80", "localhost:80"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("over there", "over there"),
        ] {
            assert_eq!(with_port(given), expected);
        }
    }

    #[tokio::test]
    async fn a_history_that_is_too_long_is_wrong_usage() {
        use clap::Parser;
        let cli = crate::Cli::parse_from(["nexus", "serve", "--history", "1000001"]);
        let failure = cli.run().await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert_eq!(failure.to_string(), "--history is 0 to 1000000, not 1000001");
    }

    #[cfg(unix)]
    #[test]
    fn the_name_of_the_program_can_be_pasted() {
        for (name, expected) in [
            (Some("./target/debug/nexus"), "./target/debug/nexus"),
            (Some("/My Tools/nexus"), "'/My Tools/nexus'"),
            (Some("/it's/nexus"), r"'/it'\''s/nexus'"),
            (Some("/a\nb/nexus"), "nexus"),
            (Some(""), "nexus"),
            (None, "nexus"),
        ] {
            assert_eq!(program(name.map(str::to_owned)), expected);
        }
    }
}
