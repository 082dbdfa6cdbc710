//! Owns one socket: moves bytes and time, and lets the [`Session`] decide.
//!
//! Reading waits for nothing else. What is to be written waits in a queue of its own; what is
//! read is dropped after a look at its first line, answers an action, or becomes a report.
//!
//! A socket that encrypts may take bytes and keep them; so what was written is flushed as soon as
//! there is nothing more to write.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time;
use tokio_util::codec::{Decoder, Encoder};
use tokio_util::sync::CancellationToken;

use super::action::Message;
use super::client::{Answer, Asked, Counters};
use super::codec::{Codec, Incoming};
use super::report;
use super::session::{Output, Session, Ticket};
use super::{DownReason, LineState, Loss, Settings};
use crate::line::reports::Reporter;

/// How much is read at once, in bytes.
const READ: usize = 64 << 10;

/// How many actions may wait for the socket; more are left with their askers.
const MAX_UNWRITTEN: usize = 1024;

/// How a connection ends that Asterisk ends.
const CLOSED: &str = "Asterisk closed the connection";

/// What outlives a connection.
pub(super) struct Around<'a> {
    pub(super) settings: &'a Settings,
    pub(super) queue: &'a mut mpsc::Receiver<Asked>,
    pub(super) reporter: &'a Reporter,
    pub(super) counters: &'a Counters,
    pub(super) stop: &'a CancellationToken,
    /// Told of the line coming up.
    pub(super) tell: &'a mut (dyn FnMut(LineState) + Send),
}

/// What the socket did.
enum Written {
    /// It took so many bytes.
    Bytes(usize),
    /// It keeps nothing back.
    Flushed,
}

struct Connection {
    session: Session,
    codec: Codec,
    input: BytesMut,
    /// The first of it may be written in part.
    unwritten: VecDeque<(Ticket, Bytes)>,
    /// Whether the socket may still keep some of what it took.
    unflushed: bool,
    askers: HashMap<Ticket, oneshot::Sender<Answer>>,
}

/// Talks until the connection ends, or until told to stop and nobody waits. Every action taken
/// from the queue has been answered when this returns.
pub(super) async fn run(
    socket: impl AsyncRead + AsyncWrite,
    session: Session,
    around: &mut Around<'_>,
) -> DownReason {
    let (mut reader, mut writer) = tokio::io::split(socket);
    let mut connection = Connection {
        session,
        codec: Codec::client(),
        input: BytesMut::new(),
        unwritten: VecDeque::new(),
        unflushed: false,
        askers: HashMap::new(),
    };
    let stop = around.stop;
    let mut give_up = None;

    loop {
        if let Some(why) = connection.obey(around) {
            return why;
        }
        let done = connection.session.is_idle() && around.queue.is_empty();
        if give_up.is_some_and(|at| done || at <= time::Instant::now()) {
            connection.lose(Loss::Closed, "Rotary is stopping".to_owned(), around);
            log_off(&mut writer, around.settings).await;
            return DownReason::Stopped;
        }
        if connection.input.capacity() - connection.input.len() < READ / 4 {
            connection.input.reserve(READ);
        }
        let next = [connection.session.next_timeout().map(time::Instant::from_std), give_up];
        let front = connection.unwritten.front().map(|(_, bytes)| bytes.clone());
        tokio::select! {
            read = reader.read_buf(&mut connection.input) => {
                let ended = match read {
                    Ok(0) => Some((Loss::Closed, CLOSED.to_owned())),
                    Ok(_) => {
                        let unread = connection.read(around).err();
                        unread.map(|error| (Loss::Protocol, error.to_string()))
                    }
                    // TLS that ends without a word of goodbye; AMI's own messages have a clear end.
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                        Some((Loss::Closed, CLOSED.to_owned()))
                    }
                    Err(error) => Some((Loss::Broken, error.to_string())),
                };
                if let Some((how, cause)) = ended {
                    return connection.lose(how, cause, around);
                }
            }
            written = write(&mut writer, front, connection.unflushed) => match written {
                Ok(Written::Bytes(count)) if count > 0 => connection.written(count),
                Ok(Written::Flushed) => connection.unflushed = false,
                Ok(Written::Bytes(_)) => {
                    let cause = "nothing can be written".to_owned();
                    return connection.lose(Loss::Broken, cause, around);
                }
                Err(error) => return connection.lose(Loss::Broken, error.to_string(), around),
            },
            Some(asked) = around.queue.recv(), if connection.unwritten.len() < MAX_UNWRITTEN => {
                let ticket = connection.session.handle_action(asked.message, asked.want, now());
                connection.askers.insert(ticket, asked.answer);
            }
            () = until(next.into_iter().flatten().min()) => connection.session.handle_timeout(now()),
            () = stop.cancelled(), if give_up.is_none() => {
                give_up = Some(time::Instant::now() + around.settings.stop_patience);
            }
        }
    }
}

impl Connection {
    /// Does what the session wants; says why if that ends the connection.
    fn obey(&mut self, around: &mut Around<'_>) -> Option<DownReason> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Write(ticket, message) => {
                    let bytes = self.encoded(message);
                    self.unwritten.push_back((ticket, bytes));
                }
                Output::Cancel(cancelled) => {
                    self.unwritten.retain(|(ticket, _)| *ticket != cancelled);
                }
                Output::Answer(ticket, answer) => {
                    if let Some(asker) = self.askers.remove(&ticket) {
                        // The asker may have gone; Asterisk did the work all the same.
                        let _ = asker.send(answer);
                    }
                }
                Output::Up { version, missing } => {
                    around.counters.line.connected();
                    (around.tell)(LineState::Up { version, missing, offline: Vec::new() });
                }
                Output::Close(why) => return Some(why),
            }
        }
        None
    }

    /// Takes in all whole messages that came.
    fn read(&mut self, around: &Around<'_>) -> std::io::Result<()> {
        let now = now();
        while let Some(incoming) = self.codec.decode(&mut self.input)? {
            Counters::add(&around.counters.frames);
            if let Incoming::Frame(frame) = &incoming
                && let Some((call, report)) = report::read(frame)
            {
                around.counters.line.reported(around.reporter.put(call, report));
            }
            self.session.handle_incoming(incoming, now);
        }
        Ok(())
    }

    fn written(&mut self, count: usize) {
        self.unflushed = true;
        let Some((ticket, bytes)) = self.unwritten.front_mut() else { return };
        self.session.handle_written(*ticket);
        bytes.advance(count);
        if bytes.is_empty() {
            self.unwritten.pop_front();
        }
    }

    fn lose(&mut self, how: Loss, cause: String, around: &mut Around<'_>) -> DownReason {
        let why = self.session.handle_lost(how, cause);
        self.obey(around).unwrap_or(why)
    }

    fn encoded(&mut self, message: Message) -> Bytes {
        let mut buffer = BytesMut::new();
        let written = self.codec.encode(message, &mut buffer);
        written.expect("writing into memory cannot fail");
        buffer.freeze()
    }
}

/// Says goodbye, as far as Asterisk listens.
async fn log_off(writer: &mut (impl AsyncWrite + Unpin), settings: &Settings) {
    let goodbye = async {
        writer.write_all(b"Action: Logoff\r\n\r\n").await?;
        writer.shutdown().await
    };
    // It is stopping either way.
    let _ = time::timeout(settings.pong_deadline, goodbye).await;
}

async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    bytes: Option<Bytes>,
    unflushed: bool,
) -> std::io::Result<Written> {
    match bytes {
        Some(bytes) => writer.write(&bytes).await.map(Written::Bytes),
        None if unflushed => writer.flush().await.map(|()| Written::Flushed),
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<time::Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
