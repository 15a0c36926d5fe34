//! Accepting connections, no more than there may be.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::limits::REFUSALS_MAX;
use crate::serving::Bounds;
use crate::serving::connection::{Permitted, serve};
use crate::serving::refusal::refuse;

/// How long accepting rests when the machine has no room for another connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves this socket until told to stop, and then the connections that are busy to their end.
pub(super) async fn connections(
    socket: TcpListener,
    router: Router,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) {
    let mut door = Door {
        router,
        bounds,
        places: Arc::new(Semaphore::new(bounds.connections)),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        stop: stop.clone(),
        connections: JoinSet::new(),
    };
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = door.connections.join_next() => {}
            stream = accept(&socket) => door.admit(stream),
        }
    }
    drop(socket);
    while door.connections.join_next().await.is_some() {}
}

async fn accept(socket: &TcpListener) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                // Small answers go out at once; without it they are only slower.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

struct Door {
    router: Router,
    bounds: Bounds,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    connections: JoinSet<()>,
}

impl Door {
    fn admit(&mut self, stream: TcpStream) {
        let (router, mut stop) = (self.router.clone(), self.stop.clone());
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            let stream = Permitted::new(stream, place);
            self.connections.spawn(serve(stream, router, self.bounds.headers_wait, stop));
        } else if let Ok(place) = self.refusals.clone().try_acquire_owned() {
            self.connections.spawn(async move {
                tokio::select! {
                    () = refuse(stream) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
                drop(place);
            });
        }
    }
}
