//! `nexus serve`: a server until it is told to stop.

use crate::cli::ServeArgs;
use crate::config::{self, ServeConfig};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::serving::Serving;
use crate::signals::Signals;
use crate::wire::App;

pub(crate) async fn run(args: ServeArgs) -> Outcome {
    let config = ServeConfig::new(&args)?;
    let mut signals = Signals::new()?;
    let socket = config::listen(config.address).await?;
    let serving = Serving::start(App::new(config.bus)?, socket)?;
    if !serving.address.ip().is_loopback() {
        output::note(
            "note: whoever reaches this address may publish and read; 127.0.0.1 keeps it to this machine",
        );
    }
    // Serving goes on when nobody reads where.
    output::print(&where_to_look(&serving.url()))?;

    signals.next().await;
    output::note("stopping; once more to stop at once");
    signals.then_end_at_once();
    match serving.stop().await {
        true => Ok(Exit::Done),
        false => Err(Failure::new(Exit::Failed, "not everything got through before the deadline")),
    }
}

fn where_to_look(url: &str) -> String {
    format!(
        "Nexus events {}\n\n{}\nCtrl-C stops it.\n",
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
        program()
    )
}

/// The name that this program was started by, so that the lines work where it was started.
fn program() -> String {
    let name = std::env::args().next();
    let can_be_pasted = |name: &String| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "/._-\\:".contains(c))
    };
    name.filter(can_be_pasted).unwrap_or_else(|| "nexus".to_owned())
}
