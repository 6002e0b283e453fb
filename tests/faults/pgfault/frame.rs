//! Messages of the PostgreSQL protocol, version 3: a type byte, a length, a body (PostgreSQL manual, "Message
//! Formats"). What a client sends first has no type byte.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One whole message, byte for byte as it came.
#[derive(Debug, Clone)]
pub struct Frame {
    kind: Kind,
    bytes: Vec<u8>,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of the messages without a type byte, by its request code.
    Start(u32),
    /// A type byte.
    Type(u8),
}

const START_UP: u32 = 196_608;
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

impl Frame {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a client asks for encryption, which pgfault declines.
    pub fn asks_for_encryption(&self) -> bool {
        matches!(self.kind, Kind::Start(SSL_REQUEST | GSS_REQUEST))
    }

    /// Whether this is a client's request to cancel what another session does.
    pub fn is_cancel_request(&self) -> bool {
        self.kind == Kind::Start(CANCEL_REQUEST)
    }

    /// Whether this is a client's Terminate. Nobody waits for an answer, so it is no message where a fault can strike:
    /// the program may have ended by then.
    pub fn is_farewell(&self) -> bool {
        self.kind == Kind::Type(b'X')
    }

    /// The text of a simple Query.
    pub fn query(&self) -> Option<String> {
        let text = self.bytes.get(5..self.bytes.len().checked_sub(1)?)?;
        (self.kind == Kind::Type(b'Q')).then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// Whether a server is ready for the next Query.
    pub fn is_ready(&self) -> bool {
        self.kind == Kind::Type(b'Z')
    }

    /// Whether a server's answer ends here: it is ready for a Query, or waits for the next message of an
    /// authentication.
    pub fn ends_an_answer(&self) -> bool {
        let asks = |code: u32| !matches!(code, 0 | 12); // AuthenticationOk, AuthenticationSASLFinal
        self.is_ready() || (self.kind == Kind::Type(b'R') && self.number_at(5).is_some_and(asks))
    }

    /// The process id in a server's `BackendKeyData`.
    pub fn backend_pid(&self) -> Option<u32> {
        (self.kind == Kind::Type(b'K'))
            .then(|| self.number_at(5))
            .flatten()
    }

    /// The SQLSTATE of a server's `ErrorResponse`.
    pub fn sqlstate(&self) -> Option<String> {
        let fields = self.bytes.get(5..)?;
        let code = fields
            .split(|byte| *byte == 0)
            .find_map(|field| field.strip_prefix(b"C"));
        (self.kind == Kind::Type(b'E'))
            .then(|| code.map(|code| String::from_utf8_lossy(code).into_owned()))
            .flatten()
    }

    /// What a person calls a message of a client.
    pub fn name(&self) -> String {
        match self.kind {
            Kind::Start(START_UP) => "StartupMessage".to_owned(),
            Kind::Start(code) => format!("request {code}"),
            Kind::Type(b'p') => "SASL".to_owned(),
            Kind::Type(b'Q') => {
                let text = self.query().unwrap_or_default();
                let line: Vec<_> = text.split_whitespace().collect();
                let shown: String = line.join(" ").chars().take(60).collect();
                format!("Query {shown}")
            }
            Kind::Type(byte) => format!("message {}", char::from(byte)),
        }
    }

    fn number_at(&self, offset: usize) -> Option<u32> {
        number(self.bytes.get(offset..offset + 4)?)
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// One end of a connection, read message by message.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether messages have a type byte by now.
    typed: bool,
}

impl Peer {
    /// The end where a client sits.
    pub fn client(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            typed: false,
        }
    }

    /// The end where the server sits.
    pub fn server(stream: TcpStream) -> Self {
        Self {
            typed: true,
            ..Self::client(stream)
        }
    }

    /// The next message; `None` when the stream has ended. May be dropped while it waits: what was read
    /// so far is kept.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.buffered() {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn buffered(&mut self) -> Option<Frame> {
        let head = usize::from(self.typed);
        let length = number(self.buffer.get(head..head + 4)?)? as usize;
        let end = head + length.max(4);
        if self.buffer.len() < end {
            return None;
        }
        let kind = if self.typed {
            Kind::Type(self.buffer[0])
        } else {
            Kind::Start(number(self.buffer.get(4..8)?)?)
        };
        self.typed |= kind == Kind::Start(START_UP);
        let rest = self.buffer.split_off(end);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        Some(Frame { kind, bytes })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Says that nothing more will come, and goes on reading.
    pub async fn end_sending(&mut self) {
        self.stream.shutdown().await.ok();
    }

    /// Reads and drops until the other side has closed.
    pub async fn until_closed(&mut self) {
        while self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .is_ok_and(|read| read > 0)
        {
            self.buffer.clear();
        }
    }

    /// Ends the connection by RST.
    pub fn reset(self) {
        self.stream.set_zero_linger().ok();
    }
}
