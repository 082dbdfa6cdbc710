//! The way into the database: sends a group until its fate is known, over as many connections as
//! that takes.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::group::{Admit, Outcome, Taken, Turn, Uses, WriterRow};
use super::writer::PatienceOver;
use super::{Use, WriterId, postgres, sqlite};
use crate::store::error::{is_contention, is_passing};
use crate::store::{Database, Store, StoreError};

const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The use was counted and its DID can no longer be read. The most there is keeps the DID from
/// being picked before others.
const COUNTED_AND_GONE: Outcome = Outcome::Counted { usage_count: u32::MAX };

/// The writer's place in its ledger, and its connection.
#[derive(Debug)]
pub(super) struct Line {
    store: Store,
    /// The next group.
    turn: Turn,
    /// Whether this run has taken the writer's row.
    begun: bool,
    /// The ledger's own connection to PostgreSQL; none while it is broken, and on SQLite.
    connection: Option<PgConnection>,
    group_limit: Duration,
}

/// Why a group has no outcome.
pub(super) enum Unsent {
    /// The database will not have it; nothing of it was counted.
    Refused(sqlx::Error),
    /// The ledger ends.
    Ended(Ended),
}

/// Why the ledger ends before its time.
pub(super) enum Ended {
    /// The daemon stops, and the database did not come back in time.
    PatienceOver,
    /// Another run writes under our id.
    TakenOver,
}

/// How a group came to be in the database.
enum Arrived {
    /// By the attempt just made.
    Now(Vec<Outcome>),
    /// By an earlier attempt whose answer was lost; what its writer's row calls refused.
    Before(Vec<i32>),
}

impl Line {
    pub(super) fn new(store: Store, writer: WriterId, group_limit: Duration) -> Self {
        let turn = Turn { writer, run: Uuid::now_v7(), sequence: 1 };
        Self { store, turn, begun: false, connection: None, group_limit }
    }

    /// Sends a group until the database has taken it in or refused it.
    pub(super) async fn send(
        &mut self,
        uses: &Uses,
        admit: Admit,
        patience_over: &mut PatienceOver,
    ) -> Result<Vec<Outcome>, Unsent> {
        tokio::select! {
            biased;
            sent = self.send_patiently(uses, admit) => sent,
            () = patience_over => Err(Unsent::Ended(Ended::PatienceOver)),
        }
    }

    /// How a group is best sent first. SQLite judges each use at no cost.
    pub(super) fn first_admits(&self) -> Admit {
        match self.store.database {
            Database::Postgres { .. } => Admit::Whole,
            Database::Sqlite { .. } => Admit::Singly,
        }
    }

    /// Ends the connection.
    pub(super) async fn close(mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "the ledger's connection ended badly");
        }
    }

    async fn send_patiently(&mut self, uses: &Uses, admit: Admit) -> Result<Vec<Outcome>, Unsent> {
        let refused = match self.take_turn(uses, admit).await {
            Ok(Arrived::Now(outcomes)) => return Ok(outcomes),
            Ok(Arrived::Before(refused)) => {
                return Ok(self.recall(uses, &admit.uncounted(uses, refused)).await);
            }
            Err(Unsent::Ended(ended)) => return Err(Unsent::Ended(ended)),
            Err(Unsent::Refused(error)) => error,
        };
        // An attempt whose connection broke may still lie in the database. An empty group in its
        // turn makes sure that it is not taken in later, or shows that it was taken in.
        match self.take_turn(&[], admit).await {
            Ok(Arrived::Before(refused)) => {
                Ok(self.recall(uses, &admit.uncounted(uses, refused)).await)
            }
            Ok(Arrived::Now(_)) | Err(Unsent::Refused(_)) => Err(Unsent::Refused(refused)),
            Err(Unsent::Ended(ended)) => Err(Unsent::Ended(ended)),
        }
    }

    /// Makes this group the next, through whatever breaks meanwhile.
    async fn take_turn(&mut self, uses: &Uses, admit: Admit) -> Result<Arrived, Unsent> {
        let mut pause = PAUSE_MIN;
        loop {
            let attempt = tokio::time::timeout(self.group_limit, self.attempt(uses, admit)).await;
            let problem = match attempt {
                Ok(Ok(Some(arrived))) => {
                    self.turn.sequence += 1;
                    if pause > PAUSE_MIN {
                        tracing::info!("the database is back; the waiting uses are recorded");
                    }
                    return Ok(arrived);
                }
                Ok(Ok(None)) => return Err(Unsent::Ended(Ended::TakenOver)),
                // A deadlock or a serialization failure: the other side is through, go on at once.
                Ok(Err(error)) if is_contention(&error) => continue,
                Ok(Err(error)) if !is_passing(&error) => return Err(Unsent::Refused(error)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", self.group_limit.as_secs_f32()),
            };
            if pause == PAUSE_MIN {
                tracing::warn!(problem, "the database is away; uses wait for it");
            }
            self.connection = None;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One attempt; none when another run has taken the ledger over.
    async fn attempt(&mut self, uses: &Uses, admit: Admit) -> Result<Option<Arrived>, sqlx::Error> {
        let turn = self.turn;
        let (taken, row) = match &self.store.database {
            Database::Postgres { pool } => {
                // Taken out, so that an attempt cut short leaves no connection in mid-answer.
                let mut db = match self.connection.take() {
                    Some(connection) => connection,
                    None => postgres::connect(&pool.connect_options()).await?,
                };
                if !self.begun {
                    postgres::begin_run(&mut db, turn.writer, turn.run).await?;
                    self.begun = true;
                }
                let taken = postgres::record(&mut db, turn, uses, admit).await;
                let row = match &taken {
                    Ok(Taken::NotItsTurn) => postgres::writer_row(&mut db, turn.writer).await?,
                    Ok(Taken::Now(_)) | Err(_) => None,
                };
                self.connection = Some(db);
                (taken?, row)
            }
            Database::Sqlite { writer: db, .. } => {
                if !self.begun {
                    sqlite::begin_run(db, turn.writer, turn.run).await?;
                    self.begun = true;
                }
                let taken = sqlite::record(db, turn, uses).await?;
                let row = match &taken {
                    Taken::NotItsTurn => sqlite::writer_row(db, turn.writer).await?,
                    Taken::Now(_) => None,
                };
                (taken, row)
            }
        };
        Ok(match (taken, row) {
            (Taken::Now(outcomes), _) => Some(Arrived::Now(outcomes)),
            (Taken::NotItsTurn, Some(row)) => turn.settle(row).map(Arrived::Before),
            (Taken::NotItsTurn, None) => None,
        })
    }

    /// The outcomes of a group that was taken in by an attempt whose answer was lost.
    async fn recall(&self, uses: &Uses, uncounted: &[i32]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(uses.len());
        for (place, used) in (0..).zip(uses) {
            let counted = !uncounted.contains(&place);
            let mut pause = PAUSE_MIN;
            let outcome = loop {
                match self.recall_one(used, counted).await {
                    Ok(outcome) => break outcome,
                    Err(StoreError::Broken { .. }) if counted => break COUNTED_AND_GONE,
                    Err(StoreError::Broken { .. }) => break Outcome::Refused,
                    Err(StoreError::Busy | StoreError::Unavailable { .. }) => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(PAUSE_MAX);
                    }
                }
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn recall_one(&self, used: &Use, counted: bool) -> Result<Outcome, StoreError> {
        if counted {
            let row = self.store.did(&used.tenant, used.did).await?;
            return Ok(row.map_or(COUNTED_AND_GONE, |did| Outcome::Counted {
                usage_count: did.usage_count,
            }));
        }
        let known = match used.key() {
            Some(key) => self.store.call_by_key(&used.tenant, key).await?.is_some(),
            None => false,
        };
        Ok(if known { Outcome::Conflict } else { Outcome::Refused })
    }
}

impl Turn {
    /// Whether the row shows that the group of this turn was taken in, and then which of its uses
    /// were not counted; none when the row is another run's.
    fn settle(self, row: WriterRow) -> Option<Vec<i32>> {
        (row.run == self.run && row.sequence == self.sequence).then_some(row.refused)
    }
}
