//! A use given back: the call it was counted for was certainly never placed, the pick never shown.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Ledger;
use crate::domain::call::Call;
use crate::domain::callback::NewCallback;
use crate::domain::did::DidId;
use crate::domain::pick::{PickId, PickRecord, PickStatus};
use crate::domain::tenant::TenantId;
use crate::store::callbacks::outbox;
use crate::store::calls::{Told, save_to_postgres, save_to_sqlite};
use crate::store::dids::saturate;
use crate::store::{Database, During, Store, StoreError, stored_time, together};

const TAKE_BACK: &str = "update asterisk_dids set usage_count = usage_count - 1 \
     where tenant_id = $1 and id = $2 and usage_count > 0 returning usage_count";

/// A request whose call was never placed may be made again under its key.
const FREE_KEY: &str = "update calls set idempotency_key = null, request_hash = null \
     where tenant_id = $1 and id = $2";

/// Settles an open pick; nothing happens to another.
const RELEASE: &str = "update picks set settled_at = $3, outcome = 'released' \
     where tenant_id = $1 and id = $2 and settled_at is null returning did_id";

/// What giving a pick back came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// It is given back.
    Now {
        /// The DID that was picked.
        did: DidId,
        /// Its count now; none where the DID is gone.
        usage_count: Option<u32>,
    },
    /// It had been given back.
    Before,
    /// It is on record how its call ended, so its use stays counted.
    Settled(Box<PickRecord>),
    /// The tenant has no such pick.
    Unknown,
}

impl Ledger {
    /// Gives a pick back: its use is taken back and the pick is settled, together. May be tried again.
    pub async fn release(
        &self,
        tenant: &TenantId,
        pick: PickId,
        now: DateTime<Utc>,
    ) -> Result<Released, StoreError> {
        self.store.release_pick(tenant, pick, now).await
    }

    /// Takes a use back and, in the same transaction, saves the failed end of its call, whose
    /// idempotency key is free again. Says what the DID's count is now; none if nothing was taken
    /// back, because the call had ended before or the DID is gone.
    ///
    /// With a call this may be tried again after an error: what was taken back once is not taken
    /// back twice. Without one, [`StoreError::Unavailable`] leaves the use counted or not, and it
    /// must be left so: a use too many is shown less often, a use too few breaks the limit.
    pub async fn take_back(
        &self,
        tenant: &TenantId,
        did: DidId,
        call: Option<&Call>,
    ) -> Result<Option<u32>, StoreError> {
        self.store.take_back(tenant, did, call).await
    }

    /// The same for a call that whoever asked for it was told is on its way: with its end, in the
    /// same transaction, the callbacks that tell of it. Its key goes on to answer with it.
    pub async fn take_back_told(
        &self,
        call: &Call,
        callbacks: &[NewCallback],
    ) -> Result<Option<u32>, StoreError> {
        let (tenant, did) = (&call.request.tenant, call.request.did);
        let ended = Ended { call, callbacks, frees_key: false };
        self.store.take_back_with(tenant, did, Some(ended)).await
    }
}

/// A call that never went out.
struct Ended<'a> {
    call: &'a Call,
    callbacks: &'a [NewCallback],
    frees_key: bool,
}

impl Store {
    pub(super) async fn release_pick(
        &self,
        tenant: &TenantId,
        pick: PickId,
        now: DateTime<Utc>,
    ) -> Result<Released, StoreError> {
        let released: Result<Option<(Uuid, Option<i64>)>, sqlx::Error> = together!(self.writes(), db => {
            let did: Option<Uuid> = sqlx::query_scalar(RELEASE)
                .bind(tenant.as_str())
                .bind(pick.0)
                .bind(stored_time(now))
                .fetch_optional(&mut *db)
                .await?;
            match did {
                None => None,
                Some(did) => {
                    let count: Option<i64> = sqlx::query_scalar(TAKE_BACK)
                        .bind(tenant.as_str())
                        .bind(did)
                        .fetch_optional(&mut *db)
                        .await?;
                    Some((did, count))
                }
            }
        });
        if let Some((did, count)) = released.during("give the pick back")? {
            return Ok(Released::Now { did: DidId(did), usage_count: count.map(saturate) });
        }
        Ok(match self.pick(tenant, pick).await? {
            None => Released::Unknown,
            Some(record) if record.status() == PickStatus::Settled => {
                Released::Settled(Box::new(record))
            }
            Some(_) => Released::Before,
        })
    }

    pub(super) async fn take_back(
        &self,
        tenant: &TenantId,
        did: DidId,
        call: Option<&Call>,
    ) -> Result<Option<u32>, StoreError> {
        let ended = call.map(|call| Ended { call, callbacks: &[], frees_key: true });
        self.take_back_with(tenant, did, ended).await
    }

    async fn take_back_with(
        &self,
        tenant: &TenantId,
        did: DidId,
        ended: Option<Ended<'_>>,
    ) -> Result<Option<u32>, StoreError> {
        macro_rules! in_transaction {
            ($transaction:expr, $save:ident, $put:ident) => {
                async {
                    let mut transaction = $transaction.await?;
                    if let Some(Ended { call, callbacks, frees_key }) = &ended {
                        let last = callbacks.last().map(|last| last.sequence);
                        let told: Told = last.map(|last| (call.id().0, last)).into_iter().collect();
                        let saved = $save(&[call], &told).execute(&mut *transaction).await?;
                        if saved.rows_affected() == 0 {
                            return Ok(None);
                        }
                        if *frees_key {
                            sqlx::query(FREE_KEY)
                                .bind(tenant.as_str())
                                .bind(call.id().0)
                                .execute(&mut *transaction)
                                .await?;
                        }
                        if !callbacks.is_empty() {
                            outbox::$put(&mut transaction, callbacks).await?;
                        }
                    }
                    let count: Option<i64> = sqlx::query_scalar(TAKE_BACK)
                        .bind(tenant.as_str())
                        .bind(did.0)
                        .fetch_optional(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                    Ok(count.map(saturate))
                }
                .await
            };
        }
        let taken: Result<Option<u32>, sqlx::Error> = match &self.database {
            Database::Postgres { pool } => {
                in_transaction!(pool.begin(), save_to_postgres, put_into_postgres)
            }
            Database::Sqlite { writer, .. } => {
                in_transaction!(
                    writer.begin_with("begin immediate"),
                    save_to_sqlite,
                    put_into_sqlite
                )
            }
        };
        taken.during("take the use back")
    }
}
