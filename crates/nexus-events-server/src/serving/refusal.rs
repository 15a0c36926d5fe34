//! The answer to a connection for which there is no place.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::error::ApiError;

/// How long a refused client may take to read why.
const REFUSAL_WAIT_MAX: Duration = Duration::from_secs(1);

/// Answers whatever is asked with 503.
pub(super) async fn refuse(stream: TcpStream) {
    // A client that does not read it is none the wiser.
    let _ = tokio::time::timeout(REFUSAL_WAIT_MAX, answer(stream)).await;
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let error = ApiError::unavailable(
        "too_many_connections",
        "all connections are in use",
        "connect again a little later",
    );
    let text = json!({"error": error.to_json()}).to_string();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nretry-after: 5\r\nconnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all((head + &text).as_bytes()).await?;
    stream.shutdown().await?;
    // Closed with its request unread, the connection would be reset and the answer lost.
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}
