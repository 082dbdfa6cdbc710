//! Who is called, and what becomes of the call and when.
//!
//! The end of the dialled number decides, as with the SIP callees of the tests against a real
//! Asterisk: `…486` is busy, `…503` finds no circuit, `…404` does not exist, `…603` declines,
//! `…429` is throttled, `…0180` rings until the caller gives up, `…0181` says 183 and then 480, and
//! anybody else rings, answers, talks and is done. An endpoint whose name ends so does the same to
//! every call: behind `carrier-503` there is never a circuit.

use std::time::Duration;

/// How somebody behaves when called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callee {
    /// Rings, answers and talks.
    Answers,
    /// Rings for ever.
    Rings,
    /// Is refused without ringing.
    Refuses(Refusal),
}

/// Why a call did not get as far as an answer, in the three languages Asterisk tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The Q.850 cause of `HangupRequest` and `Hangup`.
    pub cause: u16,
    /// The SIP status, `TechCause`.
    pub sip_code: u16,
    /// `DialStatus` of `DialEnd`.
    pub dial_status: &'static str,
    /// Whether 183 comes first, which Asterisk reports as `DialState: PROGRESS`.
    pub early_media: bool,
}

/// How long callees take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the dialling to the ringing.
    pub ring_after: Duration,
    /// From the ringing to the answer.
    pub answer_after: Duration,
    /// From the answer to the end.
    pub talk: Duration,
    /// From the dialling to a refusal.
    pub refuse_after: Duration,
}

/// What happens next to a call that was dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The phone rings.
    Ring,
    /// The callee answers.
    Answer,
    /// The callee, or the network in their place, says no.
    Refuse(Refusal),
    /// The ring time-out is over.
    GiveUp,
    /// The conversation is over.
    Finish,
}

impl Callee {
    /// The callee behind a dialled number.
    pub fn of(dialled: &str) -> Self {
        const REFUSALS: [(&str, Refusal); 6] = [
            ("486", Refusal::new(17, 486, "BUSY")),
            ("503", Refusal::new(34, 503, "CONGESTION")),
            ("429", Refusal::new(127, 429, "NOANSWER")),
            ("404", Refusal::new(1, 404, "NOANSWER")),
            ("603", Refusal::new(21, 603, "NOANSWER")),
            ("0181", Refusal { early_media: true, ..Refusal::new(19, 480, "NOANSWER") }),
        ];
        if dialled.ends_with("0180") {
            return Self::Rings;
        }
        let refusal = REFUSALS.iter().find(|(end, _)| dialled.ends_with(end));
        refusal.map_or(Self::Answers, |(_, refusal)| Self::Refuses(*refusal))
    }

    /// The callee behind a number that is dialled on an endpoint.
    pub fn behind(endpoint: &str, dialled: &str) -> Self {
        match Self::of(endpoint) {
            Self::Answers => Self::of(dialled),
            own @ (Self::Rings | Self::Refuses(_)) => own,
        }
    }

    /// What happens to a call that may stay unanswered for `ring_timeout` (none: for ever), each
    /// step with the time since the one before it. The last step ends the call; only a callee who
    /// rings for ever has none.
    pub fn script(self, pace: &Pace, ring_timeout: Option<Duration>) -> Vec<(Duration, Step)> {
        let wished = match self {
            Self::Answers => vec![
                (pace.ring_after, Step::Ring),
                (pace.answer_after, Step::Answer),
                (pace.talk, Step::Finish),
            ],
            Self::Rings => vec![(pace.ring_after, Step::Ring)],
            Self::Refuses(refusal) => vec![(pace.refuse_after, Step::Refuse(refusal))],
        };
        match ring_timeout {
            Some(patience) => cut_short(wished, patience),
            None => wished,
        }
    }
}

impl Refusal {
    const fn new(cause: u16, sip_code: u16, dial_status: &'static str) -> Self {
        Self { cause, sip_code, dial_status, early_media: false }
    }
}

impl Pace {
    /// As people do it: calls last a few seconds, for a person who watches.
    pub const HUMAN: Self = Self {
        ring_after: Duration::from_millis(300),
        answer_after: Duration::from_millis(1200),
        talk: Duration::from_millis(2000),
        refuse_after: Duration::from_millis(600),
    };

    /// Everything at once, for tests and load.
    pub const INSTANT: Self = Self {
        ring_after: Duration::ZERO,
        answer_after: Duration::ZERO,
        talk: Duration::ZERO,
        refuse_after: Duration::ZERO,
    };
}

/// Replaces what would come after the caller's patience by giving up.
fn cut_short(wished: Vec<(Duration, Step)>, patience: Duration) -> Vec<(Duration, Step)> {
    let mut script = Vec::with_capacity(wished.len() + 1);
    let mut left = patience;
    for (wait, step) in wished {
        if wait >= left {
            break;
        }
        left -= wait;
        script.push((wait, step));
        match step {
            // Once answered or refused, no time-out matters any more.
            Step::Answer => left = Duration::MAX,
            Step::Refuse(_) | Step::Finish | Step::GiveUp => return script,
            Step::Ring => {}
        }
    }
    script.push((left, Step::GiveUp));
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        ring_after: Duration::from_secs(1),
        answer_after: Duration::from_secs(4),
        talk: Duration::from_secs(60),
        refuse_after: Duration::from_secs(2),
    };

    #[test]
    fn the_end_of_the_number_decides_who_is_called() {
        assert_eq!(Callee::of("+15551230000"), Callee::Answers);
        assert_eq!(Callee::of("15551230180"), Callee::Rings);
        assert_eq!(refusal_of("15551230486"), (17, 486, "BUSY"));
        assert_eq!(refusal_of("15551230503"), (34, 503, "CONGESTION"));
        assert_eq!(refusal_of("15551230429"), (127, 429, "NOANSWER"));
        assert_eq!(refusal_of("15551230404"), (1, 404, "NOANSWER"));
        assert_eq!(refusal_of("15551230603"), (21, 603, "NOANSWER"));
        assert_eq!(refusal_of("15551230181"), (19, 480, "NOANSWER"));
    }

    #[test]
    fn an_endpoint_may_decide_for_all_who_are_called_on_it() {
        assert_eq!(Callee::behind("carrier-503", "15551230000"), Callee::of("503"));
        assert_eq!(Callee::behind("PJSIP", "15551230486"), Callee::of("486"));
        assert_eq!(Callee::behind("PJSIP", "15551230000"), Callee::Answers);
    }

    #[test]
    fn somebody_who_answers_in_time_talks_as_long_as_they_like() {
        let script = Callee::Answers.script(&PACE, seconds(30));

        assert_eq!(steps(&script), [(1, Step::Ring), (4, Step::Answer), (60, Step::Finish)]);
    }

    #[test]
    fn an_answer_after_the_time_out_never_comes() {
        let script = Callee::Answers.script(&PACE, seconds(3));

        assert_eq!(steps(&script), [(1, Step::Ring), (2, Step::GiveUp)]);
    }

    #[test]
    fn an_unanswered_phone_rings_until_the_caller_gives_up() {
        let script = Callee::Rings.script(&PACE, seconds(30));

        assert_eq!(steps(&script), [(1, Step::Ring), (29, Step::GiveUp)]);
        assert_eq!(steps(&Callee::Rings.script(&PACE, None)), [(1, Step::Ring)]);
    }

    #[test]
    fn a_refusal_ends_the_call_without_ringing() {
        let busy = Callee::of("486");

        let script = busy.script(&PACE, seconds(30));

        assert!(matches!(script[..], [(wait, Step::Refuse(_))] if wait == PACE.refuse_after));
        assert_eq!(steps(&busy.script(&PACE, seconds(1))), [(1, Step::GiveUp)]);
    }

    fn refusal_of(number: &str) -> (u16, u16, &'static str) {
        match Callee::of(number) {
            Callee::Refuses(refusal) => (refusal.cause, refusal.sip_code, refusal.dial_status),
            Callee::Answers | Callee::Rings => panic!("{number} refuses nothing"),
        }
    }

    fn steps(script: &[(Duration, Step)]) -> Vec<(u64, Step)> {
        script.iter().map(|(wait, step)| (wait.as_secs(), *step)).collect()
    }

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }
}
