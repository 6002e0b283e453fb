//! When a fault strikes, where in the exchange, and what it is.

use std::time::Duration;

use super::frame::{Frame, Kind};

/// One fault, which strikes once.
#[derive(Debug, Clone)]
pub struct Rule {
    pub when: When,
    pub phase: Phase,
    pub then: Then,
}

/// A message, by what it is and its number among such messages.
#[derive(Debug, Clone)]
pub struct When {
    sender: Sender,
    /// Whether only the first connection counts.
    first_connection: bool,
    kind: Option<u8>,
    text: Option<String>,
    /// Counts from 1.
    number: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Frontend,
    Backend,
}

impl When {
    /// The `number`-th message of a client on the first connection.
    pub fn frontend(number: usize) -> Self {
        Self {
            sender: Sender::Frontend,
            first_connection: true,
            kind: None,
            text: None,
            number,
        }
    }

    /// The first Query that contains `text`, on any connection.
    pub fn query(text: &str) -> Self {
        Self {
            first_connection: false,
            kind: Some(b'Q'),
            text: Some(text.to_owned()),
            ..Self::frontend(1)
        }
    }

    /// The `number`-th message of a server with this type byte, such as `E` for an `ErrorResponse`.
    pub fn backend(kind: u8, number: usize) -> Self {
        Self {
            sender: Sender::Backend,
            first_connection: false,
            kind: Some(kind),
            text: None,
            number,
        }
    }

    fn is_like(&self, sender: Sender, connection: usize, frame: &Frame) -> bool {
        self.sender == sender
            && (connection == 0 || !self.first_connection)
            && self
                .kind
                .is_none_or(|byte| frame.kind() == Kind::Type(byte))
            && self.text.as_ref().is_none_or(|text| {
                let query = frame.query();
                query.is_some_and(|query| query.contains(text))
            })
    }
}

/// Where in the exchange of one message a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The message is not passed on.
    BeforeForward,
    /// The server has the message and works on it.
    AfterForward,
    /// The server has answered in full, and nothing of its answer was passed on: the client cannot know.
    AfterReply,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Then {
    /// SIGKILL to the program under test.
    KillRunner,
    /// Both sides get an RST.
    Reset,
    /// Nothing passes any more, and nobody is told. The server's keepalive ends its session after a while.
    BlackHole,
    /// Everything stands still for this long, and then goes on.
    Delay(Duration),
    /// The server is told that the client will send nothing more; its answers still pass.
    HalfClose,
    /// `pg_terminate_backend`.
    TerminateBackend,
    /// SIGKILL to the session's server process; the server restarts itself.
    KillBackend,
    /// Immediate shutdown of the server, as by a crash; it stays down.
    StopServer,
    /// The same, and somebody starts it again a second later.
    RestartServer,
    /// The client gets bytes of another protocol, and then the end.
    Garbage,
}

/// A rule in waiting.
#[derive(Debug, Default)]
pub struct Armed {
    rule: Option<Rule>,
    seen: usize,
    /// Whether it has struck.
    pub struck: bool,
}

impl Armed {
    pub fn new(rule: Option<Rule>) -> Self {
        Self {
            rule,
            ..Self::default()
        }
    }

    /// The phase and fault for this message of a client, when it is the one.
    pub fn frontend(&mut self, connection: usize, frame: &Frame) -> Option<(Phase, Then)> {
        self.check(Sender::Frontend, connection, frame)
    }

    /// The phase and fault for this message of a server.
    pub fn backend(&mut self, connection: usize, frame: &Frame) -> Option<(Phase, Then)> {
        self.check(Sender::Backend, connection, frame)
    }

    fn check(&mut self, sender: Sender, connection: usize, frame: &Frame) -> Option<(Phase, Then)> {
        let rule = self.rule.as_ref()?;
        if !rule.when.is_like(sender, connection, frame) {
            return None;
        }
        self.seen += 1;
        if self.struck || self.seen != rule.when.number {
            return None;
        }
        self.struck = true;
        Some((rule.phase, rule.then))
    }
}
