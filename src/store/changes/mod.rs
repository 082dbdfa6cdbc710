//! What others change: PostgreSQL tells on a channel, and a daemon that shares it listens.
//!
//! Messages come from triggers on the tables (`migrations/postgres`), so that a change made with
//! psql is told as well. What is told while nobody listens is lost; therefore every new connection
//! begins with "look at everything". On SQLite one daemon has the file, and nothing is told.

mod message;
mod read;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use self::message::Message;
pub use self::read::Stretch;
use super::{Database, Store};
use crate::domain::did::DidId;
use crate::domain::tenant::TenantId;

/// The channel of each table whose changes are told.
const CHANNELS: [&str; 2] = [DIDS, CAMPAIGNS];
const DIDS: &str = "rotary_dids";
const CAMPAIGNS: &str = "rotary_campaigns";

/// How long the line may be silent before we ask whether it still is one.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long connecting, or an answer to that question, may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The most messages taken in one go; PostgreSQL keeps the rest. One names at most 200 DIDs.
const MESSAGES_MAX: usize = 1_000;

/// Where a daemon hears of changes.
pub struct Changes {
    /// For reading what changed.
    pool: PgPool,
    /// How this daemon's own imports are marked.
    daemon: Uuid,
    /// None while the connection is broken.
    line: Option<PgListener>,
}

/// What was told since the last time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// DIDs to look at. One that its tenant no longer has was deleted or went to another tenant.
    pub dids: BTreeSet<(TenantId, DidId)>,
    /// Many new DIDs, of any tenants, have ids between these.
    pub added: Vec<RangeInclusive<DidId>>,
    /// Campaigns have changed, or are gone.
    pub campaigns: bool,
    /// Anything may have changed, or is gone.
    pub everything: bool,
}

impl Store {
    /// Begins to listen, on a connection of its own; none on SQLite.
    ///
    /// What is committed after this returns is heard. If PostgreSQL cannot be reached at this
    /// moment, it is tried again later, and then all is to be looked at.
    pub async fn changes(&self) -> Option<Changes> {
        let Database::Postgres { pool } = &self.database else { return None };
        let mut changes = Changes { pool: pool.clone(), daemon: self.daemon, line: None };
        changes.line = changes.listen().await.ok();
        Some(changes)
    }
}

impl Changes {
    /// Waits until something is told, and takes in one go what has come by then.
    ///
    /// Lasts through broken connections. After one, everything is to be looked at.
    pub async fn next(&mut self) -> Heard {
        loop {
            let Some(line) = &mut self.line else {
                self.line = Some(self.listen_again().await);
                return Heard { everything: true, ..Heard::default() };
            };
            match next_message(line).await {
                Ok(first) => {
                    let heard = self.with_all_that_came(&first);
                    if heard != Heard::default() {
                        return heard;
                    }
                }
                Err(problem) => {
                    tracing::warn!(problem, "changes made elsewhere are not heard for the moment");
                    self.line = None;
                }
            }
        }
    }

    /// If the connection breaks meanwhile, the next call finds that out.
    fn with_all_that_came(&mut self, first: &PgNotification) -> Heard {
        let mut heard = Heard::default();
        self.take(first, &mut heard);
        for _ in 1..MESSAGES_MAX {
            let next = self.line.as_mut().and_then(|line| line.try_recv().now_or_never());
            match next {
                Some(Ok(Some(message))) => self.take(&message, &mut heard),
                Some(Ok(None) | Err(_)) => self.line = None,
                None => break,
            }
        }
        heard
    }

    fn take(&self, notification: &PgNotification, heard: &mut Heard) {
        match (notification.channel(), Message::read(notification.payload())) {
            (CAMPAIGNS, _) => heard.campaigns = true,
            (DIDS, Some(Message::Dids(tenant, ids))) => {
                heard.dids.extend(ids.into_iter().map(|id| (tenant.clone(), id)));
            }
            // Who imports has its index told of each chunk already.
            (DIDS, Some(Message::Added { writer, .. })) if writer == Some(self.daemon) => {}
            (DIDS, Some(Message::Added { ids, .. })) => heard.added.push(ids),
            (DIDS, Some(Message::Everything)) => heard.everything = true,
            // A newer Rotary may tell in words that we do not know.
            (_, _) => {
                tracing::debug!(payload = notification.payload(), "a message that is not known");
                heard.everything = true;
            }
        }
    }

    async fn listen_again(&self) -> PgListener {
        let mut pause = PAUSE_MIN;
        loop {
            match self.listen().await {
                Ok(line) => {
                    tracing::info!("changes made elsewhere are heard again");
                    return line;
                }
                Err(problem) => tracing::debug!(problem, "listen for changes"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// A pool of one, so that a broken line holds no place among the store's connections.
    async fn listen(&self) -> Result<PgListener, String> {
        let own = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(ANSWER_MAX)
            .connect_lazy_with((*self.pool.connect_options()).clone());
        let listening = async {
            let mut line = PgListener::connect_with(&own).await?;
            line.ignore_pool_close_event(true);
            line.eager_reconnect(false);
            line.listen_all(CHANNELS).await?;
            Ok::<_, sqlx::Error>(line)
        };
        let listening = timeout(ANSWER_MAX, listening).await;
        listening.map_err(|_| no_answer())?.map_err(|error| error.to_string())
    }
}

async fn next_message(line: &mut PgListener) -> Result<PgNotification, String> {
    loop {
        match timeout(SILENCE_MAX, line.try_recv()).await {
            Ok(Ok(Some(message))) => return Ok(message),
            Ok(Ok(None)) => return Err("the connection to PostgreSQL is lost".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
            // Nothing comes over a line whose other end vanished, and nothing says so.
            Err(_) => {
                let asked = sqlx::query("select 1").execute(&mut *line);
                let answered = timeout(ANSWER_MAX, asked).await.map_err(|_| no_answer())?;
                answered.map_err(|error| error.to_string())?;
            }
        }
    }
}

fn no_answer() -> String {
    format!("no answer within {} s", ANSWER_MAX.as_secs())
}
