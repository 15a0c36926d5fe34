//! A client of bytes, lean enough that a thousand of them are no load.

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::Server;

pub(crate) struct RawClient(BufReader<TcpStream>);

impl RawClient {
    pub(crate) async fn connect(server: &Server, receive_buffer: Option<u32>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = socket.connect(server.address).await.unwrap();
        let mut client = Self(BufReader::with_capacity(16 * 1024, stream));
        let (status, _) = client.upgrade("GET", "", server).await;
        assert_eq!(status, 101);
        assert!(client.text().await.contains("connection_established"));
        client
    }

    /// Sends a request to open a connection with these headers; gives back status and head.
    pub(crate) async fn request(server: &Server, headers: &str) -> (u16, String) {
        let stream = TcpStream::connect(server.address).await.unwrap();
        Self(BufReader::new(stream)).upgrade("GET", headers, server).await
    }

    async fn upgrade(&mut self, method: &str, headers: &str, server: &Server) -> (u16, String) {
        let request = format!(
            "{method} /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            server.address
        );
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        (head[9..12].parse().unwrap(), head)
    }

    /// A masked text frame of less than 126 bytes; the mask of zeros changes nothing.
    pub(crate) async fn say(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 126);
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).await.unwrap();
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// The next frame's opcode and payload; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self, payload: &mut Vec<u8>) -> Option<u8> {
        let first = self.0.read_u8().await.ok()?;
        let length = match self.0.read_u8().await.ok()? {
            126 => u64::from(self.0.read_u16().await.ok()?),
            127 => self.0.read_u64().await.ok()?,
            short => u64::from(short),
        };
        payload.resize(usize::try_from(length).unwrap(), 0);
        self.0.read_exact(payload).await.ok()?;
        Some(first & 0x0f)
    }

    pub(crate) async fn text(&mut self) -> String {
        let mut payload = Vec::new();
        assert_eq!(self.frame(&mut payload).await, Some(1));
        String::from_utf8(payload).unwrap()
    }

    /// Reads on to the close frame; gives back how many texts came before, and its code.
    pub(crate) async fn read_to_end(&mut self) -> (usize, Option<u16>) {
        let (mut texts, mut payload) = (0, Vec::new());
        while let Some(opcode) = self.frame(&mut payload).await {
            match opcode {
                8 => return (texts, Some(u16::from_be_bytes([payload[0], payload[1]]))),
                _ => texts += usize::from(opcode == 1),
            }
        }
        (texts, None)
    }
}
