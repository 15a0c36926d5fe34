//! How fast a store is on this disk: `cargo run --release -p nexus-events-store --example figures`,
//! with the folder to measure in as its argument.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it prints what it measures")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nexus_events_dispatch::Bus;
use nexus_events_dispatch::store::{Ack, Append, EventStore, Offset, Read};
use nexus_events_model::{Event, EventBuilder};
use nexus_events_store::{Disk, FileMedium, Medium, Opening, Store};

const TYPES: [&str; 4] = ["order.created", "order.paid", "user.login", "sensor.measured"];

fn draft(number: u64) -> EventBuilder {
    let text = "x".repeat(340);
    let payload =
        format!(r#"{{"order_id":{number},"customer":"c-{}","text":"{text}"}}"#, number % 97);
    Event::builder(TYPES[(number % 4) as usize])
        .source("shop")
        .payload(nexus_events_model::Payload::from_json(payload).unwrap())
}

/// Counts the bytes that are written.
#[derive(Debug, Default)]
struct Counting(Arc<AtomicU64>);

#[derive(Debug)]
struct CountingDisk(Arc<dyn Disk>, Arc<AtomicU64>);

impl Medium for Counting {
    fn open(&self, path: &Path, opening: Opening) -> std::io::Result<Arc<dyn Disk>> {
        Ok(Arc::new(CountingDisk(FileMedium.open(path, opening)?, self.0.clone())))
    }
    fn exists(&self, path: &Path) -> std::io::Result<bool> {
        FileMedium.exists(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        FileMedium.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        FileMedium.remove(path)
    }
    fn sync_folder(&self, folder: &Path) -> std::io::Result<()> {
        FileMedium.sync_folder(folder)
    }
    fn free_space(&self, path: &Path) -> std::io::Result<Option<u64>> {
        FileMedium.free_space(path)
    }
}

impl Disk for CountingDisk {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.1.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.0.write_at(offset, data)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> std::io::Result<()> {
        self.0.sync()
    }
    fn lock(&self) -> std::io::Result<bool> {
        self.0.lock()
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let path = folder.join(format!("figures-{}.nexus", std::process::id()));
    if std::env::args().nth(2).is_none() {
        for publishers in [1, 16, 256, 1024] {
            publish(&path, publishers).await;
        }
    }
    written(&path).await;
    million(&path).await;
    std::fs::remove_file(&path).unwrap();
}

async fn publish(path: &Path, publishers: u64) {
    let _ = std::fs::remove_file(path);
    let store = Arc::new(Store::open(path).unwrap());
    let bus = Bus::new();
    let began = Instant::now();
    let done = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..publishers)
        .map(|_| {
            let (store, bus, done) = (store.clone(), bus.clone(), done.clone());
            tokio::spawn(async move {
                while began.elapsed().as_secs() < 3 {
                    let event = bus.stamp(draft(done.fetch_add(1, Ordering::Relaxed))).unwrap();
                    store.append(Append::of(event)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    let stats = store.stats();
    let per_second = |count: u64| count as f64 / seconds;
    println!(
        "{publishers:>4} publishers: {:>8.0} appends/s, {:>5.0} commits/s, {:>5.0} syncs/s, {:.1} appends a commit",
        per_second(stats.appends),
        per_second(stats.commits),
        per_second(stats.syncs),
        stats.appends as f64 / stats.commits as f64,
    );
}

async fn written(path: &Path) {
    let _ = std::fs::remove_file(path);
    let counting = Counting::default();
    let count = counting.0.clone();
    let store = Store::open_on(Arc::new(counting), path).unwrap();
    let bus = Bus::new();
    let before = count.load(Ordering::Relaxed);
    let mut payload = 0;
    for batch in 0..200 {
        let mut append = Append::new();
        for number in 0..256 {
            let event = bus.stamp(draft(batch * 256 + number)).unwrap();
            payload += event.payload().json().unwrap().len() as u64;
            append = append.event(event);
        }
        store.append(append).await.unwrap();
    }
    let written = count.load(Ordering::Relaxed) - before;
    let stats = store.stats();
    println!(
        "written at 256 events a commit: {:.2} x payload ({} of {} bytes; events as stored {:.2} x, {:.1} syncs a commit)",
        written as f64 / payload as f64,
        written,
        payload,
        stats.bytes as f64 / payload as f64,
        stats.syncs as f64 / stats.commits as f64,
    );
}

/// Seconds of the processors that this program has used; 0 where nobody says.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
    ticks / 100.0
}

async fn million(path: &Path) {
    let _ = std::fs::remove_file(path);
    let store = Store::open(path).unwrap();
    let bus = Bus::new();
    let began = Instant::now();
    for batch in 0..3907 {
        let append = (0..256).fold(Append::new(), |append, number| {
            append.event(bus.stamp(draft(batch * 256 + number)).unwrap())
        });
        store.append(append.ack(Ack::Memory)).await.unwrap();
    }
    store.wait_past(Offset::new(3907 * 256 - 1)).await.unwrap();
    println!("1,000,192 events put in {:.2} s", began.elapsed().as_secs_f64());
    drop(store);
    let began = Instant::now();
    let store = Store::open(path).unwrap();
    println!(
        "opened in {:.3} s, {} events, {} bytes of disk",
        began.elapsed().as_secs_f64(),
        store.bounds().len(),
        store.stats().disk_bytes
    );
    for _ in 0..2 {
        let (began, used) = (Instant::now(), processor());
        let (mut next, mut read) = (Some(Read::all().events(4096).bytes(usize::MAX)), 0);
        while let Some(one) = next {
            let page = store.read(one).await.unwrap();
            read += page.events.len();
            next = page.next;
        }
        println!(
            "read {:.0} events/s, {:.0} a second of a processor",
            read as f64 / began.elapsed().as_secs_f64(),
            read as f64 / (processor() - used)
        );
    }
}
