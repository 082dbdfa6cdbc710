//! What can be wrong with an Asterisk, to see how Rotary takes it.

use std::num::NonZeroU32;
use std::time::Duration;

/// Everything that is wrong just now. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misbehaviour {
    /// What the lines do.
    pub line: Line,
    /// Refuses every Originate with this `Message`.
    pub refuse_originates: Option<String>,
    /// Drops the asker's line at the next Originate; clears itself then.
    pub drop_line: Option<DropLine>,
    /// Holds every answer back for so long. Events do not wait, so they overtake it.
    pub late_answers: Option<Duration>,
    /// Never sends events of these names, such as `Hangup`.
    pub lose: Vec<String>,
    /// Loses one event of so many.
    pub lose_every: Option<NonZeroU32>,
    /// Sends every event twice.
    pub repeat_events: bool,
    /// Makes channels so long after it took their Originates.
    pub late_channels: Option<Duration>,
    /// Lets phones ring beyond the time-out of their Originate.
    pub ring_for_ever: bool,
    /// Tells `Hangup` before `OriginateResponse`.
    pub hang_up_first: bool,
    /// Answers every action with `Asterisk is shutting down`, as during a graceful stop.
    pub shutting_down: bool,
}

/// What the lines do, all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Line {
    /// They work.
    #[default]
    Works,
    /// Actions are read and carried out, but nothing is written. What was held back is written
    /// when the line works again.
    Stalled,
    /// Actions are read and thrown away; events still come.
    Deaf,
    /// Nothing is read and nothing written, as if the peer's machine had lost its power. What
    /// was sent meanwhile is read when the line works again.
    HalfOpen,
}

/// When a line is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropLine {
    /// The Originate arrived but was not carried out: no call.
    BeforeOriginate,
    /// The Originate was carried out but not answered: a call that its asker does not know of.
    AfterOriginate,
}

/// How Asterisk goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Says so by a `Shutdown` event first.
    Cleanly,
    /// As by `kill -9`: the lines just end.
    Killed,
}
