//! A server on a port of its own, and a client that knows nothing of ours.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use nexus_events_dispatch::Bus;
use nexus_events_model::{Event, EventBuilder};
use nexus_events_stream::{StreamOptions, Streamer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) struct Server {
    pub(crate) bus: Bus,
    pub(crate) streamer: Streamer,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(StreamOptions::new()).await
    }

    pub(crate) async fn with(options: StreamOptions) -> Self {
        let bus = Bus::new();
        let streamer = Streamer::new(&bus, options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        let router = streamer.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { bus, streamer, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    pub(crate) fn publish(&self, event: EventBuilder) {
        self.bus.try_publish(event).unwrap();
    }

    pub(crate) fn publish_type(&self, event_type: &str) {
        self.publish(Event::builder(event_type));
    }

    /// Waits until the streamer says so. Each look yields, so the runtime goes on meanwhile.
    pub(crate) async fn until(&self, holds: impl Fn(&nexus_events_stream::StreamStats) -> bool) {
        while !holds(&self.streamer.stats()) {
            tokio::task::yield_now().await;
        }
    }
}

/// For clients that are too simple to answer a ping, on a machine that may be slow.
pub(crate) fn unhurried() -> StreamOptions {
    let hour = Duration::from_secs(3_600);
    StreamOptions::new().ping(hour, hour / 2).write_stall(hour)
}

pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// A client that has read its welcome.
    pub(crate) async fn connect(server: &Server) -> Self {
        let mut client = Self::silent(server).await;
        assert_eq!(client.json().await["type"], "connection_established");
        client
    }

    pub(crate) async fn silent(server: &Server) -> Self {
        Self(connect_async(server.url()).await.unwrap().0)
    }

    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    /// The next text, as it came.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.0.next().await.expect("the connection is open").unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) => {}
                other => panic!("expected a text, got {other:?}"),
            }
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        self.say(request.to_string()).await;
        self.json().await
    }

    /// Subscribes; gives back the id.
    pub(crate) async fn subscribe(&mut self, mut request: Value) -> String {
        request["type"] = json!("subscribe");
        let reply = self.ask(request).await;
        assert_eq!(reply["type"], "subscription_created", "{reply}");
        reply["subscription_id"].as_str().unwrap().to_owned()
    }

    /// The events up to now: everything before the reply to a question asked now.
    pub(crate) async fn events(&mut self) -> Vec<Value> {
        self.say(r#"{"type":"get_stats"}"#).await;
        let mut events = Vec::new();
        loop {
            let message = self.json().await;
            match message["type"].as_str() {
                Some("event") => events.push(message),
                Some("stats") => return events,
                _ => panic!("expected an event, got {message}"),
            }
        }
    }

    pub(crate) async fn event_types(&mut self) -> Vec<String> {
        let name = |event: &Value| event["event"]["event_type"].as_str().unwrap().to_owned();
        self.events().await.iter().map(name).collect()
    }

    /// Reads to the end; gives back the texts before, and the close code.
    pub(crate) async fn read_to_end(&mut self) -> (Vec<String>, Option<u16>) {
        let mut texts = Vec::new();
        while let Some(Ok(message)) = self.0.next().await {
            match message {
                Message::Text(text) => texts.push(text.to_string()),
                Message::Close(frame) => return (texts, frame.map(|frame| frame.code.into())),
                _ => {}
            }
        }
        (texts, None)
    }
}
