//! The task: forms groups, sends them, and does not rest before their fate is known.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use chrono::Utc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::ask::{Ask, stopping};
use super::group::{Admit, Outcome};
use super::line::{Ended, Line, Unsent};
use super::measure::Groups;
use super::{LedgerSettings, Recorded, Use, WriterId};
use crate::domain::did::{DidId, DidState};
use crate::domain::tenant::TenantId;
use crate::store::{Store, StoreError};

/// The task behind a [`super::Ledger`].
#[derive(Debug)]
pub struct LedgerWriter {
    store: Store,
    settings: LedgerSettings,
    line: Line,
    waiting: mpsc::Receiver<Ask>,
    left: mpsc::Receiver<Arc<Use>>,
    /// Asks that may not stand in one group with an earlier one under the same key.
    held_over: Vec<Ask>,
    /// Counted uses whose askers have left.
    abandoned: Vec<Arc<Use>>,
    groups: Groups,
}

/// Completes when the daemon stops and has waited long enough.
pub(super) type PatienceOver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl LedgerWriter {
    pub(super) fn new(
        store: Store,
        writer: WriterId,
        settings: LedgerSettings,
        waiting: mpsc::Receiver<Ask>,
        left: mpsc::Receiver<Arc<Use>>,
        groups: Groups,
    ) -> Self {
        let line = Line::new(store.clone(), writer, settings.group_limit);
        let (held_over, abandoned) = (Vec::new(), Vec::new());
        Self { store, settings, line, waiting, left, held_over, abandoned, groups }
    }

    /// Writes until `stop`, then finishes what waits and ends.
    ///
    /// Fails when the patience ended before the database came back, or when another daemon has
    /// taken this writer's id.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let patience = self.settings.stop_patience;
        let stopped = stop.clone();
        let mut patience_over: PatienceOver = Box::pin(async move {
            stopped.cancelled().await;
            tokio::time::sleep(patience).await;
        });
        while let Some(group) = self.next_group(&stop).await {
            let (uses, begun) = (group.len(), Instant::now());
            match self.write(group, &mut patience_over).await {
                Ok(()) => {
                    if uses > 0 {
                        self.groups.record(uses, begun.elapsed());
                    }
                    self.take_back_abandoned().await;
                }
                Err(Ended::PatienceOver) => {
                    bail!("the ledger stopped before the database came back")
                }
                Err(Ended::TakenOver) => {
                    bail!("another daemon writes the ledger under this one's id; one may run")
                }
            }
        }
        self.line.close().await;
        Ok(())
    }

    /// What waits, up to a group; waits itself while nothing does. Empty when only abandoned uses
    /// wait; none once nothing will come any more.
    async fn next_group(&mut self, stop: &CancellationToken) -> Option<Vec<Ask>> {
        let mut asks = std::mem::take(&mut self.held_over);
        while let Ok(used) = self.left.try_recv() {
            self.abandoned.push(used);
        }
        if asks.is_empty() && self.abandoned.is_empty() {
            let came = tokio::select! {
                came = self.waiting.recv_many(&mut asks, self.settings.group_max) => came,
                Some(used) = self.left.recv() => {
                    self.abandoned.push(used);
                    1
                }
                () = stop.cancelled(), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    self.waiting.recv_many(&mut asks, self.settings.group_max).await
                }
            };
            if came == 0 {
                return None;
            }
        }
        while asks.len() < self.settings.group_max
            && let Ok(ask) = self.waiting.try_recv()
        {
            asks.push(ask);
        }
        // Who has gone before the group leaves has counted nothing.
        asks.retain(|ask| !ask.answer.is_closed());
        Some(self.hold_over_repeats(asks))
    }

    /// Keeps the second ask under a key for the next group, where the first one's fate is known.
    fn hold_over_repeats(&mut self, asks: Vec<Ask>) -> Vec<Ask> {
        let mut keys = HashSet::new();
        let (group, again) = asks.into_iter().partition(|ask| match ask.used.key() {
            Some(key) => keys.insert((ask.used.tenant.clone(), key.to_owned())),
            None => true,
        });
        self.held_over = again;
        group
    }

    async fn write(
        &mut self,
        group: Vec<Ask>,
        patience_over: &mut PatienceOver,
    ) -> Result<(), Ended> {
        if group.is_empty() {
            return Ok(());
        }
        let mut group = group;
        if self.line.first_admits() == Admit::Whole {
            group = self.write_whole(group, patience_over).await?;
            if group.is_empty() {
                return Ok(());
            }
        }
        match self.line.send(&uses_of(&group), Admit::Singly, patience_over).await {
            Ok(outcomes) => {
                self.answer(group, outcomes).await;
                Ok(())
            }
            Err(Unsent::Ended(ended)) => {
                self.give_up(group);
                Err(ended)
            }
            Err(Unsent::Refused(error)) => self.write_singly(group, error, patience_over).await,
        }
    }

    /// Counts what can be counted DID by DID, and leaves over what has to be judged singly.
    async fn write_whole(
        &mut self,
        group: Vec<Ask>,
        patience_over: &mut PatienceOver,
    ) -> Result<Vec<Ask>, Ended> {
        match self.line.send(&uses_of(&group), Admit::Whole, patience_over).await {
            Ok(outcomes) => {
                let (mut counted, mut left_over) = (Vec::with_capacity(group.len()), Vec::new());
                for (ask, outcome) in group.into_iter().zip(outcomes) {
                    match outcome {
                        Outcome::Counted { .. } => counted.push((ask, outcome)),
                        Outcome::Refused | Outcome::Conflict => left_over.push(ask),
                    }
                }
                let (asks, outcomes) = counted.into_iter().unzip();
                self.answer(asks, outcomes).await;
                Ok(left_over)
            }
            Err(Unsent::Ended(ended)) => {
                self.give_up(group);
                Err(ended)
            }
            // Of one of them the key is taken, say.
            Err(Unsent::Refused(_)) => Ok(group),
        }
    }

    /// The database will not have this group. One bad use must not fail its neighbours, so each
    /// goes by itself.
    async fn write_singly(
        &mut self,
        group: Vec<Ask>,
        error: sqlx::Error,
        patience_over: &mut PatienceOver,
    ) -> Result<(), Ended> {
        let alone = group.len() == 1;
        let mut error = Some(error);
        let mut rest = group.into_iter();
        while let Some(ask) = rest.next() {
            if alone {
                refuse(ask, error.take());
                continue;
            }
            let uses = [Arc::clone(&ask.used)];
            match self.line.send(&uses, Admit::Singly, patience_over).await {
                Ok(outcomes) => self.answer(vec![ask], outcomes).await,
                Err(Unsent::Refused(error)) => refuse(ask, Some(error)),
                Err(Unsent::Ended(ended)) => {
                    self.give_up(std::iter::once(ask).chain(rest).collect());
                    return Err(ended);
                }
            }
        }
        Ok(())
    }

    async fn answer(&mut self, group: Vec<Ask>, outcomes: Vec<Outcome>) {
        let mut refused: HashMap<(DidId, TenantId), Recorded> = HashMap::new();
        for (ask, outcome) in group.into_iter().zip(outcomes) {
            let used = ask.used;
            let answer = match outcome {
                Outcome::Counted { usage_count } => Ok(Recorded::Counted { usage_count }),
                Outcome::Conflict => Ok(Recorded::Conflict),
                Outcome::Refused => match refused.entry((used.did, used.tenant.clone())) {
                    Entry::Occupied(known) => Ok(known.get().clone()),
                    Entry::Vacant(new) => {
                        self.ask_why(&used).await.map(|why| new.insert(why).clone())
                    }
                },
            };
            if let Err(Ok(Recorded::Counted { .. })) = ask.answer.send(answer) {
                self.abandoned.push(used);
            }
        }
    }

    async fn ask_why(&self, used: &Use) -> Result<Recorded, StoreError> {
        let row = self.store.did(&used.tenant, used.did).await?;
        Ok(row.map_or(Recorded::Gone, |did| Recorded::Refused(DidState::from(&did))))
    }

    /// Nobody waits for these uses: their calls will not be placed, their picks not shown.
    async fn take_back_abandoned(&mut self) {
        for used in std::mem::take(&mut self.abandoned) {
            let failed = used.call.as_ref().map(|new| {
                let mut call = new.call.clone();
                call.fail(Utc::now());
                call
            });
            let taken = match &used.pick {
                Some(pick) => {
                    self.store.release_pick(&used.tenant, pick.id, Utc::now()).await.map(drop)
                }
                None => {
                    let taken = self.store.take_back(&used.tenant, used.did, failed.as_ref());
                    taken.await.map(drop)
                }
            };
            if let Err(error) = taken {
                tracing::warn!(did = %used.did, %error, "a use whose asker left stays counted");
            }
        }
    }

    fn give_up(&mut self, group: Vec<Ask>) {
        self.waiting.close();
        let held_over = std::mem::take(&mut self.held_over);
        for ask in group.into_iter().chain(held_over) {
            // An asker that has left needs no answer.
            let _ = ask.answer.send(Err(stopping()));
        }
    }
}

fn uses_of(group: &[Ask]) -> Vec<Arc<Use>> {
    group.iter().map(|ask| Arc::clone(&ask.used)).collect()
}

fn refuse(ask: Ask, error: Option<sqlx::Error>) {
    let problem = match error {
        Some(error) => error.into(),
        None => "the database refused it".into(),
    };
    // An asker that has left needs no answer.
    let _ = ask.answer.send(Err(StoreError::Broken { act: "record the use", problem }));
}
