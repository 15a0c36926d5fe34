//! Handlers run in waves, highest priority first; a validator may cancel.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use nexus_events::prelude::*;
use serde_json::json;

fn validate(event: &Event, context: &Context) {
    if event.payload().get("email").is_none() {
        context.cancel("no e-mail address");
    }
}

async fn create_account(event: Event) {
    println!("account for {}", event.payload().get("email").expect("validated"));
}

async fn notify(event: Event) -> Result<(), HandlerError> {
    let email =
        event.payload().get("email").and_then(|email| email.as_str()).ok_or("no address")?;
    println!("mail to {email}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let bus = Bus::new();
    bus.on("user.created", notify.named("notify").priority(10))?;
    bus.on("user.created", create_account.named("account").priority(50))?;
    bus.on("user.created", validate.named("validate").priority(100))?;

    bus.publish_and_wait(
        Event::builder("user.created").payload(json!({"email": "ada@example.com"})),
    )
    .await?;

    let report = bus.publish_and_wait(Event::builder("user.created")).await?;
    for outcome in &report.outcomes {
        println!(
            "{}: {} {}",
            outcome.handler,
            outcome.status.as_str(),
            outcome.error.as_deref().unwrap_or_default()
        );
    }
    assert_eq!(report.outcomes[2].status, OutcomeStatus::Cancelled);
    Ok(())
}
