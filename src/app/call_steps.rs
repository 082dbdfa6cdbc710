//! What is said of a call's steps: one line of the log for each, and the counts.
//!
//! A line has the same fields everywhere: `call.id`, `tenant`, `did`, `trunk`, `asterisk`, `status`
//! and, at the end, `cause`. Who was called is not said.

use tracing::info;

use super::App;
use crate::domain::asterisk::AsteriskName;
use crate::domain::call::{Call, CallStatus};

/// The call is on record, and Asterisk is about to hear of it.
pub(super) fn began(app: &App, call: &Call) {
    app.meters.call_started(call);
    log(call, call.progress.status);
}

/// The call has come further, and that is stored. Its first `known` steps were said before.
pub(super) fn moved(app: &App, call: &Call, known: u32) {
    // The first step is said when the call begins.
    let known = (known as usize).max(1);
    for (status, _) in call.progress.steps().into_iter().skip(known) {
        log(call, status);
    }
    if call.progress.status.is_end() {
        app.meters.call_ended(call);
    }
}

/// The call came to nothing before Asterisk had it.
pub(super) fn failed(app: &App, call: &Call) {
    log(call, call.progress.status);
    app.meters.call_ended(call);
}

fn log(call: &Call, status: CallStatus) {
    let request = &call.request;
    let cause = call.progress.cause.filter(|_| status.is_end()).map(|cause| cause.0);
    info!(
        call.id = %call.id(),
        tenant = %request.tenant,
        did = %request.did,
        trunk = %request.trunk,
        asterisk = call.progress.asterisk.as_ref().map(AsteriskName::as_str),
        status = status.as_str(),
        cause,
        "call {status}"
    );
}
