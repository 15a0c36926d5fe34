//! One run: a fresh server process, all readers, and perhaps one that stalls.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinSet, LocalSet};

use crate::process;
use crate::reader::{Reader, STRIDE, Shared};

/// Before anything is measured; a multiple of the stride, so that its end is reported.
const WARM_UP_EVENTS: u64 = 16 * STRIDE;
const STALLED_RECEIVE_BYTES: u32 = 4 * 1024;
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) readers: usize,
    pub(crate) events: u64,
    /// Events in a second, or [`crate::server::FLAT_OUT`].
    pub(crate) rate: u64,
    pub(crate) is_stalled: bool,
}

pub(crate) struct Measured {
    pub(crate) plan: Plan,
    pub(crate) seconds: f64,
    pub(crate) held_seconds: f64,
    pub(crate) delivered: u64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) p999: Duration,
    /// Of the first events, while the stalled client is there.
    pub(crate) first_p99: Duration,
    pub(crate) max: Duration,
    pub(crate) rss_kib: Rss,
    pub(crate) cpu: Duration,
    /// If there was such a client and it was disconnected.
    pub(crate) stalled: Option<Stalled>,
}

#[derive(Default)]
pub(crate) struct Rss {
    pub(crate) before: u64,
    pub(crate) after: u64,
    pub(crate) peak: u64,
}

/// The end of the client that stalled; seconds are those since the first event for it.
pub(crate) struct Stalled {
    pub(crate) full_seconds: f64,
    pub(crate) gone_seconds: f64,
    pub(crate) dropped: u64,
    pub(crate) reason: String,
    /// What it found when it read on: events, and the close code or what was wrong.
    pub(crate) found: Result<(u64, u16)>,
}

pub(crate) fn run(plan: Plan) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, measure(plan))
}

async fn measure(plan: Plan) -> Result<Measured> {
    let mut server = Server::start()?;
    let address: SocketAddr = server.answer("address").await?.parse()?;
    let mut crowd = Crowd::connect(address, plan).await?;
    server.publish(plan.rate, WARM_UP_EVENTS)?;
    server.follow(&mut crowd, WARM_UP_EVENTS).await?;
    server.answer("published").await?;

    let pid = server.process.id();
    process::forget_peak(pid)?;
    let (before, cpu) = (process::memory_kib(pid, "VmRSS")?, process::cpu_time(pid)?);
    let stalled = match plan.is_stalled {
        true => Some(Reader::connect(address, Some(STALLED_RECEIVE_BYTES)).await?),
        false => None,
    };
    server.publish(plan.rate, plan.events)?;
    server.follow(&mut crowd, WARM_UP_EVENTS + plan.events).await?;
    let cpu = process::cpu_time(pid)? - cpu;
    let after = process::memory_kib(pid, "VmRSS")?;
    let rss_kib = Rss { before, after, peak: process::memory_kib(pid, "VmHWM")? };
    let published = numbers(&server.answer("published").await?)?;
    let [begin, end, held] = published[..] else { bail!("published what?") };
    let stalled = match stalled {
        // Perhaps there were too few events to fill its queue.
        Some(client) => match tokio::time::timeout(CLOSE_PATIENCE, server.late(client)).await {
            Ok(late) => Some(Stalled::new(begin, late?)?),
            Err(_) => None,
        },
        None => None,
    };
    Ok(Measured { rss_kib, cpu, stalled, ..crowd.measured(plan, end - begin, held) })
}

/// All readers that do read.
struct Crowd {
    readers: JoinSet<Result<()>>,
    shared: Rc<RefCell<Shared>>,
    /// Up to which event all have read.
    read: UnboundedReceiver<u64>,
}

impl Crowd {
    async fn connect(address: SocketAddr, plan: Plan) -> Result<Self> {
        let (progress, read) = unbounded_channel();
        let shared = Shared::new(plan.readers, WARM_UP_EVENTS, plan.events, progress);
        let mut crowd =
            Self { readers: JoinSet::new(), shared: Rc::new(RefCell::new(shared)), read };
        for _ in 0..plan.readers {
            let reader = Reader::connect(address, None).await?;
            crowd.readers.spawn_local(reader.read_all(crowd.shared.clone()));
        }
        Ok(crowd)
    }

    /// How far all have read since; 0 when one of them has everything.
    async fn progress(&mut self) -> Result<u64> {
        tokio::select! {
            number = self.read.recv() => number.context("somebody reads"),
            Some(ended) = self.readers.join_next() => {
                ended?.context("a reader did not get every event")?;
                Ok(0)
            }
        }
    }

    /// What the readers know.
    fn measured(&self, plan: Plan, published_us: u64, held_us: u64) -> Measured {
        let shared = self.shared.borrow();
        let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
        Measured {
            plan,
            seconds: seconds(published_us),
            held_seconds: seconds(held_us),
            delivered: shared.delivered - WARM_UP_EVENTS * plan.readers as u64,
            p50: shared.latencies.quantile(0.5),
            p99: shared.latencies.quantile(0.99),
            p999: shared.latencies.quantile(0.999),
            first_p99: shared.first_latencies.quantile(0.99),
            max: shared.latencies.max(),
            rss_kib: Rss::default(),
            cpu: Duration::ZERO,
            stalled: None,
        }
    }
}

type Late = (String, Result<(u64, u16)>);

impl Stalled {
    fn new(begin_us: u64, (said, found): Late) -> Result<Self> {
        let (times, reason) = said.rsplit_once(' ').context("no reason")?;
        let [full, gone, dropped] = numbers(times)?[..] else { bail!("disconnected when?") };
        let since = |us: u64| Duration::from_micros(us.saturating_sub(begin_us)).as_secs_f64();
        Ok(Self {
            full_seconds: since(full),
            gone_seconds: since(gone),
            dropped,
            reason: reason.to_owned(),
            found,
        })
    }
}

fn numbers(text: &str) -> Result<Vec<u64>> {
    Ok(text.split(' ').map(str::parse).collect::<Result<_, _>>()?)
}

/// The process that is measured.
struct Server {
    process: Child,
    answers: UnboundedReceiver<(String, String)>,
    disconnected: UnboundedReceiver<String>,
}

impl Server {
    fn start() -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().context("piped")?;
        let (answer, answers) = unbounded_channel();
        let (gone, disconnected) = unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some((word, rest)) = line.split_once(' ') else { continue };
                // Whoever waits sees the end of these when this thread ends.
                let _ = match word {
                    "disconnected" => gone.send(rest.to_owned()).is_ok(),
                    _ => answer.send((word.to_owned(), rest.to_owned())).is_ok(),
                };
            }
        });
        Ok(Self { process, answers, disconnected })
    }

    /// What the server said of the client that stalled, and what that one finds when at last it
    /// reads on. Not before the run is over: it would take the machine from the others.
    async fn late(&mut self, client: Reader) -> Result<Late> {
        let said = self.disconnected.recv().await.context("the server ended first")?;
        Ok((said, client.read_to_close().await))
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.process.stdin.as_mut().context("piped")?;
        writeln!(input, "{line}").context("the server ended")
    }

    fn publish(&mut self, rate: u64, events: u64) -> Result<()> {
        self.tell(&format!("publish {rate} {events}"))
    }

    async fn answer(&mut self, word: &str) -> Result<String> {
        let (said, rest) = self.answers.recv().await.context("the server ended")?;
        ensure!(said == word, "the server said {said} instead of {word}");
        Ok(rest)
    }

    /// Tells the server how far all readers are, until all have read up to `end`.
    async fn follow(&mut self, crowd: &mut Crowd, end: u64) -> Result<()> {
        let mut number = 0;
        while number < end {
            let progress = tokio::time::timeout(SILENCE_MAX, crowd.progress()).await;
            number = progress.with_context(|| format!("stuck before event {end}"))??;
            if number > 0 {
                self.tell(&format!("read {number}"))?;
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing left to do, and the next run wants the machine for itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
