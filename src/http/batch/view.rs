//! What became of a line of a batch.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::make_call::MadeCall;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::view::CallView;

/// What became of a line of a batch: the call or the problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchResultView {
    /// The line's number in the request, from 1.
    pub line: u32,
    /// What `POST /api/calls` would have answered.
    pub status: u16,
    /// The call, with 202.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallView>,
    /// Whether an earlier line or request with the same key has placed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemBody>,
    /// When trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl BatchResultView {
    pub(super) fn made(line: u32, status: StatusCode, made: &MadeCall) -> Self {
        Self {
            line,
            status: status.as_u16(),
            call: Some(CallView::from(&made.call)),
            replayed: made.replayed,
            problem: None,
            retry_after_seconds: None,
        }
    }

    pub(super) fn refused(line: u32, problem: &Problem) -> Self {
        Self {
            line,
            status: problem.code().status().as_u16(),
            call: None,
            replayed: false,
            problem: Some(problem.body()),
            retry_after_seconds: problem.retry_after_seconds(),
        }
    }
}
