//! Ten times as many events as a handler can take, for a minute under each policy: memory stays
//! bounded and every event is accounted for, or this fails.

// It prints a table.
#![allow(clippy::print_stdout)]

mod options;
mod process;
mod report;
mod run;

use anyhow::{Result, ensure};

use self::options::Options;
use self::run::{POLICIES, Plan};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = Options::parse(&args)?;
    let plan =
        Plan { seconds: options.seconds, events_per_second: 100_000, handled_per_second: 10_000 };
    println!("{}", report::head(&plan));
    let mut rows = Vec::new();
    for (name, policy) in POLICIES {
        let measured = run::run(&plan, name, policy)?;
        println!("{}", report::row(&measured));
        rows.push(measured);
    }
    if options.save {
        report::keep(&plan, &rows)?;
    }
    let failed: Vec<String> = rows.iter().filter_map(run::Measured::fault).collect();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}
