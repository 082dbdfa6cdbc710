//! From the greeting to the line being up.

use std::time::Instant;

use md5::{Digest, Md5};
use secrecy::ExposeSecret;

use super::answers::text;
use super::waiting::Purpose;
use super::{Output, Phase, Session};
use crate::ami::action::{InvalidHeader, Message};
use crate::ami::frame::Frame;
use crate::ami::{CHECK_LOGIN, DownReason, Login};

impl Session {
    pub(super) fn greeted(&mut self, banner: &[u8], now: Instant) {
        let text = String::from_utf8_lossy(banner);
        let Some((_, version)) = text.split_once("Call Manager/") else {
            return self.close(self.no_greeting(format!("it greets with {text:?}")));
        };
        self.version = format!("(manager interface {version})");
        self.log_in(now);
    }

    pub(super) fn log_in(&mut self, now: Instant) {
        self.phase = Phase::LoggingIn;
        self.phase_deadline = None;
        match self.settings.login {
            Login::Md5 => {
                let challenge = Message::new("Action", "Challenge").header("AuthType", "MD5");
                self.send_own(challenge, Purpose::Challenge, now);
            }
            Login::Plain => {
                let secret = self.settings.secret.expose_secret().to_owned();
                let login = self.login_message(&[("Secret", &secret)]);
                self.send_own(login, Purpose::Login, now);
            }
        }
    }

    pub(super) fn answer_challenge(&mut self, challenge: &[u8], now: Instant) {
        let secret = self.settings.secret.expose_secret();
        let digest = Md5::new().chain_update(challenge).chain_update(secret).finalize();
        let key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let login = self.login_message(&[("AuthType", "MD5"), ("Key", &key)]);
        self.send_own(login, Purpose::Login, now);
    }

    /// The event classes are asked for here, so that no flood comes between login and request.
    fn login_message(&self, proof: &[(&str, &str)]) -> Result<Message, InvalidHeader> {
        let message = Message::new("Action", "Login");
        let message = message.header("Username", &self.settings.username)?;
        let add = |message: Message, (name, value): &(&str, &str)| message.header(name, value);
        proof.iter().try_fold(message, add)?.header("Events", &self.settings.events)
    }

    pub(super) fn logged_in(&mut self, now: Instant) {
        self.ping_due = Some(now + self.settings.ping_interval);
        self.phase = Phase::Booting;
        self.phase_deadline = Some(now + self.settings.boot_deadline);
        if self.booted {
            self.learn(now);
        }
    }

    /// Asks what our user may do and what Asterisk this is.
    pub(super) fn learn(&mut self, now: Instant) {
        if self.phase == Phase::Booting {
            self.phase = Phase::Learning;
            self.phase_deadline = None;
            self.ask_own(Purpose::ListCommands, "ListCommands", now);
            self.ask_own(Purpose::CoreSettings, "CoreSettings", now);
        }
    }

    pub(super) fn learned(&mut self) {
        let asks = [Purpose::ListCommands, Purpose::CoreSettings];
        let learns = asks.into_iter().any(|purpose| self.waiting.has(purpose));
        if self.phase == Phase::Learning && !learns {
            self.phase = Phase::Up;
            let (version, missing) = (self.version.clone(), self.missing.clone());
            self.outputs.push_back(Output::Up { version, missing });
        }
    }

    pub(super) fn shut_out(&mut self, frame: &Frame) {
        let message = text(frame, "Message");
        self.close(if is_shutting_down(&message) {
            DownReason::ShuttingDown
        } else {
            let username = self.settings.username.clone();
            DownReason::LoginRefused { username, message, check: CHECK_LOGIN }
        });
    }
}

/// Asterisk refuses everything while it shuts down, having done none of it.
pub(super) fn is_shutting_down(message: &str) -> bool {
    message.contains("is shutting down")
}
