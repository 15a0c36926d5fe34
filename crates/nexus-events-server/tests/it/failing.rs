//! What a server says when the disk of its store fails.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Method;
use nexus_events_dispatch::Bus;
use nexus_events_server::App;
use nexus_events_store::{Disk, FileMedium, Medium, Opening, Store};

use crate::directory::Directory;
use crate::http::Server;

const WELL: usize = 0;
/// There is no room.
const FULL: usize = 1;
/// What is asked to be kept may not be.
const BROKEN: usize = 2;

/// The real files, which fail as they are told.
#[derive(Debug, Clone, Default)]
struct Failing(Arc<AtomicUsize>);

#[derive(Debug)]
struct FailingDisk(Arc<dyn Disk>, Failing);

impl Failing {
    fn set(&self, to: usize) {
        self.0.store(to, Ordering::SeqCst);
    }

    fn is(&self, what: usize) -> bool {
        self.0.load(Ordering::SeqCst) == what
    }
}

impl Medium for Failing {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn Disk>> {
        Ok(Arc::new(FailingDisk(FileMedium.open(path, opening)?, self.clone())))
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        FileMedium.exists(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileMedium.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        FileMedium.remove(path)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        FileMedium.sync_folder(folder)
    }
    fn free_space(&self, path: &Path) -> io::Result<Option<u64>> {
        if self.is(FULL) { Ok(Some(0)) } else { FileMedium.free_space(path) }
    }
}

impl Disk for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        match self.1.is(FULL) && len > self.0.len()? {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => self.0.set_len(len),
        }
    }
    fn sync(&self) -> io::Result<()> {
        if self.1.is(BROKEN) { Err(io::Error::other("the disk is gone")) } else { self.0.sync() }
    }
    fn lock(&self) -> io::Result<bool> {
        self.0.lock()
    }
}

async fn server(directory: &Directory) -> (Server, Failing) {
    let failing = Failing::default();
    let path = directory.path("events.nexus");
    let store = Arc::new(Store::open_on(Arc::new(failing.clone()), path).unwrap());
    let bus = Bus::builder().store(store.clone()).open().await.unwrap();
    (Server::around(App::with_store(bus, store).unwrap()).await, failing)
}

async fn publish(server: &Server, bytes: usize) -> crate::http::Answer {
    let event = format!(r#"{{"event_type":"a","payload":"{}"}}"#, "x".repeat(bytes));
    server.ask(Method::POST, "/events", &event).await
}

#[tokio::test]
async fn d07_health_is_red_once_nobody_knows_what_the_disk_has() {
    let directory = Directory::new();
    let (server, failing) = server(&directory).await;
    assert_eq!(publish(&server, 1).await.status.as_u16(), 201);
    failing.set(BROKEN);
    let refused = publish(&server, 1).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (503, "poisoned"));
    let health = server.get("/healthz").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (503, &"store_failed".into()));
    failing.set(WELL);
    assert_eq!(publish(&server, 1).await.status.as_u16(), 503, "it is never tried again");
    assert_eq!(server.get("/log").await.code(), "poisoned");
}

#[tokio::test]
async fn d08_a_full_disk_refuses_and_heals() {
    let directory = Directory::new();
    let (server, failing) = server(&directory).await;
    failing.set(FULL);
    let mut refused = publish(&server, 500_000).await;
    for _ in 0..16 {
        if refused.status.as_u16() != 201 {
            break;
        }
        refused = publish(&server, 500_000).await;
    }
    assert_eq!((refused.status.as_u16(), &*refused.code()), (507, "store_full"));
    assert_eq!(server.get("/healthz").await.status.as_u16(), 200);
    failing.set(WELL);
    assert_eq!(publish(&server, 500_000).await.status.as_u16(), 201);
}
