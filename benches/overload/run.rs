//! One policy under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use nexus_events_dispatch::{Bus, HandlerExt, Overload, SubscriptionOptions};
use nexus_events_model::{Event, Payload, Priority};
use tokio::time::MissedTickBehavior;

/// The most memory may grow.
const GROWTH_MAX_KIB: u64 = 64 * 1024;

/// How often the producer publishes a batch and the handler gets room for one.
const TICK: Duration = Duration::from_millis(5);

const PAYLOAD_BYTES: usize = 200;

pub(crate) const POLICIES: [(&str, Overload); 6] = [
    ("block 1 ms", Overload::Block { timeout: Duration::from_millis(1) }),
    ("block 1 s", Overload::Block { timeout: Duration::from_secs(1) }),
    ("reject", Overload::Reject),
    ("drop oldest", Overload::DropOldest),
    ("drop newest", Overload::DropNewest),
    ("sample 1 in 10", Overload::Sample { one_in: 10 }),
];

pub(crate) struct Plan {
    pub(crate) seconds: u64,
    pub(crate) events_per_second: u64,
    pub(crate) handled_per_second: u64,
}

impl Plan {
    fn per_tick(&self, per_second: u64) -> u64 {
        per_second * u64::try_from(TICK.as_millis()).unwrap_or(1) / 1_000
    }
}

pub(crate) struct Measured {
    pub(crate) policy: &'static str,
    pub(crate) published: u64,
    /// Runs of the handler, counted by itself.
    pub(crate) handled: u64,
    /// Dropped by the policy, by the statistics.
    pub(crate) dropped: u64,
    /// Skipped because the queue was full, by the statistics.
    pub(crate) rejected: u64,
    /// The longest time the oldest event had waited when looked at.
    pub(crate) wait_max: Duration,
    pub(crate) growth_kib: u64,
}

impl Measured {
    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<String> {
        let accounted = self.handled + self.dropped + self.rejected;
        if self.published != accounted {
            let Self { policy, published, .. } = self;
            return Some(format!("{policy}: {published} published, {accounted} accounted for"));
        }
        (self.growth_kib > GROWTH_MAX_KIB)
            .then(|| format!("{}: memory grew by {} KiB", self.policy, self.growth_kib))
    }
}

pub(crate) fn run(plan: &Plan, policy: &'static str, overload: Overload) -> Result<Measured> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let measured = runtime.block_on(async {
        // The history has a bound of its own; here it would only be in the way.
        let bus = Bus::builder().history(0).build()?;
        let handled = Arc::new(AtomicU64::new(0));
        subscribe(plan, &bus, overload, &handled)?;
        warm_up(&bus).await?;
        let before = super::process::resident_kib();
        let (published, wait_max, most) =
            tokio::spawn(produce(bus.clone(), Load::of(plan))).await??;
        bus.idle().await;
        let stats = bus.stats();
        let slow = stats.handlers.first().ok_or_else(|| anyhow::anyhow!("no handler"))?;
        let dropped = slow.dropped.values().sum();
        anyhow::Ok(Measured {
            policy,
            published: published + WARM_UP,
            handled: handled.load(Ordering::Relaxed),
            dropped,
            rejected: slow.rejected_count - dropped,
            wait_max,
            growth_kib: most.saturating_sub(before),
        })
    })?;
    Ok(measured)
}

/// A handler that does so many events per tick and then waits for the next one.
fn subscribe(plan: &Plan, bus: &Bus, overload: Overload, handled: &Arc<AtomicU64>) -> Result<()> {
    let (handled, per_tick) = (handled.clone(), plan.per_tick(plan.handled_per_second));
    let ticks = tokio::time::interval(TICK);
    let ticks = Arc::new(tokio::sync::Mutex::new(ticks));
    let slow = move |_: Event| {
        let (handled, ticks) = (handled.clone(), ticks.clone());
        async move {
            if handled.fetch_add(1, Ordering::Relaxed) % per_tick == per_tick - 1 {
                ticks.lock().await.tick().await;
            }
        }
    };
    let options = |options: SubscriptionOptions| options.name("slow").overload(overload);
    bus.on("load.*", slow.with(options))?;
    Ok(())
}

const WARM_UP: u64 = 1_000;

/// Fills what is allocated once.
async fn warm_up(bus: &Bus) -> Result<()> {
    for number in 0..WARM_UP {
        bus.publish(next(number)).await?;
        if number % 100 == 99 {
            bus.idle().await;
        }
    }
    Ok(())
}

struct Load {
    until: Duration,
    per_tick: u64,
}

impl Load {
    fn of(plan: &Plan) -> Self {
        let until = Duration::from_secs(plan.seconds);
        Self { until, per_tick: plan.per_tick(plan.events_per_second) }
    }
}

fn next(number: u64) -> nexus_events_model::EventBuilder {
    let priority = Priority::ALL[usize::try_from(number % 4).unwrap_or(0)];
    let payload = Payload::shared(Arc::new(vec![7_u8; PAYLOAD_BYTES]));
    Event::builder("load.event").priority(priority).payload(payload)
}

/// Publishes a batch each tick; how many there were, and the most waiting time and memory seen.
async fn produce(bus: Bus, load: Load) -> Result<(u64, Duration, u64)> {
    let (began, mut ticks) = (Instant::now(), tokio::time::interval(TICK));
    // A producer that was held up does not catch up.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut published, mut wait_max, mut most, mut looked) = (0, Duration::ZERO, 0, 0);
    while began.elapsed() < load.until {
        ticks.tick().await;
        for _ in 0..load.per_tick {
            bus.publish(next(published)).await?;
            published += 1;
        }
        let millis = began.elapsed().as_millis();
        if millis - looked >= 100 {
            looked = millis;
            most = most.max(super::process::resident_kib());
            let wait = bus.stats().handlers.first().and_then(|handler| handler.queue_wait);
            wait_max = wait_max.max(wait.unwrap_or_default());
        }
    }
    Ok((published, wait_max, most))
}
