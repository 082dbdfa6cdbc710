//! One connection, from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::Settings;
use super::half_open::Place;
use super::request::{self, BadRequest};
use super::scripts::{self, Answer, Shown, Word};
use crate::agi::command::set_variable;
use crate::agi::{AgiError, Prelude, PreludeReader, Session};
use crate::app::{App, settle_pick};

/// How long Asterisk may take to read a default answer; so long it holds a file handle.
const LINGER: Duration = Duration::from_millis(100);

/// The variable that says how it went.
const STATUS: &str = "ROTARY_STATUS";

/// What every connection needs to know.
#[derive(Clone)]
pub(super) struct Hall {
    pub(super) app: App,
    pub(super) settings: Settings,
    /// One permit for each connection that is answered.
    pub(super) sessions: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

/// Why there is no whole prelude.
enum Cut {
    /// Nothing more will come.
    Gone,
    /// Whoever asks is to be told that it did not go well.
    Refused(&'static str),
}

/// Answers one connection.
pub(super) async fn talk(hall: Hall, mut stream: TcpStream, place: Place) {
    // Commands are written whole; waiting to fill a packet only delays them.
    let _no_harm_if_refused = stream.set_nodelay(true);
    let (prelude, rest) = match prelude(&hall, &mut stream, &place).await {
        Ok(read) => read,
        Err(Cut::Gone) => return debug!("a dialplan left before it had asked anything"),
        Err(Cut::Refused(why)) => {
            debug!("a dialplan gets the default answer: {why}");
            return say_error(stream).await;
        }
    };
    let Ok(_session) = hall.sessions.clone().try_acquire_owned() else {
        warn!("a dialplan gets the default answer: as many as may be are being answered");
        return say_error(stream).await;
    };
    drop(place);
    answer(&hall, Session::new(stream, &rest), &prelude).await;
}

async fn prelude(
    hall: &Hall,
    stream: &mut TcpStream,
    place: &Place,
) -> Result<(Prelude, Vec<u8>), Cut> {
    let reading = async {
        let (mut reader, mut piece) = (PreludeReader::default(), [0; 2048]);
        loop {
            let length = stream.read(&mut piece).await.unwrap_or(0);
            if length == 0 {
                return Err(Cut::Gone);
            }
            match reader.push(&piece[..length]) {
                Ok(None) => {}
                Ok(Some(prelude)) => return Ok((prelude, reader.rest())),
                Err(_) => return Err(Cut::Refused("its prelude cannot be read")),
            }
        }
    };
    tokio::select! {
        biased;
        read = reading => read,
        () = place.evicted() => Err(Cut::Refused("its prelude takes long and its place is needed")),
        () = hall.stop.cancelled() => Err(Cut::Refused("Rotary stops")),
        () = tokio::time::sleep(hall.settings.prelude_patience) => {
            Err(Cut::Refused("its prelude does not end"))
        }
    }
}

/// The default answer, to somebody whose question is not read.
async fn say_error(mut stream: TcpStream) {
    let saying = async {
        let line = set_variable(STATUS, "ERROR").expect("a plain word can be said");
        stream.write_all(&line).await?;
        stream.shutdown().await?;
        // To close with something unread would break the connection before Asterisk has read this.
        let mut dropped = [0; 2048];
        while stream.read(&mut dropped).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _gone_or_silent = tokio::time::timeout(LINGER, saying).await;
}

/// Does what is asked while Asterisk hears that nothing is done yet, then tells how it went.
async fn answer(hall: &Hall, mut session: Session<TcpStream>, prelude: &Prelude) {
    let deadline = Instant::now() + hall.settings.answer_within;
    // Two thirds for the store, the rest for the telling.
    let patience = hall.settings.answer_within * 2 / 3;
    let begun = timeout_at(deadline, session.begin_to_set(STATUS, "ERROR")).await;
    let answer = match request::read(prelude) {
        Ok(request) => {
            let app = hall.app.clone();
            let work = async move { scripts::run(&app, request, patience).await };
            hall.app.tasks.spawn(work).await.unwrap_or_else(|panic| {
                error!("a dialplan's request was given up: {panic}");
                Answer::of(Word::Error)
            })
        }
        Err(bad) => {
            complain(prelude, &bad);
            Answer::of(Word::Error)
        }
    };
    let shown = answer.shown.clone();
    let told = match begun {
        Ok(Ok(())) => tell(&mut session, answer, deadline).await,
        Ok(Err(error)) => Err(Untold::Before(error.to_string())),
        Err(_) => Err(Untold::Before("it reads nothing".to_owned())),
    };
    match (told, shown) {
        (Ok(()), _) => session.close().await,
        (Err(Untold::Before(why)), Some(shown)) => {
            debug!(pick = %shown.pick, "a dialplan does not hear of its pick: {why}");
            give_back(hall, shown).await;
        }
        (Err(Untold::After(why)), Some(shown)) => warn!(
            pick = %shown.pick,
            "a dialplan may not know of its pick, which stays counted until it is released: {why}"
        ),
        (Err(Untold::Before(why) | Untold::After(why)), None) => {
            debug!("a dialplan does not hear its answer: {why}");
        }
    }
}

/// Why a dialplan does not know how it went.
enum Untold {
    /// No number was shown.
    Before(String),
    /// A number may be shown.
    After(String),
}

/// Sets the variables, one after the other, and the word that makes them good last.
async fn tell(
    session: &mut Session<TcpStream>,
    answer: Answer,
    deadline: Instant,
) -> Result<(), Untold> {
    let Answer { status, variables, shown } = answer;
    let telling = async {
        for (name, value) in &variables {
            session.set(name, value).await?;
        }
        Ok(())
    };
    in_time(telling, deadline).await.map_err(Untold::Before)?;
    if let Some(Shown { number, .. }) = &shown {
        if session.hung_up() {
            return Err(Untold::Before("the caller has hung up".to_owned()));
        }
        let number = number.to_string();
        let showing = session.set("CALLERID(num)", &number);
        in_time(showing, deadline).await.map_err(Untold::After)?;
    }
    let word = status.to_string();
    in_time(session.set(STATUS, &word), deadline).await.map_err(Untold::After)
}

async fn in_time(
    work: impl Future<Output = Result<(), AgiError>>,
    deadline: Instant,
) -> Result<(), String> {
    match timeout_at(deadline, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("Asterisk takes too long".to_owned()),
    }
}

async fn give_back(hall: &Hall, shown: Shown) {
    if let Err(error) = settle_pick::release(&hall.app, &shown.tenant, shown.pick).await {
        warn!(pick = %shown.pick, "keep a use that was not needed: {error}");
    }
}

/// Says what is wrong, and where in the dialplan; the number that was dialled is no business of the log's.
fn complain(prelude: &Prelude, bad: &BadRequest) {
    let text = |name| prelude.header(name).map(|bytes| bytes.escape_ascii().to_string());
    warn!(
        channel = text("agi_channel"),
        context = text("agi_context"),
        priority = text("agi_priority"),
        "a dialplan's request cannot be answered: {bad}"
    );
}
