//! What befalls the line to Asterisk and the daemon, and what Asterisk saw of it all.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use rotary::demo::misbehave::{DropLine, Line};
use rotary::demo::{Control, Counts};
use tokio::time::sleep;

use crate::daemon::Daemon;

/// One event of so many is lost.
const LOSE_EVERY: NonZeroU32 = NonZeroU32::new(50).expect("not zero");

/// How often the daemon is killed.
const CRASH_EVERY: Duration = Duration::from_secs(60);

/// Turns the simulated Asterisk's strings.
pub struct Weather {
    asterisk: Control,
    seen: Seen,
}

/// What happened, as Asterisk has it.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// By channel id, the number it showed.
    pub originates: HashMap<String, String>,
    pub counts: Counts,
    pub crashes: u64,
    pub dropped: u64,
    pub late: u64,
    pub stalled: u64,
}

impl Weather {
    /// It is fair yet, but events get lost from now on.
    pub fn new(asterisk: Control) -> Self {
        asterisk.misbehave(|wrong| wrong.lose_every = Some(LOSE_EVERY));
        Self { asterisk, seen: Seen::default() }
    }

    /// Something every few seconds, and the daemon killed once a minute, for so long.
    pub async fn rage(&mut self, daemon: &mut Daemon, run: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut next_crash = CRASH_EVERY / 2;
        while begun.elapsed() < run {
            sleep(Duration::from_millis(fastrand::u64(3_000..9_000))).await;
            self.look();
            if begun.elapsed() >= next_crash {
                next_crash += CRASH_EVERY;
                daemon.crash().await?;
                self.seen.crashes += 1;
            } else {
                self.strike().await;
            }
            self.look();
        }
        self.asterisk.misbehave(|wrong| wrong.drop_line = None);
        Ok(())
    }

    /// Notes what Asterisk was asked for; it remembers the last 10,000 calls.
    pub fn look(&mut self) {
        for one in self.asterisk.originates() {
            self.seen.originates.insert(one.channel_id, one.caller_number);
        }
        self.seen.counts = self.asterisk.counts();
    }

    /// All that was seen.
    pub fn take(self) -> Seen {
        self.seen
    }

    async fn strike(&mut self) {
        match fastrand::u8(0..8) {
            0..3 => {
                self.asterisk.drop_lines();
                self.seen.dropped += 1;
            }
            3 => self.drop_line(DropLine::BeforeOriginate),
            4..6 => self.drop_line(DropLine::AfterOriginate),
            6 => {
                let late = Duration::from_millis(fastrand::u64(200..7_000));
                self.asterisk.misbehave(|wrong| wrong.late_answers = Some(late));
                sleep(Duration::from_secs(2)).await;
                self.asterisk.misbehave(|wrong| wrong.late_answers = None);
                self.seen.late += 1;
            }
            _ => {
                self.asterisk.misbehave(|wrong| wrong.line = Line::Stalled);
                sleep(Duration::from_millis(fastrand::u64(500..8_000))).await;
                self.asterisk.misbehave(|wrong| wrong.line = Line::Works);
                self.seen.stalled += 1;
            }
        }
    }

    /// At the next Originate.
    fn drop_line(&mut self, when: DropLine) {
        self.asterisk.misbehave(|wrong| wrong.drop_line = Some(when));
        self.seen.dropped += 1;
    }
}
