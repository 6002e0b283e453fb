//! One connection through the proxy. One task serves both directions, so that nothing passes while a fault
//! strikes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::Shared;
use super::frame::{Frame, Peer};
use super::rule::{Phase, Then};

/// When a server gives up a client that it hears nothing of. Ours is told to do so after 3 + 2 * 2 seconds; less
/// is enough to have its session outlive the silence for a while.
const KEEPALIVE: Duration = Duration::from_secs(2);

/// What a client gets that asked the wrong port.
const GARBAGE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

pub struct Link {
    number: usize,
    client: Peer,
    server: Peer,
    shared: Arc<Shared>,
    backend_pid: Option<u32>,
    authenticated: bool,
    /// Set by [`Then::HalfClose`]: what the client says now goes nowhere.
    deaf: bool,
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Now {
    GoOn,
    /// It is over; both sides are closed.
    End,
    /// It is over, by RST.
    Reset,
}

impl Link {
    pub fn new(number: usize, client: TcpStream, server: TcpStream, shared: Arc<Shared>) -> Self {
        for stream in [&client, &server] {
            stream.set_nodelay(true).ok();
        }
        Self {
            number,
            client: Peer::client(client),
            server: Peer::server(server),
            shared,
            backend_pid: None,
            authenticated: false,
            deaf: false,
        }
    }

    pub async fn run(mut self) {
        let end = loop {
            let now = tokio::select! {
                frame = self.client.next() => match frame {
                    Ok(Some(frame)) => self.client_says(frame).await,
                    _ => break Now::End,
                },
                frame = self.server.next() => match frame {
                    Ok(Some(frame)) => self.server_says(frame).await,
                    _ => break Now::End,
                },
            };
            // An end that fails is closed; what the other one still sends is read before.
            let now = now.unwrap_or(Now::GoOn);
            if now != Now::GoOn {
                break now;
            }
        };
        if end == Now::Reset {
            self.client.reset();
            self.server.reset();
        }
    }

    async fn client_says(&mut self, frame: Frame) -> io::Result<Now> {
        if frame.asks_for_encryption() {
            self.client.send(b"N").await?;
            return Ok(Now::GoOn);
        }
        if self.deaf {
            return Ok(Now::GoOn);
        }
        if frame.is_cancel_request() || frame.is_farewell() {
            self.server.send(frame.bytes()).await?;
            return Ok(Now::GoOn);
        }
        match self.shared.frontend(self.number, &frame) {
            None => {}
            Some((Phase::BeforeForward, then)) => {
                let now = self.strike(then).await;
                if now != Now::GoOn || !matches!(then, Then::Delay(_)) {
                    return Ok(now);
                }
            }
            Some((Phase::AfterForward, then)) => {
                self.server.send(frame.bytes()).await?;
                return Ok(self.strike(then).await);
            }
            Some((Phase::AfterReply, then)) => {
                self.server.send(frame.bytes()).await?;
                return self.strike_after_reply(then).await;
            }
        }
        self.server.send(frame.bytes()).await?;
        Ok(Now::GoOn)
    }

    async fn server_says(&mut self, frame: Frame) -> io::Result<Now> {
        let fault = self.note(&frame);
        if let Some((Phase::BeforeForward, then)) = fault {
            let now = self.strike(then).await;
            if now != Now::GoOn {
                return Ok(now);
            }
        }
        self.client.send(frame.bytes()).await?;
        if let Some((Phase::AfterForward | Phase::AfterReply, then)) = fault {
            return Ok(self.strike(then).await);
        }
        Ok(Now::GoOn)
    }

    /// Learns from what a server says.
    fn note(&mut self, frame: &Frame) -> Option<(Phase, Then)> {
        self.backend_pid = self.backend_pid.or(frame.backend_pid());
        let fault = self.shared.backend(self.number, frame, self.authenticated);
        self.authenticated |= frame.is_ready();
        fault
    }

    /// Lets the server answer in full, strikes, and passes the answer on if there is still somebody to hear it.
    async fn strike_after_reply(&mut self, then: Then) -> io::Result<Now> {
        let mut answer = Vec::new();
        while let Ok(Some(frame)) = self.server.next().await {
            self.note(&frame);
            answer.extend_from_slice(frame.bytes());
            if frame.ends_an_answer() {
                break;
            }
        }
        let now = self.strike(then).await;
        if now == Now::GoOn {
            self.client.send(&answer).await?;
        }
        Ok(now)
    }

    async fn strike(&mut self, then: Then) -> Now {
        match then {
            Then::Delay(time) => {
                sleep(time).await;
                Now::GoOn
            }
            Then::KillRunner => {
                self.shared.kill_runner().await;
                self.client.until_closed().await;
                Now::End
            }
            Then::Reset => Now::Reset,
            Then::BlackHole => {
                self.swallow().await;
                Now::End
            }
            Then::HalfClose => {
                self.server.end_sending().await;
                self.deaf = true;
                Now::GoOn
            }
            Then::TerminateBackend => {
                if let Some(pid) = self.backend_pid {
                    self.shared.terminate(pid).await;
                }
                Now::GoOn
            }
            Then::KillBackend => {
                if let Some(pid) = self.backend_pid {
                    super::kill(pid);
                }
                Now::GoOn
            }
            Then::StopServer => {
                self.shared.stop_server().await;
                Now::GoOn
            }
            Then::RestartServer => {
                self.shared.stop_server().await;
                self.shared.start_server_again();
                Now::GoOn
            }
            Then::Garbage => {
                self.client.send(GARBAGE).await.ok();
                Now::End
            }
        }
    }

    /// Nothing passes: the server gives the client up after a while, the client has to find out itself.
    async fn swallow(&mut self) {
        sleep(KEEPALIVE).await;
        self.server.end_sending().await;
        tokio::join!(self.server.until_closed(), self.client.until_closed());
    }
}
