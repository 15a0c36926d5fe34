//! Talking to a server over plain HTTP.

use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::http::request::Builder;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::demo::PORT_DEFAULT;
use crate::exit::{Exit, Failure, Outcome};
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_WAIT_MAX};
use crate::output::plain;

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
            Failure::new(Exit::Usage, format!("`{url}` {why}; write --url {}", written(url)))
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
            let port = match self.port {
                PORT_DEFAULT => String::new(),
                port => format!(" --port {port}"),
            };
            let message = format!(
                "no server at http://{}: {why}; start one there with `nexus serve{port}`, or name another with --url",
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
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, content_type);
        self.answer(request.body(Full::new(Bytes::from(content)))?, ANSWER_WAIT_MAX).await
    }

    /// Asks for something and reads the whole answer as JSON; a refusal is a failure.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> Outcome<Value> {
        self.ask_for(method, path, Vec::new(), ANSWER_WAIT_MAX).await
    }

    /// The same with JSON to send, and for work that takes its time.
    pub(crate) async fn ask_for(
        &self,
        method: Method,
        path: &str,
        content: Vec<u8>,
        wait: Duration,
    ) -> Outcome<Value> {
        let request = self.request(method, path).header(CONTENT_TYPE, "application/json");
        let answer = self.answer(request.body(Full::new(Bytes::from(content)))?, wait).await?;
        if !answer.status.is_success() {
            return Err(refused(answer.status.as_u16(), &answer.text));
        }
        Ok(serde_json::from_str(&answer.text).context("the server's answer is no JSON")?)
    }

    /// Posts to a path that answers line by line.
    pub(crate) async fn lines(&self, path: &str, content: Vec<u8>) -> Outcome<Lines> {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        let request = request.body(Full::new(Bytes::from(content)))?;
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| self.silent(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Lines { content: response.into_body(), rest: Vec::new(), _sender: sender });
        }
        let content = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        connection.abort();
        let content = content.map_err(anyhow::Error::from_boxed)?.to_bytes();
        Err(refused(status.as_u16(), &String::from_utf8_lossy(&content)))
    }

    fn silent(&self, error: &dyn std::fmt::Display) -> Failure {
        let message = format!("the server at http://{} did not answer: {error:#}", self.authority);
        Failure::new(Exit::Unreachable, message)
    }

    fn request(&self, method: Method, path: &str) -> Builder {
        let uri = format!("{}{path}", self.base);
        Request::builder().method(method).uri(uri).header(HOST, &self.authority)
    }

    async fn answer(&self, request: Request<Full<Bytes>>, wait: Duration) -> Outcome<Answer> {
        let stream = self.connect().await?;
        match tokio::time::timeout(wait, exchange(stream, request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.silent(&error)),
            Err(_) => {
                let message =
                    format!("no answer from http://{} within {} s", self.authority, wait.as_secs());
                Err(Failure::new(Exit::Unreachable, message))
            }
        }
    }
}

/// An answer while it comes.
pub(crate) struct Lines {
    content: Incoming,
    rest: Vec<u8>,
    /// The connection ends with it.
    _sender: http1::SendRequest<Full<Bytes>>,
}

impl Lines {
    /// The next line, `None` at the end.
    pub(crate) async fn next(&mut self) -> Outcome<Option<String>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            match self.content.frame().await {
                None => return Ok(None),
                Some(Err(error)) => {
                    let message = format!("the server broke off: {error}");
                    return Err(Failure::new(Exit::Unreachable, message));
                }
                Some(Ok(frame)) => {
                    self.rest.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                }
            }
            if self.rest.len() > ANSWER_BYTES_MAX {
                return Err(Failure::new(Exit::Failed, "a line of the server's answer never ends"));
            }
        }
    }
}

/// A URL as it should have been.
fn written(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    match format!("http://{rest}").parse::<Uri>() {
        Ok(uri) if !rest.is_empty() && uri.authority().is_some() => format!("http://{rest}"),
        _ => crate::cli::URL_DEFAULT.to_owned(),
    }
}

/// What a server's refusal comes to here.
pub(crate) fn refused(status: u16, text: &str) -> Failure {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let error = &answer["error"];
    let exit = match status {
        400 | 413 | 415 | 422 => Exit::Rejected,
        404 | 410 => Exit::NotFound,
        409 => Exit::Conflict,
        _ => Exit::Failed,
    };
    match (error["message"].as_str(), error["help"].as_str()) {
        // What an event type is, the message says already.
        (Some(message), _) if error["code"] == "invalid_event_type" => {
            Failure::new(exit, plain(message))
        }
        (Some(message), Some(help)) => {
            Failure::new(exit, format!("{}; {}", plain(message), plain(help)))
        }
        _ => Failure::new(exit, format!("the server answered with status {status}")),
    }
}

/// A query of these parameters, those that are set.
pub(crate) fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    query.push(byte.into());
                }
                _ => query.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    query
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
    fn a_query_has_what_is_set() {
        assert_eq!(query(&[("a", None)]), "");
        let found = query(&[("a", Some("x & y")), ("b", None), ("c", Some("é"))]);
        assert_eq!(found, "?a=x%20%26%20y&c=%C3%A9");
    }

    #[test]
    fn a_wrong_url_is_wrong_usage() {
        for url in ["", "127.0.0.1:7878", "https://events.example", "ftp://a", "http://"] {
            assert_eq!(Server::new(url).unwrap_err().exit(), Exit::Usage, "{url}");
        }
    }
}
