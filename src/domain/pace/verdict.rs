//! What the end of a call says of the trunk that carried it: that a callee is busy is no fault of
//! the trunk's, that it had no circuit is.
//!
//! The SIP status tells more than the Q.850 cause and comes first, but only Asterisk 18 and later
//! give it. What holds where nobody says otherwise: RFC 3398 §7.2.4.1 answers the causes 34, 38, 41,
//! 42 and 47 with 503, and 1, 2 and 3 with 404; 44 is of the same class of Q.850, "resource
//! unavailable". Asterisk makes 34 of 503, 38 of 500 and 127 of 429. Not congestion: 480 and 18 (the
//! callee is away), 502 and 504 (27 and 102: something beyond this trunk).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::call::cause::Cause;

/// What an end means for the trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The callee is busy; the trunk did its part.
    Busy,
    /// The trunk has no room or is out of order: congestion.
    Full,
    /// The carrier says that we come too fast.
    Throttled,
    /// There is no such number.
    BadNumber,
    /// Anything else, an answer included. Nothing follows from it.
    Other,
}

/// What ends mean on one trunk: what its operator says, and what holds anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CauseMap {
    own: BTreeMap<u16, Verdict>,
}

/// A number that is neither a Q.850 cause (1 to 127) nor a SIP status (300 to 699).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a Q.850 cause (1 to 127) nor a SIP status (300 to 699)")]
pub struct InvalidCause(pub String);

impl CauseMap {
    /// A map in which these numbers mean something else than elsewhere.
    pub fn new<'a>(
        own: impl IntoIterator<Item = (&'a str, Verdict)>,
    ) -> Result<Self, InvalidCause> {
        let read = |(text, verdict): (&str, Verdict)| match text.parse::<u16>() {
            Ok(number @ (1..=127 | 300..=699)) => Ok((number, verdict)),
            Ok(_) | Err(_) => Err(InvalidCause(text.to_owned())),
        };
        Ok(Self { own: own.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    /// What this end means.
    pub fn verdict(&self, cause: Cause, sip_code: Option<u16>) -> Verdict {
        let own = |number: &u16| self.own.get(number).copied();
        sip_code
            .as_ref()
            .and_then(own)
            .or_else(|| own(&cause.0))
            .or_else(|| sip_code.and_then(of_sip))
            .unwrap_or_else(|| of_cause(cause))
    }
}

impl Verdict {
    /// Whether another trunk might have carried the call.
    pub fn is_congestion(self) -> bool {
        matches!(self, Self::Full | Self::Throttled)
    }
}

/// None where the status says nothing of its own, so that the cause decides.
fn of_sip(status: u16) -> Option<Verdict> {
    match status {
        429 => Some(Verdict::Throttled),
        486 | 600 => Some(Verdict::Busy),
        404 | 410 | 484 | 485 | 604 => Some(Verdict::BadNumber),
        500 | 503 => Some(Verdict::Full),
        _ => None,
    }
}

fn of_cause(cause: Cause) -> Verdict {
    match cause.0 {
        17 => Verdict::Busy,
        34 | 38 | 41 | 42 | 44 | 47 => Verdict::Full,
        1 | 2 | 3 | 22 | 28 => Verdict::BadNumber,
        _ => Verdict::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_and_congestion_are_told_apart_with_a_sip_status_and_without() {
        let map = CauseMap::default();

        for (cause, sip_code, verdict) in [
            (17, Some(486), Verdict::Busy),
            (17, Some(600), Verdict::Busy),
            (17, None, Verdict::Busy),
            (34, Some(503), Verdict::Full),
            (34, None, Verdict::Full),
            (38, Some(500), Verdict::Full),
            (38, None, Verdict::Full),
            (127, Some(429), Verdict::Throttled),
            (127, None, Verdict::Other),
            (1, Some(404), Verdict::BadNumber),
            (28, None, Verdict::BadNumber),
            (19, Some(480), Verdict::Other),
            (21, Some(603), Verdict::Other),
            (27, Some(502), Verdict::Other),
            (16, None, Verdict::Other),
            (0, None, Verdict::Other),
        ] {
            let found = map.verdict(Cause(cause), sip_code);
            assert_eq!(found, verdict, "{cause} {sip_code:?}");
        }
    }

    #[test]
    fn a_carrier_that_throttles_with_busy_is_understood_where_the_operator_says_so() {
        let map = CauseMap::new([("486", Verdict::Throttled), ("41", Verdict::Other)]).unwrap();

        assert_eq!(map.verdict(Cause(17), Some(486)), Verdict::Throttled);
        assert_eq!(map.verdict(Cause(17), Some(600)), Verdict::Busy);
        assert_eq!(map.verdict(Cause(17), None), Verdict::Busy, "the status is not known");
        assert_eq!(map.verdict(Cause(41), None), Verdict::Other);
        assert_eq!(map.verdict(Cause(34), None), Verdict::Full);
    }

    #[test]
    fn what_an_operator_says_of_a_cause_goes_before_what_holds_for_its_status() {
        let map = CauseMap::new([("34", Verdict::Busy)]).unwrap();

        assert_eq!(map.verdict(Cause(34), Some(503)), Verdict::Busy);
    }

    #[test]
    fn a_number_that_is_no_cause_is_refused() {
        for number in ["0", "128", "200", "700", "x", "", "-1"] {
            let refused = CauseMap::new([(number, Verdict::Other)]);
            assert_eq!(refused, Err(InvalidCause(number.to_owned())));
        }
    }
}
