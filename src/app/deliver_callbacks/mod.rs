//! Delivers callbacks: claims what is due, has it sent, and writes down what became of it.
//!
//! Rows are read when they are due and there is room to send them, so that a receiver that is down
//! for a day costs rows in the store and nothing here. Attempts run in tasks of their own; a slow
//! receiver takes up its own share of them and nobody else's.

mod attempt;
mod desk;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use self::attempt::{Sent, send};
use self::desk::Desk;
use super::manage_tenants::{TenantError, know};
use super::{App, now};
use crate::domain::audit::Origin;
use crate::domain::callback::{BackOff, DueCallback, Verdict};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;
use crate::store::ledger::WriterId;
use crate::webhooks::{Authorities, Sender, Targets, WebhookSecret};

/// How long a claim holds: an attempt, and as much again to write down what became of it.
const LEASE: TimeDelta = TimeDelta::seconds(30);

/// How often we look when nothing calls for it: another daemon may have left something behind.
const LOOK: TimeDelta = TimeDelta::seconds(5);

/// How soon we look again when what is due was just claimed by somebody else.
const SOON: TimeDelta = TimeDelta::milliseconds(50);

/// How long to wait for other attempts to end before the store is told of one.
const GATHER: Duration = Duration::from_millis(3);

/// How long to wait before the store is asked again after it failed.
const RETRY: Duration = Duration::from_millis(500);

/// How often old callbacks are deleted, how many at once, and when to go on if there are more.
const PURGE: Duration = Duration::from_secs(600);
const PURGE_MOST: u32 = 5_000;
const PURGE_ON: Duration = Duration::from_secs(1);

/// How callbacks are sent and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackSettings {
    /// Where they may go.
    pub targets: Targets,
    /// Whose certificates are taken beside those that the system trusts.
    pub authorities: Authorities,
    /// When a failed one is sent again.
    pub back_off: BackOff,
    /// How long delivered ones are kept.
    pub keep_delivered: TimeDelta,
    /// How long dead ones are kept.
    pub keep_dead: TimeDelta,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self {
            targets: Targets::default(),
            authorities: Authorities::default(),
            back_off: BackOff::default(),
            keep_delivered: TimeDelta::days(7),
            keep_dead: TimeDelta::days(30),
        }
    }
}

/// Attempts that have begun.
type Sending = FuturesUnordered<JoinHandle<Sent>>;

/// Runs until told to stop, then waits for the attempts that have begun.
pub async fn deliver_callbacks(
    app: App,
    writer: WriterId,
    tasks: TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let sender = Sender::new(app.settings.callbacks.targets, &app.settings.callbacks.authorities);
    let (desk, sending) = (Desk::default(), Sending::new());
    let mut delivery = Delivery { app, writer, tasks, sender, desk, sending, blind: false };
    let mut next_look = Instant::now();
    let mut next_purge = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(sent) = delivery.sending.next() => delivery.settle(sent?, &stop).await?,
            () = delivery.app.outbox.notified() => {}
            () = sleep_until(next_look) => {}
            () = sleep_until(next_purge) => {
                next_purge = Instant::now() + delivery.purge().await;
                continue;
            }
        }
        next_look = Instant::now() + delivery.look().await;
    }
    while let Some(sent) = delivery.sending.next().await {
        delivery.settle(sent?, &stop).await?;
    }
    Ok(())
}

struct Delivery {
    app: App,
    writer: WriterId,
    tasks: TaskTracker,
    sender: Sender,
    desk: Desk,
    sending: Sending,
    /// Whether the last look failed, which was said then.
    blind: bool,
}

impl Delivery {
    /// Begins what is due and has room. Says when to look again at the latest.
    async fn look(&mut self) -> Duration {
        match self.begin_due().await {
            Ok(next) => {
                self.blind = false;
                (next - Utc::now()).to_std().unwrap_or_default()
            }
            Err(error) => {
                if !self.blind {
                    warn!("look for callbacks to deliver, trying again: {error}");
                }
                self.blind = true;
                RETRY
            }
        }
    }

    async fn begin_due(&mut self) -> Result<DateTime<Utc>, StoreError> {
        let now = now();
        let later = now + LOOK;
        if self.desk.is_full() {
            // What ends an attempt makes us look.
            return Ok(later);
        }
        let mut receivers = self.app.store.callback_receivers().await?;
        self.desk.forget_all_but(&receivers);
        let next = receivers.iter().map(|one| one.due).filter(|due| *due > now).min();
        let mut next = next.unwrap_or(later).min(later);
        receivers.retain(|one| one.due <= now);
        loop {
            // Of some there is less to send than they have room, so that others get their turn.
            let wanted = self.desk.choose(&mut receivers);
            if wanted.is_empty() {
                return Ok(next);
            }
            let lease = now + LEASE;
            let due = self.app.store.claim_callbacks(&wanted, now, lease, self.writer).await?;
            if due.is_empty() {
                next = next.min(now + SOON);
            }
            self.begin(due).await;
        }
    }

    async fn begin(&mut self, due: Vec<DueCallback>) {
        let mut secrets: HashMap<TenantId, Option<WebhookSecret>> = HashMap::new();
        for callback in due {
            if !secrets.contains_key(&callback.tenant) {
                let secret = self.secret(&callback.tenant).await;
                secrets.insert(callback.tenant.clone(), secret);
            }
            let secret = secrets[&callback.tenant].clone();
            self.desk.take(&callback.host);
            let back_off = self.app.settings.callbacks.back_off.clone();
            let sending = send(self.sender.clone(), callback, secret, back_off);
            self.sending.push(self.tasks.spawn(sending));
        }
    }

    /// What signs the tenant's callbacks; none if it cannot be read now.
    async fn secret(&self, tenant: &TenantId) -> Option<WebhookSecret> {
        match self.read_secret(tenant).await {
            Ok(text) => match text.expose_secret().parse() {
                Ok(secret) => Some(secret),
                Err(why) => {
                    warn!(%tenant, "the tenant's callbacks cannot be signed: {why}");
                    None
                }
            },
            Err(error) => {
                warn!(%tenant, "the tenant's callbacks cannot be signed: {error:#}");
                None
            }
        }
    }

    async fn read_secret(&self, tenant: &TenantId) -> Result<SecretString, TenantError> {
        // DIDs that came in by SQL may be of a tenant that nobody has named here.
        Ok(know(&self.app, tenant, &Origin::rotary()).await?.webhook_secret)
    }

    /// Writes down what became of an attempt, and of all others that are over by now, however long
    /// that takes: claims are not renewed, so that another daemon may send them again meanwhile.
    async fn settle(&mut self, first: Sent, stop: &CancellationToken) -> anyhow::Result<()> {
        // Attempts that began together end together: to wait a moment for them saves a transaction.
        sleep(GATHER).await;
        let mut over = vec![first];
        while let Some(Some(sent)) = self.sending.next().now_or_never() {
            over.push(sent?);
        }
        let attempts: Vec<_> = over.iter().map(|sent| sent.attempt.clone()).collect();
        let mut failed_before = false;
        while let Err(error) = self.app.store.settle_callbacks(&attempts).await {
            if !failed_before {
                warn!("write down what became of callbacks, trying again: {error}");
            }
            failed_before = true;
            if stop.is_cancelled() {
                break;
            }
            sleep(RETRY).await;
        }
        for sent in &over {
            self.desk.give_back(sent);
            self.app.meters.callback_attempted(sent.attempt.verdict, sent.took);
            log(sent);
        }
        Ok(())
    }

    /// Deletes some of what is old enough. Says when to go on.
    async fn purge(&self) -> Duration {
        let (settings, now) = (&self.app.settings.callbacks, now());
        let (delivered, dead) = (now - settings.keep_delivered, now - settings.keep_dead);
        match self.app.store.purge_callbacks(delivered, dead, PURGE_MOST).await {
            Ok(deleted) if deleted == u64::from(PURGE_MOST) => PURGE_ON,
            Ok(_) => PURGE,
            Err(error) => {
                warn!("{error}");
                PURGE
            }
        }
    }
}

fn log(sent: &Sent) {
    let (attempt, error) = (&sent.attempt, sent.attempt.error.as_deref().unwrap_or_default());
    let (id, call) = (attempt.id, attempt.call);
    match attempt.verdict {
        Verdict::Delivered => debug!(callback.id = %id, call.id = %call, "callback delivered"),
        Verdict::Again(_) => debug!(callback.id = %id, call.id = %call, "callback failed: {error}"),
        Verdict::Dead => warn!(
            callback.id = %id,
            call.id = %call,
            tenant = %sent.tenant,
            receiver = %sent.host,
            "a callback is given up; `rotary callbacks replay` sends it again: {error}"
        ),
    }
}
