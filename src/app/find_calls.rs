//! One call, many calls, or a call once it has come far enough.

use std::time::Duration;

use tokio::time::timeout;

use super::App;
use super::live::CallWatch;
use crate::domain::call::{Call, CallId, CallStatus};
use crate::domain::tenant::TenantId;
use crate::store::StoreError;

/// How far a call must come before its asker is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Answered, or over.
    Answer,
    /// Over.
    End,
}

/// How much longer than the phone rings we wait for word of it.
const GRACE: Duration = Duration::from_secs(5);

/// How long a request may wait for the end of an answered call that has no limit.
const TALK_MAX: Duration = Duration::from_secs(4 * 60 * 60);

/// The tenant's call of this id.
pub async fn find(app: &App, tenant: &TenantId, id: CallId) -> Result<Option<Call>, StoreError> {
    app.store.call(tenant, id).await
}

/// The call once it has come as far as `until`, or as it stands when that takes longer than it can.
pub async fn wait_for(app: &App, call: Call, until: Until) -> Result<Call, StoreError> {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let ring = seconds(call.request.ring_timeout_seconds) + GRACE;
    let waits = call.progress.status == CallStatus::Queued;
    let queue = if waits { app.settings.calls.queue_patience() } else { Duration::ZERO };
    let talk = call.request.time_limit_seconds.map_or(TALK_MAX, seconds) + GRACE;
    let limit = match until {
        Until::Answer => queue + ring,
        Until::End => queue + ring + talk,
    };
    let (tenant, id) = (call.request.tenant.clone(), call.id());
    match timeout(limit, come_to(app, &tenant, id, until)).await {
        Ok(reached) => Ok(reached?.unwrap_or(call)),
        Err(_) => Ok(find(app, &tenant, id).await?.unwrap_or(call)),
    }
}

async fn come_to(
    app: &App,
    tenant: &TenantId,
    id: CallId,
    until: Until,
) -> Result<Option<Call>, StoreError> {
    let mut watch = CallWatch::new(app, tenant, id);
    loop {
        let known = watch.next().await?;
        if known.as_ref().is_none_or(|call| until.is_reached_by(call.progress.status)) {
            return Ok(known);
        }
    }
}

impl Until {
    fn is_reached_by(self, status: CallStatus) -> bool {
        status.is_end() || self == Self::Answer && status == CallStatus::InProgress
    }
}
