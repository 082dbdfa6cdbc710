//! Questions of somebody who looks whether all is well, not of one who places calls.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::AriError;
use super::client::Client;
use super::endpoints::escaped;
use super::rest::Answer;

/// Asterisk's form of a time: RFC 3339 but for the colon in its offset.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.f%z";

#[derive(Deserialize)]
struct Endpoint {
    state: Option<String>,
}

#[derive(Deserialize)]
struct Pong {
    timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Setting {
    attribute: String,
    value: String,
}

impl Client {
    /// What Asterisk says of a PJSIP endpoint: `online`, `offline` or `unknown`; none where it has
    /// no such endpoint.
    ///
    /// # Errors
    /// Asterisk does not answer, or not for us.
    pub async fn endpoint_state(&self, name: &str) -> Result<Option<String>, AriError> {
        let path = format!("/endpoints/PJSIP/{}", escaped(name));
        let Some(answer) = there(self.rest.get(&path).await?) else { return Ok(None) };
        let state = answer.json::<Endpoint>()?.state;
        Ok(Some(state.unwrap_or_else(|| "unknown".to_owned())))
    }

    /// The options of a PJSIP endpoint by the names they have in pjsip.conf; none where Asterisk
    /// has no such endpoint.
    ///
    /// # Errors
    /// Asterisk does not answer, or not for us.
    pub async fn endpoint_options(
        &self,
        name: &str,
    ) -> Result<Option<Vec<(String, String)>>, AriError> {
        let path = format!("/asterisk/config/dynamic/res_pjsip/endpoint/{}", escaped(name));
        let Some(answer) = there(self.rest.get(&path).await?) else { return Ok(None) };
        let settings = answer.json::<Vec<Setting>>()?;
        Ok(Some(settings.into_iter().map(|one| (one.attribute, one.value)).collect()))
    }

    /// Asterisk's clock; none where it is too old to tell.
    ///
    /// # Errors
    /// Asterisk does not answer, or not for us.
    pub async fn clock(&self) -> Result<Option<DateTime<Utc>>, AriError> {
        let Some(answer) = there(self.rest.get("/asterisk/ping").await?) else { return Ok(None) };
        let text = answer.json::<Pong>()?.timestamp.unwrap_or_default();
        Ok(DateTime::parse_from_str(&text, TIME).ok().map(|time| time.to_utc()))
    }
}

fn there(answer: Answer) -> Option<Answer> {
    (answer.status.as_u16() != 404).then_some(answer)
}
