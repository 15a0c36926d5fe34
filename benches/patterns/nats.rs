//! A `nats-server` of its own, and a responder behind it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;

const SUBJECT: &str = "number.asked";

/// How often it is asked whether it is there, and how long between.
const TRIES: usize = 200;
const BETWEEN: Duration = Duration::from_millis(50);

/// The program of the server.
pub(crate) fn program() -> String {
    std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned())
}

pub(crate) struct Server {
    server: Child,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> Result<Self, String> {
        let program = program();
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let server = Command::new(&program)
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|_| format!("there is no `{program}`; install it or set NATS_SERVER"))?;
        Ok(Self { server, port })
    }

    /// A requester, on a connection of its own; a responder is on another one.
    pub(crate) async fn client(&self) -> Client {
        let responder = self.connect().await;
        let mut asked = responder.subscribe(SUBJECT).await.expect("a subscription");
        responder.flush().await.expect("a server");
        tokio::spawn(async move {
            while let Some(request) = asked.next().await {
                let number: u64 = serde_json::from_slice(&request.payload).expect("a number");
                let answer = (number + 1).to_string();
                if let Some(reply) = request.reply {
                    responder.publish(reply, answer.into()).await.expect("a server");
                }
            }
        });
        self.connect().await
    }

    async fn connect(&self) -> Client {
        let address = format!("127.0.0.1:{}", self.port);
        for _ in 0..TRIES {
            if let Ok(client) = async_nats::connect(address.as_str()).await {
                return client;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        panic!("nats-server does not answer");
    }
}

pub(crate) async fn ask(client: Client, number: u64) -> u64 {
    let answer = client.request(SUBJECT, number.to_string().into()).await.expect("an answer");
    serde_json::from_slice(&answer.payload).expect("a number")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
