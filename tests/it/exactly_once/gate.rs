//! A gate on a line between Rotary and somebody else: all passes, until it is told to halt where a
//! certain text comes by. What is held back is never passed on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wait::PATIENCE;

/// Where a line halts, by the text of what goes over it.
#[derive(Debug, Clone)]
pub(super) enum Halt {
    /// The n-th piece with this text that the one who connected sends, and all behind it.
    Before(String, usize),
    /// The second half of the first such piece, and all behind it.
    Half(String),
    /// What is said to the n-th such piece, which itself passes.
    AnswerTo(String, usize),
    /// The first piece with this text that is said to the one who connected.
    Answer(String),
}

/// The gate. Its lines end with it.
pub(super) struct Gate {
    plan: Arc<Plan>,
    _lines: JoinSet<()>,
}

#[derive(Default)]
struct Plan {
    halt: Mutex<Option<Halt>>,
    seen: Mutex<usize>,
    reached: watch::Sender<bool>,
}

/// What becomes of a piece.
enum Verdict {
    Pass,
    /// It passes, and nothing that is said to it does.
    PassUnanswered,
    Hold,
    Halve,
}

impl Gate {
    /// One at a TCP port before that of somebody.
    pub(super) async fn on_tcp(server: SocketAddr) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plan = Arc::new(Plan::default());
        let (mut lines, known) = (JoinSet::new(), plan.clone());
        lines.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                // Whoever is not there is not there for the client either.
                let Ok(server) = TcpStream::connect(server).await else { continue };
                open.spawn(carry(client, server, known.clone()));
            }
        });
        (Self { plan, _lines: lines }, address)
    }

    /// One at a Unix socket before that of somebody.
    pub(super) fn on_unix(socket: &Path, server: PathBuf) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let plan = Arc::new(Plan::default());
        let (mut lines, known) = (JoinSet::new(), plan.clone());
        lines.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let Ok(server) = UnixStream::connect(&server).await else { continue };
                open.spawn(carry(client, server, known.clone()));
            }
        });
        Self { plan, _lines: lines }
    }

    /// Halts there.
    pub(super) fn halt(&self, halt: Halt) {
        *self.plan.seen.lock().unwrap() = 0;
        self.plan.reached.send_replace(false);
        *self.plan.halt.lock().unwrap() = Some(halt);
    }

    /// Waits until it has halted.
    pub(super) async fn halted(&self) {
        let mut reached = self.plan.reached.subscribe();
        let halted = tokio::time::timeout(PATIENCE, reached.wait_for(|reached| *reached)).await;
        assert!(halted.is_ok(), "nothing came by for {:?}", self.plan.halt);
    }

    /// Lets pass what comes from now on.
    pub(super) fn open(&self) {
        *self.plan.halt.lock().unwrap() = None;
    }
}

impl Plan {
    fn judge_question(&self, piece: &[u8]) -> Verdict {
        let halt = self.halt.lock().unwrap();
        let nth = |text: &str, n: usize| {
            let mut seen = self.seen.lock().unwrap();
            *seen += usize::from(holds(piece, text));
            holds(piece, text) && *seen == n
        };
        match &*halt {
            Some(Halt::Before(text, n)) if nth(text, *n) => Verdict::Hold,
            Some(Halt::AnswerTo(text, n)) if nth(text, *n) => Verdict::PassUnanswered,
            Some(Halt::Half(text)) if nth(text, 1) => Verdict::Halve,
            Some(_) | None => Verdict::Pass,
        }
    }

    fn judge_answer(&self, piece: &[u8], unanswered: bool) -> Verdict {
        let halt = self.halt.lock().unwrap();
        match &*halt {
            _ if unanswered => Verdict::Hold,
            Some(Halt::Answer(text)) if holds(piece, text) => Verdict::Hold,
            Some(_) | None => Verdict::Pass,
        }
    }
}

/// Carries both ways until either side ends.
async fn carry(
    client: impl AsyncRead + AsyncWrite,
    server: impl AsyncRead + AsyncWrite,
    plan: Arc<Plan>,
) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let unanswered = AtomicBool::new(false);
    let question = |piece: &[u8]| {
        let verdict = plan.judge_question(piece);
        if let Verdict::PassUnanswered = verdict {
            unanswered.store(true, Ordering::SeqCst);
        }
        verdict
    };
    let answer = |piece: &[u8]| plan.judge_answer(piece, unanswered.load(Ordering::SeqCst));
    let ended = tokio::select! {
        ended = pass(&mut from_client, &mut to_server, question, &plan.reached) => ended,
        ended = pass(&mut from_server, &mut to_client, answer, &plan.reached) => ended,
    };
    // A side that was killed ends its line with an error as well as with an end.
    drop(ended);
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    judge: impl Fn(&[u8]) -> Verdict,
    reached: &watch::Sender<bool>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut bytes).await?;
        if length == 0 {
            return Ok(());
        }
        let piece = &bytes[..length];
        let passes = match judge(piece) {
            Verdict::Pass | Verdict::PassUnanswered => length,
            Verdict::Halve => length / 2,
            Verdict::Hold => 0,
        };
        to.write_all(&piece[..passes]).await?;
        if passes < length {
            reached.send_replace(true);
            while from.read(&mut bytes).await? > 0 {}
            return Ok(());
        }
    }
}

fn holds(piece: &[u8], text: &str) -> bool {
    piece.windows(text.len()).any(|part| part == text.as_bytes())
}
