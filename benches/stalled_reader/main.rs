//! Whether a client that stops reading is felt by the others: the same events to the same
//! readers, with and without one more client that reads nothing.
//!
//! The server is a process of its own, so that its memory and processor time are its own too.

// It prints a table.
#![allow(clippy::print_stdout)]

mod histogram;
mod options;
mod process;
mod reader;
mod report;
mod run;
mod server;

use anyhow::Result;

use self::options::Options;
use self::run::Plan;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args == ["server"] {
        return server::run();
    }
    let options = Options::parse(&args)?;
    for &rate in &options.rates {
        println!(
            "\n{} readers, {} events, {}",
            options.readers,
            options.events,
            report::pace(rate)
        );
        println!("{}", report::HEAD);
        let mut all = Vec::new();
        for is_stalled in (0..options.rounds).flat_map(|round| [round % 2 == 1, round % 2 == 0]) {
            let (readers, events) = (options.readers, options.events);
            let measured = run::run(Plan { readers, events, rate, is_stalled })?;
            println!("{}", report::row(&measured));
            all.push(measured);
        }
        print!("{}", report::summary(&all));
        report::keep(rate, &all)?;
    }
    Ok(())
}
