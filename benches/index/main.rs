//! What it costs to find the subscriptions and filters that match, beside other ways to do it:
//! `cargo bench -p nexus-events-benches --bench index [-- patterns|changes|filters] [-- --save]`.

mod changes;
mod filters;
mod patterns;
mod peers;
mod subscriptions;

use nexus_events_benches::Report;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says so when it benches; a test run has nothing to check here.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let parts: Vec<&str> = ["patterns", "changes", "filters"]
        .into_iter()
        .filter(|part| arguments.iter().any(|argument| argument == part))
        .collect();
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    let mut report =
        Report::new("What matches: the indexes", &["regex", "globset", "parking_lot", "arc-swap"]);
    if wanted("patterns") {
        patterns::run(&mut report);
    }
    if wanted("changes") {
        changes::run(&mut report);
    }
    if wanted("filters") {
        filters::run(&mut report);
    }
    if arguments.iter().any(|argument| argument == "--save") {
        report.save("index")?;
    }
    Ok(())
}
