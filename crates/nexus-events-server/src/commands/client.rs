//! Talking to a server over plain HTTP.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::exit::{Exit, Failure, Outcome};
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_WAIT_MAX};

/// How long a server may take to accept a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where a server is.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    authority: String,
    host: String,
    port: u16,
    base: String,
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Server {
    pub(crate) fn new(url: &str) -> Outcome<Self> {
        let wrong = |why: &str| {
            Failure::new(Exit::Usage, format!("`{url}` {why}; write --url http://127.0.0.1:7878"))
        };
        let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(wrong("asks for TLS, which this client does not speak")),
            _ => return Err(wrong("does not begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        Ok(Self {
            authority: authority.to_string(),
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(80),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The address of the WebSocket.
    pub(crate) fn socket_url(&self) -> String {
        format!("ws://{}{}/ws", self.authority, self.base)
    }

    pub(crate) async fn connect(&self) -> Outcome<TcpStream> {
        let unreachable = |why: &dyn std::fmt::Display| {
            let message = format!(
                "no server at http://{}: {why}; start one with `nexus serve`, or name it with --url",
                self.authority
            );
            Failure::new(Exit::Unreachable, message)
        };
        let connect = TcpStream::connect((&*self.host, self.port));
        match tokio::time::timeout(CONNECT_WAIT_MAX, connect).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(unreachable(&error)),
            Err(_) => Err(unreachable(&"it does not accept the connection")),
        }
    }

    /// Posts to a path and reads the whole answer.
    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &str,
        content: Vec<u8>,
    ) -> Outcome<Answer> {
        let stream = self.connect().await?;
        let request = Request::post(format!("{}{path}", self.base))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(Bytes::from(content)))?;
        match tokio::time::timeout(ANSWER_WAIT_MAX, exchange(stream, request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let message =
                    format!("the server at http://{} did not answer: {error:#}", self.authority);
                Err(Failure::new(Exit::Unreachable, message))
            }
            Err(_) => {
                let message = format!(
                    "no answer from http://{} within {} s",
                    self.authority,
                    ANSWER_WAIT_MAX.as_secs()
                );
                Err(Failure::new(Exit::Unreachable, message))
            }
        }
    }
}

async fn exchange(stream: TcpStream, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let content = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    connection.abort();
    let content = content.map_err(anyhow::Error::from_boxed)?.to_bytes();
    Ok(Answer { status, text: String::from_utf8_lossy(&content).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_base() {
        let server = Server::new("http://[::1]:9/base/").unwrap();
        assert_eq!((&*server.host, server.port, &*server.base), ("::1", 9, "/base"));
        assert_eq!(server.socket_url(), "ws://[::1]:9/base/ws");
        assert_eq!(Server::new("http://events.example").unwrap().port, 80);
    }

    #[test]
    fn a_wrong_url_is_wrong_usage() {
        for url in ["", "127.0.0.1:7878", "https://events.example", "ftp://a", "http://"] {
            assert_eq!(Server::new(url).unwrap_err().exit(), Exit::Usage, "{url}");
        }
    }
}
