//! How the simulated Asterisk is set up: what its configuration files would say.

use std::time::Duration;

use super::callee::Pace;
use super::user::User;

/// How the simulated Asterisk is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The version in the banner; a real Asterisk 22 says `11.0.0`.
    pub ami_version: String,
    /// The version of Asterisk itself, which `CoreSettings` tells.
    pub asterisk_version: String,
    /// Who may log in.
    pub users: Vec<User>,
    /// The extensions there are, as (context, extension).
    pub dialplan: Vec<(String, String)>,
    /// The PJSIP endpoints there are; none: every name is one.
    pub endpoints: Option<Vec<String>>,
    /// How long callees take.
    pub pace: Pace,
    /// `channelvars` of `manager.conf`: shown in every event of a channel.
    pub channel_variables: Vec<String>,
    /// How long a refused login waits for its answer.
    pub login_delay: Duration,
    /// How long a line may stay without a login.
    pub login_patience: Duration,
    /// How long a client may not read before its line is cut.
    pub write_timeout: Duration,
    /// How many lines there may be; more are closed without a banner.
    pub sessions_max: usize,
    /// How many calls there may be; more fail.
    pub calls_max: usize,
}

impl Default for Settings {
    /// As a fresh Asterisk with Rotary's own configuration: user `rotary` with the secret
    /// `s3cret`, and the extension `s` in `DynamicIVR`.
    fn default() -> Self {
        Self {
            ami_version: "11.0.0".to_owned(),
            asterisk_version: "22.10.1 (simulated)".to_owned(),
            users: vec![User::new("rotary", "s3cret")],
            dialplan: vec![("DynamicIVR".to_owned(), "s".to_owned())],
            endpoints: None,
            pace: Pace::HUMAN,
            channel_variables: Vec::new(),
            login_delay: Duration::from_secs(1),
            login_patience: Duration::from_secs(30),
            write_timeout: Duration::from_secs(5),
            sessions_max: 1000,
            calls_max: 200_000,
        }
    }
}
