//! A talk with one channel: a command, its reply, the next command.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::command::{Unsayable, set_variable};
use super::reply::{Reply, ReplyError, ReplyReader};

/// Why a command has no good reply.
#[derive(Debug, thiserror::Error)]
pub enum AgiError {
    /// It was not sent.
    #[error("the value of {0} {1}")]
    Unsayable(String, Unsayable),
    /// Asterisk went away; whether the command was done is not known.
    #[error("the connection ended: {0}")]
    Gone(std::io::Error),
    /// What Asterisk said cannot be read; whether the command was done is not known.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// Asterisk did not do it.
    #[error("Asterisk refused to set {0}: {1:?}")]
    Refused(String, Reply),
}

/// A channel that waits for us.
#[derive(Debug)]
pub struct Session<S> {
    stream: S,
    replies: ReplyReader,
    /// The variable whose reply is still to come.
    unanswered: Option<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// A talk that begins after the prelude, with what has come since.
    pub fn new(stream: S, rest: &[u8]) -> Self {
        let mut replies = ReplyReader::default();
        replies.push(rest);
        Self { stream, replies, unanswered: None }
    }

    /// Whether Asterisk said that the channel hung up.
    pub fn hung_up(&self) -> bool {
        self.replies.hung_up()
    }

    /// Sets a channel variable, or a function such as `CALLERID(num)`, and waits for the reply.
    pub async fn set(&mut self, name: &str, value: &str) -> Result<(), AgiError> {
        self.begin_to_set(name, value).await?;
        self.settle().await
    }

    /// Sends the command alone. The reply is waited for before the next one is sent.
    pub async fn begin_to_set(&mut self, name: &str, value: &str) -> Result<(), AgiError> {
        self.settle().await?;
        let line = set_variable(name, value)
            .map_err(|unsayable| AgiError::Unsayable(name.to_owned(), unsayable))?;
        self.stream.write_all(&line).await.map_err(AgiError::Gone)?;
        self.unanswered = Some(name.to_owned());
        Ok(())
    }

    /// Ends the talk: the dialplan goes on.
    pub async fn close(mut self) {
        // Whoever is not there any more needs no goodbye.
        let _gone_already = self.stream.shutdown().await;
    }

    async fn settle(&mut self) -> Result<(), AgiError> {
        let Some(name) = self.unanswered.take() else { return Ok(()) };
        match self.reply().await? {
            // Where the channel hung up, a variable is still set.
            Reply::Done(_) => Ok(()),
            refused @ (Reply::Unknown | Reply::Dead | Reply::Misused) => {
                Err(AgiError::Refused(name, refused))
            }
        }
    }

    async fn reply(&mut self) -> Result<Reply, AgiError> {
        let mut piece = [0; 1024];
        loop {
            if let Some(reply) = self.replies.next_reply()? {
                return Ok(reply);
            }
            match self.stream.read(&mut piece).await {
                Ok(0) => return Err(AgiError::Gone(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.replies.push(&piece[..length]),
                Err(error) => return Err(AgiError::Gone(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn the_next_command_waits_for_the_reply_to_the_last() {
        let (ours, mut asterisk) = duplex(4096);
        let mut session = Session::new(ours, b"");
        let mut seen = [0; 200];

        session.begin_to_set("A", "1").await.unwrap();
        let first = asterisk.read(&mut seen).await.unwrap();
        assert_eq!(&seen[..first], b"SET VARIABLE A \"1\"\n");
        {
            let mut next = Box::pin(session.set("B", "2"));
            let waits = std::future::poll_fn(|context| {
                std::task::Poll::Ready(next.as_mut().poll(context).is_pending())
            });
            assert!(waits.await);
            asterisk.write_all(b"HANGUP\n200 result=1\n200 result=1\n").await.unwrap();
            next.await.unwrap();
        }
        let second = asterisk.read(&mut seen).await.unwrap();

        assert_eq!(&seen[..second], b"SET VARIABLE B \"2\"\n");
        assert!(session.hung_up());
    }

    #[tokio::test]
    async fn a_refusal_and_a_lost_line_are_told_apart() {
        let (ours, mut asterisk) = duplex(4096);
        let mut session = Session::new(ours, b"511 Command Not Permitted\n");

        let refused = session.set("A", "1").await.unwrap_err();
        let unsaid = session.set("A", "1\n2").await.unwrap_err();
        asterisk.shutdown().await.unwrap();
        let gone = session.set("A", "1").await.unwrap_err();

        assert!(matches!(refused, AgiError::Refused(name, Reply::Dead) if name == "A"));
        assert!(matches!(unsaid, AgiError::Unsayable(_, Unsayable::Break)));
        assert!(matches!(gone, AgiError::Gone(_)));
    }
}
