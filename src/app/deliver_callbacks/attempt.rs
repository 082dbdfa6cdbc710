//! One attempt to deliver a callback, and what follows from it.

use std::time::{Duration, Instant};

use crate::app::now;
use crate::domain::callback::{Attempt, BackOff, DueCallback, Verdict};
use crate::domain::tenant::TenantId;
use crate::webhooks::{Answer, Message, SendError, Sender, WebhookSecret};

/// An attempt that is over.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) attempt: Attempt,
    pub(super) tenant: TenantId,
    pub(super) host: String,
    /// How the receiver is doing, as far as this attempt tells.
    pub(super) health: Health,
    /// How long it took.
    pub(super) took: Duration,
}

/// What an attempt tells of its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It takes callbacks.
    Well,
    /// It is not there, too slow, broken or swamped.
    Ill,
    /// Nothing: the fault is this callback's.
    Unknown,
}

/// Sends a callback once.
pub(super) async fn send(
    sender: Sender,
    callback: DueCallback,
    secret: Option<WebhookSecret>,
    back_off: BackOff,
) -> Sent {
    let DueCallback { id, tenant, call, url, host, body, attempts, since } = callback;
    let begun = Instant::now();
    let sent = match secret {
        Some(secret) => {
            let message =
                Message { id: id.to_string(), timestamp: now().timestamp(), url: &url, body };
            Ok(sender.send(message, &secret).await)
        }
        None => Err("the tenant's webhook secret cannot be read"),
    };
    let took = begun.elapsed();
    let judged = judge(sent);
    let at = now();
    let again = |asked| {
        let next = back_off.next(attempts + 1, since, at, asked, fastrand::f64());
        next.map_or(Verdict::Dead, Verdict::Again)
    };
    let verdict = match judged.fate {
        Fate::Delivered => Verdict::Delivered,
        Fate::Hopeless => Verdict::Dead,
        Fate::Failed { retry_after } => again(retry_after),
    };
    let attempt = Attempt { id, call, status: judged.status, error: judged.error, at, verdict };
    Sent { attempt, tenant, host, health: judged.health, took }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Judged {
    fate: Fate,
    status: Option<u16>,
    error: Option<String>,
    health: Health,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    /// Sending it again will not help.
    Hopeless,
    Failed {
        retry_after: Option<Duration>,
    },
}

/// What an answer means. The receiver says with 2xx that it took the callback and with 410 that it
/// wants no more; all else may change, a redirect too, which is not followed.
fn judge(sent: Result<Result<Answer, SendError>, &str>) -> Judged {
    let failed = Fate::Failed { retry_after: None };
    let (fate, status, error, health) = match sent {
        Ok(Ok(Answer { status, retry_after })) => {
            let said = format!("the receiver answered {status}");
            let (fate, error, health) = match status {
                200..300 => (Fate::Delivered, None, Health::Well),
                410 => (Fate::Hopeless, Some(format!("{said}: it wants no more")), Health::Unknown),
                429 | 503 => (Fate::Failed { retry_after }, Some(said), Health::Ill),
                500.. => (failed, Some(said), Health::Ill),
                300..400 => {
                    (failed, Some(format!("{said}; redirects are not followed")), Health::Unknown)
                }
                _ => (failed, Some(said), Health::Unknown),
            };
            (fate, Some(status), error, health)
        }
        Ok(Err(error @ SendError::Refused(_))) => {
            (Fate::Hopeless, None, Some(error.to_string()), Health::Unknown)
        }
        Ok(Err(SendError::Failed(why))) => (failed, None, Some(why), Health::Ill),
        Err(why) => (failed, None, Some(why.to_owned()), Health::Unknown),
    };
    Judged { fate, status, error, health }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_decides_what_becomes_of_a_callback() {
        let fate = |status, seconds: Option<u64>| {
            let retry_after = seconds.map(Duration::from_secs);
            judge(Ok(Ok(Answer { status, retry_after }))).fate
        };
        let failed =
            |seconds: Option<u64>| Fate::Failed { retry_after: seconds.map(Duration::from_secs) };

        assert_eq!(fate(200, None), Fate::Delivered);
        assert_eq!(fate(204, Some(9)), Fate::Delivered);
        assert_eq!(fate(410, None), Fate::Hopeless);
        assert_eq!(fate(429, Some(9)), failed(Some(9)));
        assert_eq!(fate(503, Some(9)), failed(Some(9)));
        assert_eq!(fate(500, Some(9)), failed(None));
        for status in [301, 308, 400, 401, 404, 422] {
            assert_eq!(fate(status, None), failed(None), "{status}");
        }
    }

    #[test]
    fn one_bad_url_does_not_make_its_receiver_ill() {
        let health = |status| judge(Ok(Ok(Answer { status, retry_after: None }))).health;

        assert_eq!(health(204), Health::Well);
        assert_eq!(health(404), Health::Unknown);
        assert_eq!(health(502), Health::Ill);
        let silent = judge(Ok(Err(SendError::Failed("no answer within 10 s".to_owned()))));
        assert_eq!(silent.health, Health::Ill);
    }
}
