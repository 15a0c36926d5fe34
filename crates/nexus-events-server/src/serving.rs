//! A running server: a socket, the connections on it, and how they end.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::http;
use crate::limits::{CONNECTIONS_MAX, SHUTDOWN_DEADLINE};
use crate::wire::App;

/// How long accepting rests when the machine has no room for another connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A server that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    app: App,
    stop: oneshot::Sender<()>,
    connections: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    pub(crate) fn start(app: App, socket: TcpListener) -> std::io::Result<Self> {
        let address = socket.local_addr()?;
        let mut router = app.router();
        if address.ip().is_loopback() {
            router = http::guard::for_this_machine_only(router);
        }
        let socket = Bounded { socket, permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
        let (stop, stopped) = oneshot::channel();
        let serve = axum::serve(socket, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let connections = tokio::spawn(serve.into_future());
        Ok(Self { address, app, stop, connections })
    }

    /// Where a browser finds it.
    pub(crate) fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }

    /// Accepts nothing more, lets requests, queues and clients drain, then stops. Whether all
    /// got through.
    pub(crate) async fn stop(self) -> bool {
        let Self { app, stop, connections, .. } = self;
        // The other end is gone only when serving has ended by itself.
        let _ = stop.send(());
        let drain = async {
            let report = app.shutdown(SHUTDOWN_DEADLINE).await;
            let _ = connections.await;
            report.is_clean()
        };
        tokio::time::timeout(SHUTDOWN_DEADLINE * 2, drain).await.unwrap_or(false)
    }
}

/// A socket that accepts no more connections than it has permits.
struct Bounded {
    socket: TcpListener,
    permits: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Permitted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Permitted, SocketAddr) {
        let permit =
            self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.socket.accept().await {
                Ok((stream, address)) => {
                    // Small answers go out at once; without it they are only slower.
                    let _ = stream.set_nodelay(true);
                    return (Permitted { stream, _permit: permit }, address);
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection, with its place among those that may be open.
struct Permitted {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Permitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Permitted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
