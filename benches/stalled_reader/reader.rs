//! Clients as lean as can be: they share one thread, one buffer and one histogram.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use crate::histogram::Histogram;
use crate::server::now_us;

const BUFFER_BYTES: usize = 64 * 1024;
/// How many events there are between two reports of progress.
pub(crate) const STRIDE: u64 = 64;
/// Within these the queue of a client that stalls from the first one on runs over, about 3,000 of
/// them being in the buffers of the system, and the client is disconnected.
const FIRST_EVENTS: u64 = 5_000;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const BEFORE_NUMBER: &[u8] = br#""payload":{"n":""#;
const NUMBER_DIGITS: usize = 7;
const BEFORE_TIME: &[u8] = br#"","t":""#;
const TIME_DIGITS: usize = 16;

/// What all readers of a run share.
pub(crate) struct Shared {
    buffer: Vec<u8>,
    pub(crate) latencies: Histogram,
    /// Those of the first events only.
    pub(crate) first_latencies: Histogram,
    /// Events before this one are not part of the latencies.
    pub(crate) warm_up: u64,
    pub(crate) total: u64,
    pub(crate) delivered: u64,
    readers: usize,
    /// How many readers have passed each stride.
    passed: Vec<usize>,
    progress: mpsc::UnboundedSender<u64>,
}

impl Shared {
    pub(crate) fn new(
        readers: usize,
        warm_up: u64,
        measured: u64,
        progress: mpsc::UnboundedSender<u64>,
    ) -> Self {
        let total = warm_up + measured;
        Self {
            buffer: vec![0; BUFFER_BYTES],
            latencies: Histogram::default(),
            first_latencies: Histogram::default(),
            warm_up,
            total,
            delivered: 0,
            readers,
            passed: vec![0; (total / STRIDE) as usize + 1],
            progress,
        }
    }

    fn received(&mut self, number: u64, latency_us: u64) {
        self.delivered += 1;
        if number >= self.warm_up {
            self.latencies.add(latency_us);
            if number < self.warm_up + FIRST_EVENTS {
                self.first_latencies.add(latency_us);
            }
        }
        let read = number + 1;
        if read.is_multiple_of(STRIDE) || read == self.total {
            let passed = &mut self.passed[(number / STRIDE) as usize];
            *passed += 1;
            if *passed == self.readers {
                // Nobody to tell: the run is over.
                let _ = self.progress.send(read);
            }
        }
    }
}

/// A client that has subscribed to everything.
pub(crate) struct Reader {
    stream: TcpStream,
    /// The begin of a frame that has not come as a whole.
    rest: Vec<u8>,
    expected: u64,
    number_at: Option<usize>,
}

impl Reader {
    pub(crate) async fn connect(address: SocketAddr, receive_buffer: Option<u32>) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let mut reader = Self { stream, rest: Vec::new(), expected: 0, number_at: None };
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        reader.write(request.as_bytes())?;
        let end = reader.read_until(|read| Some(find(read, b"\r\n\r\n")? + 4)).await?;
        ensure!(reader.rest.starts_with(b"HTTP/1.1 101"), "no WebSocket at {address}");
        reader.rest.drain(..end);
        reader.skip_frame().await?;
        let request = br#"{"type":"subscribe","event_types":["tick"]}"#;
        // Masked with zeros, which changes nothing.
        reader.write(&[&[0x81, 0x80 | request.len() as u8, 0, 0, 0, 0], &request[..]].concat())?;
        reader.skip_frame().await?;
        Ok(reader)
    }

    /// Small enough for any socket that has nothing to send.
    fn write(&self, bytes: &[u8]) -> Result<()> {
        ensure!(self.stream.try_write(bytes)? == bytes.len(), "the socket takes no more");
        Ok(())
    }

    async fn read_until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> Result<usize> {
        loop {
            if let Some(end) = end(&self.rest) {
                return Ok(end);
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<()> {
        self.stream.readable().await?;
        match self.stream.try_read_buf(&mut self.rest) {
            Ok(0) => bail!("the connection ended"),
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => bail!(error),
            _ => Ok(()),
        }
    }

    async fn skip_frame(&mut self) -> Result<()> {
        let end = self.read_until(|read| Some(frame(read)?.1.end)).await?;
        self.rest.drain(..end);
        Ok(())
    }

    /// Reads on to the close frame; gives back how many events came before, and its code.
    pub(crate) async fn read_to_close(mut self) -> Result<(u64, u16)> {
        let mut events = 0;
        loop {
            let mut done = 0;
            while let Some((opcode, payload)) = frame(&self.rest[done..]) {
                let end = done + payload.end;
                let payload = &self.rest[done + payload.start..end];
                match (opcode, payload) {
                    (CLOSE, [high, low, ..]) => {
                        return Ok((events, u16::from_be_bytes([*high, *low])));
                    }
                    (CLOSE, _) => bail!("closed without a code"),
                    (TEXT, _) => events += 1,
                    _ => {}
                }
                done = end;
            }
            self.rest.drain(..done);
            self.read_more().await?;
            // Here reading makes room for more to come at once; the readers are to have their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Reads every event there is to be, in order.
    pub(crate) async fn read_all(mut self, shared: Rc<RefCell<Shared>>) -> Result<()> {
        loop {
            self.stream.readable().await?;
            let shared = &mut *shared.borrow_mut();
            self.read_some(shared)?;
            if self.expected == shared.total {
                return Ok(());
            }
        }
    }

    fn read_some(&mut self, shared: &mut Shared) -> Result<()> {
        let mut buffer = std::mem::take(&mut shared.buffer);
        let old = self.rest.len();
        buffer[..old].copy_from_slice(&self.rest);
        let read = match self.stream.try_read(&mut buffer[old..]) {
            Ok(0) => bail!("the connection ended at event {}", self.expected),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(error) => bail!(error),
        };
        let (bytes, mut done) = (&buffer[..old + read], 0);
        let now = now_us();
        while let Some((opcode, payload)) = frame(&bytes[done..]) {
            let end = done + payload.end;
            let payload = &bytes[done + payload.start..end];
            match opcode {
                TEXT => self.event(payload, now, shared)?,
                PING => self.write(&[0x8a, 0x80, 0, 0, 0, 0])?,
                CLOSE => {
                    bail!("closed at event {}: {:?}", self.expected, payload.get(..2));
                }
                _ => {}
            }
            done = end;
        }
        self.rest.clear();
        self.rest.extend_from_slice(&bytes[done..]);
        shared.buffer = buffer;
        Ok(())
    }

    fn event(&mut self, text: &[u8], now_us: u64, shared: &mut Shared) -> Result<()> {
        let at = match self.number_at {
            Some(at) => at,
            None => find(text, BEFORE_NUMBER).context("no event")? + BEFORE_NUMBER.len(),
        };
        self.number_at = Some(at);
        let number = digits(text, at, NUMBER_DIGITS);
        ensure!(number == self.expected, "event {number} came instead of {}", self.expected);
        let due = digits(text, at + NUMBER_DIGITS + BEFORE_TIME.len(), TIME_DIGITS);
        shared.received(number, now_us.saturating_sub(due));
        self.expected += 1;
        Ok(())
    }
}

fn digits(text: &[u8], at: usize, count: usize) -> u64 {
    text[at..at + count].iter().fold(0, |number, digit| number * 10 + u64::from(digit & 0x0f))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Opcode and payload of the frame at the begin of these bytes, if all of it is there. Frames of
/// a server are not masked.
fn frame(bytes: &[u8]) -> Option<(u8, Range<usize>)> {
    let opcode = bytes.first()? & 0x0f;
    let (head, length) = match bytes.get(1)? {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(*short)),
    };
    let end = head + length as usize;
    (end <= bytes.len()).then_some((opcode, head..end))
}
