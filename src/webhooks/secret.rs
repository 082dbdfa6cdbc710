//! A tenant's secret and the signature it makes: HMAC-SHA256 over `id.timestamp.body`, in base64.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// What a written secret begins with.
const PREFIX: &str = "whsec_";

/// The key that signs a tenant's callbacks. Prints as nothing.
#[derive(Debug, Clone)]
pub struct WebhookSecret(SecretSlice<u8>);

/// A text that is no secret. Does not say what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is written as whsec_ and base64")]
pub struct InvalidSecret;

impl WebhookSecret {
    /// The `webhook-signature` of a message sent at this second of the Unix epoch.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret())
            .expect("HMAC takes a key of any length");
        for part in [id, ".", &timestamp.to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let key = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let key = STANDARD.decode(key).map_err(|_| InvalidSecret)?;
        if key.is_empty() {
            return Err(InvalidSecret);
        }
        Ok(Self(SecretSlice::from(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own test suites.
    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();

        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);

        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_signs_nothing_and_no_secret_is_printed() {
        for text in ["", "whsec_", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(text.parse::<WebhookSecret>().err(), Some(InvalidSecret), "{text}");
        }
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        assert!(!format!("{secret:?}").contains("MfKQ"));
    }
}
