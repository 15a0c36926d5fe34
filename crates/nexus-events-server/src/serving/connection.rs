//! One connection: requests one after the other, and perhaps a WebSocket in the end.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::limits::HEADERS_BYTES_MAX;

/// How long the end of an answer may take to leave when the server stops.
const FLUSH_WAIT_MAX: Duration = Duration::from_millis(250);

/// Serves until the client leaves, or becomes a WebSocket, or the server stops and no request is
/// being answered.
pub(super) async fn serve(
    stream: Permitted,
    router: Router,
    headers_wait: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let under_way = Arc::new(());
    let requests = Arc::downgrade(&under_way);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| answer(&router, request, under_way.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers_wait)
        .max_buf_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return log(ended),
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    if is_idle(&requests) {
        // Whoever has not sent a whole request by now does not get to.
        let _ = tokio::time::timeout(FLUSH_WAIT_MAX, connection).await;
    } else {
        log(connection.await);
    }
}

/// Nobody but the service itself holds on to it.
fn is_idle(requests: &Weak<()>) -> bool {
    requests.strong_count() <= 1
}

/// Answers one request; `under_way` is held until the answer is written.
fn answer(
    router: &TowerToHyperService<Router>,
    request: Request<Incoming>,
    under_way: Arc<()>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    let answer = router.call(request);
    async move {
        let response = answer.await?;
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _ = &under_way;
                frame
            }))
        }))
    }
}

fn log(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

/// A connection, with its place among those that may be open.
pub(super) struct Permitted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Permitted {
    pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self { stream, _place: place }
    }
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
