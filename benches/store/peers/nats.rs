//! A `nats-server` of its own with a JetStream in files; one connection that all publishers share.
//! It also pays for a way over the loopback interface, which an embedded store does not.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{Context, stream};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, try_join_all};
use nexus_events_dispatch::store::Ack;
use tokio::runtime::Handle;

use super::{Counts, Peer};
use crate::row::Row;

const STREAM: &str = "EVENTS";

/// How often it is asked whether it is there, and how long between.
const TRIES: usize = 200;
const BETWEEN: Duration = Duration::from_millis(50);

struct JetStream {
    server: Child,
    context: Context,
    commits: AtomicU64,
    runtime: Handle,
}

fn program() -> String {
    std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned())
}

/// As `nats-server: v2.15.1`, where there is one.
pub(super) fn version() -> Option<String> {
    let output = Command::new(program()).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(super) fn open(folder: &Path, ack: Ack, runtime: &Handle) -> Box<dyn Peer> {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let sync = if ack == Ack::Synced { "always" } else { "\"2m\"" };
    let config = folder.join("nats.conf");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?}, max_file: 64G, sync_interval: {sync} }}\n",
        folder.join("jetstream")
    );
    std::fs::write(&config, text).expect("a configuration");
    let server = Command::new(program())
        .arg("-c")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a server");
    let context = runtime.block_on(connect(port));
    Box::new(JetStream { server, context, commits: AtomicU64::new(0), runtime: runtime.clone() })
}

async fn connect(port: u16) -> Context {
    let address = format!("127.0.0.1:{port}");
    for _ in 0..TRIES {
        if let Ok(client) = async_nats::connect(address.as_str()).await {
            let context = async_nats::jetstream::new(client);
            let config = stream::Config {
                name: STREAM.to_owned(),
                subjects: vec!["order.>".to_owned()],
                ..Default::default()
            };
            if context.get_or_create_stream(config).await.is_ok() {
                return context;
            }
        }
        tokio::time::sleep(BETWEEN).await;
    }
    panic!("nats-server does not answer");
}

async fn publish(context: &Context, row: &Row) -> Result<(), async_nats::Error> {
    let payload = row.payload.clone().into();
    context.publish(row.event_type.clone(), payload).await?.await?;
    Ok(())
}

impl Peer for JetStream {
    fn append(&self, row: Arc<Row>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            publish(&self.context, &row).await.expect("an answer");
            self.commits.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// It has no commit of many; they are sent together, and all answers waited for.
    fn commit(&self, rows: &[Arc<Row>]) {
        let all = rows.iter().map(|row| publish(&self.context, row));
        self.runtime.block_on(try_join_all(all)).expect("answers");
    }

    fn read(&self) -> u64 {
        self.runtime.block_on(async {
            let mut stream = self.context.get_stream(STREAM).await.expect("a stream");
            let all = stream.info().await.expect("its state").state.messages;
            let config = pull::Config { ack_policy: AckPolicy::None, ..Default::default() };
            let consumer = stream.create_consumer(config).await.expect("a consumer");
            let batches = consumer.stream().max_messages_per_batch(4_096);
            let mut batches = batches.messages().await.expect("a way to read");
            let mut events = 0;
            while events < all {
                let one = batches.next().await.expect("one more").expect("no error");
                std::hint::black_box(one.payload.to_vec());
                events += 1;
            }
            events
        })
    }

    fn counts(&self) -> Counts {
        Counts { commits: self.commits.load(Ordering::Relaxed), ..Counts::default() }
    }

    fn process(&self) -> Option<u32> {
        Some(self.server.id())
    }
}

impl Drop for JetStream {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
