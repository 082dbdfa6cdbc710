//! The kinds of line by which an Asterisk is reached, behind one face: the rest of Rotary speaks of
//! calls, reports and four kinds of failure, whatever the line speaks.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ami::action::{InvalidHeader, message_of};
use crate::ami::{self, AmiError};
use crate::ari::{self, AriError, InvalidField};
use crate::domain::call::cause::Cause;
use crate::domain::call::originate::Originate;
use crate::domain::call::{ChannelId, Report};
use crate::line;
pub use crate::line::reports::Reports;

/// How an Asterisk is reached.
#[derive(Debug, Clone)]
pub enum WireSettings {
    /// By its manager interface.
    Ami(ami::Settings),
    /// By its REST interface.
    Ari(ari::Settings),
}

/// A line's handle. Cloning it is cheap.
#[derive(Debug, Clone)]
pub enum Wire {
    /// To the manager interface.
    Ami(ami::Client),
    /// To the REST interface.
    Ari(ari::Client),
}

/// What keeps a line.
pub enum WireLine {
    /// To the manager interface.
    Ami(ami::Line),
    /// To the REST interface.
    Ari(ari::Line),
}

/// A line's states as they change.
pub struct States(watch::Receiver<line::LineState>);

/// Whether an Asterisk can be asked for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineState {
    /// It can.
    Up {
        /// What is known of it, and what it may not be asked for.
        detail: String,
        /// Whether it lets us place calls.
        may_originate: bool,
    },
    /// It cannot.
    Down {
        /// Why not, and what to do.
        why: String,
    },
}

/// Why an Asterisk did not do what it was asked for, or not certainly.
///
/// The variants follow what the caller may do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Asterisk never acted on it, so it may be asked again, or another may.
    #[error("not sent to Asterisk: {0}")]
    NotSent(String),
    /// It cannot be sent: trying again is useless.
    #[error("not sent to Asterisk: {0}")]
    Invalid(#[from] Unsayable),
    /// Asterisk said no.
    #[error("Asterisk refused: {0}")]
    Refused(String),
    /// It may have reached Asterisk and no answer came, so a call may exist.
    #[error("no answer from Asterisk")]
    Unknown,
}

/// Something that cannot be said to Asterisk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct Unsayable {
    /// What is at fault, such as `variables.NAME`.
    pub field: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A line that is not connected yet: the handle, what is to be run, and the reports.
pub(super) fn line(settings: WireSettings) -> (Wire, WireLine, Reports) {
    match settings {
        WireSettings::Ami(settings) => {
            let (client, line, reports) = ami::line(settings);
            (Wire::Ami(client), WireLine::Ami(line), reports)
        }
        WireSettings::Ari(settings) => {
            let (client, line, reports) = ari::line(settings);
            (Wire::Ari(client), WireLine::Ari(line), reports)
        }
    }
}

impl Wire {
    pub(super) fn check(&self, asked: &Originate) -> Result<(), Unsayable> {
        match self {
            Self::Ami(_) => Ok(message_of(asked).map(drop)?),
            Self::Ari(_) => Ok(ari::Client::can_say(asked)?),
        }
    }

    pub(super) async fn originate(&self, asked: &Originate) -> Result<(), LineError> {
        match self {
            Self::Ami(client) => Ok(client.originate(asked).await?),
            Self::Ari(client) => Ok(client.originate(asked).await?),
        }
    }

    pub(super) async fn hang_up(&self, channel: ChannelId, cause: Cause) -> Result<(), LineError> {
        match self {
            Self::Ami(client) => Ok(client.hang_up(&channel.to_string(), cause).await?),
            Self::Ari(client) => Ok(client.hang_up(channel, cause).await?),
        }
    }

    pub(super) async fn channels(&self) -> Result<Vec<(ChannelId, Option<Report>)>, LineError> {
        let channels = match self {
            Self::Ami(client) => client.channels().await?,
            Self::Ari(client) => client.channels().await?,
        };
        Ok(channels.iter().filter_map(seen).collect())
    }

    pub(super) fn state(&self) -> LineState {
        match self {
            Self::Ami(client) => client.state().into(),
            Self::Ari(client) => client.state().into(),
        }
    }

    pub(super) fn states(&self) -> States {
        match self {
            Self::Ami(client) => States(client.states()),
            Self::Ari(client) => States(client.states()),
        }
    }
}

impl WireLine {
    /// Keeps the line up until told to stop. No fault of Asterisk's ends it.
    ///
    /// # Errors
    /// What the line itself cannot survive.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        match self {
            Self::Ami(line) => line.run(stop).await,
            Self::Ari(line) => line.run(stop).await,
        }
    }
}

impl States {
    /// Waits until the state has changed since it was last looked at here, and says what it is now.
    /// Waits for ever once the line has ended.
    ///
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> LineState {
        match self.0.changed().await {
            Ok(()) => self.0.borrow_and_update().clone().into(),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Ours are the channels whose unique id is one that we chose. What a channel's state says is
/// told by nothing else if the line was down meanwhile.
fn seen(channel: &line::Channel) -> Option<(ChannelId, Option<Report>)> {
    let report = match channel.state {
        5 => Some(Report::Ringing),
        6 => Some(Report::Answered),
        _ => None,
    };
    Some((channel.unique_id.parse().ok()?, report))
}

impl From<line::LineState> for LineState {
    fn from(state: line::LineState) -> Self {
        match state {
            line::LineState::Up { ref missing, .. } => Self::Up {
                may_originate: !missing.iter().any(|action| action == "Originate"),
                detail: state.to_string(),
            },
            line::LineState::Down { why } => Self::Down { why: why.to_string() },
        }
    }
}

impl From<AmiError> for LineError {
    fn from(error: AmiError) -> Self {
        match error {
            AmiError::NotSent(why) => Self::NotSent(why),
            AmiError::Invalid(what) => Self::Invalid(what.into()),
            AmiError::Refused(why) => Self::Refused(why),
            AmiError::Unknown => Self::Unknown,
        }
    }
}

impl From<AriError> for LineError {
    fn from(error: AriError) -> Self {
        match error {
            AriError::NotSent(why) => Self::NotSent(why),
            AriError::Invalid(what) => Self::Invalid(what.into()),
            AriError::Refused(why) => Self::Refused(why),
            AriError::Unknown => Self::Unknown,
        }
    }
}

impl From<InvalidField> for Unsayable {
    fn from(InvalidField { field, why }: InvalidField) -> Self {
        Self { field, why }
    }
}

impl From<InvalidHeader> for Unsayable {
    fn from(InvalidHeader { field, why }: InvalidHeader) -> Self {
        Self { field, why }
    }
}
