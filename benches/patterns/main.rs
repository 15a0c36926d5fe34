//! What the patterns cost, beside what one would write without them:
//! `cargo bench -p nexus-events-benches --bench patterns [-- request|window|batch|saga] [-- --save]`.

mod batch;
mod goals;
mod nats;
mod request;
mod saga;
mod window;

use nexus_events_benches::Report;
use nexus_events_benches::machine::output;

use self::goals::Goals;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says so when it benches; a test run has nothing to check here.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let parts: Vec<&str> = ["request", "window", "batch", "saga"]
        .into_iter()
        .filter(|part| arguments.iter().any(|argument| argument == part))
        .collect();
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    let mut report = Report::new("Patterns", &["tokio", "async-nats", "redb"]);
    let server = output(&nats::program(), &["--version"]);
    report.line(&format!(
        "- {server}; again: `cargo bench -p nexus-events-benches --bench patterns -- --save`"
    ));
    let mut goals = Goals::default();
    if wanted("request") {
        request::run(&mut report, &mut goals);
    }
    if wanted("window") {
        window::run(&mut report, &mut goals);
    }
    if wanted("batch") {
        batch::run(&mut report);
    }
    if wanted("saga") {
        saga::run(&mut report, &mut goals);
    }
    goals.report(&mut report);
    if arguments.iter().any(|argument| argument == "--save") {
        report.save("patterns")?;
    }
    Ok(())
}
