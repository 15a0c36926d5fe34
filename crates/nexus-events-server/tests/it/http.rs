//! A plain HTTP client, and a server in this process.

use std::sync::Arc;

use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Bytes, Frame};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nexus_events_dispatch::Bus;
use nexus_events_dispatch::store::MemoryStore;
use nexus_events_server::App;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// A server in this process, around a bus that a test may put handlers on.
pub(crate) struct Server {
    pub(crate) bus: Bus,
    pub(crate) authority: String,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The code of a refusal, which must also say what is wrong and how to go on.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let error = &self.json()["error"];
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(!error["help"].as_str().unwrap().is_empty());
        error["code"].as_str().unwrap().to_owned()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::around(App::new(Bus::new()).unwrap()).await
    }

    /// With a store in memory.
    pub(crate) async fn with_memory() -> Self {
        let store = Arc::new(MemoryStore::new());
        let bus = Bus::builder().store(store).open().await.unwrap();
        Self::around(App::new(bus).unwrap()).await
    }

    pub(crate) async fn around(app: App) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = socket.local_addr().unwrap().to_string();
        let (bus, router) = (app.bus().clone(), app.router());
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { bus, authority }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        exchange(&self.authority, request(Method::GET, path, &self.authority, "")).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &str,
        content: impl Into<Bytes>,
    ) -> Answer {
        let mut request = request(Method::POST, path, &self.authority, content);
        if !content_type.is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        exchange(&self.authority, request).await
    }

    /// Any method, with JSON.
    pub(crate) async fn ask(&self, method: Method, path: &str, content: &str) -> Answer {
        exchange(&self.authority, request(method, path, &self.authority, content.to_owned())).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        exchange(&self.authority, request).await
    }

    /// Posts these pieces one after the other.
    pub(crate) async fn post_pieces(
        &self,
        path: &str,
        content_type: &str,
        pieces: Vec<Bytes>,
    ) -> Answer {
        let pieces = pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Frame::data(piece)));
        let body = StreamBody::new(futures_util::stream::iter(pieces));
        let request =
            Request::post(path).header(HOST, &self.authority).header(CONTENT_TYPE, content_type);
        exchange(&self.authority, request.body(body).unwrap()).await
    }
}

pub(crate) fn request(
    method: Method,
    path: &str,
    host: &str,
    content: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path).header(HOST, host);
    request.body(Full::new(content.into())).unwrap()
}

/// A connection that several requests go over.
pub(crate) struct Connection<B>(http1::SendRequest<B>);

impl<B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static>
    Connection<B>
{
    pub(crate) async fn open(authority: &str) -> Self {
        let stream = TcpStream::connect(authority).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(&mut self, request: Request<B>) -> Answer {
        self.0.ready().await.unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let content = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8(content.to_vec()).unwrap() }
    }
}

pub(crate) async fn exchange<B>(authority: &str, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    Connection::open(authority).await.send(request).await
}
