//! What the patterns cost: `cargo bench -p nexus-events-benches --bench patterns [-- saga] [-- --save]`.

mod saga;

use nexus_events_benches::Report;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says so when it benches; a test run has nothing to check here.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut report = Report::new("Patterns", &["redb"]);
    saga::run(&mut report);
    if arguments.iter().any(|argument| argument == "--save") {
        report.save("patterns")?;
    }
    Ok(())
}
