//! Who owns numbers and places calls, and the pools they name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::as_text::is_a_text;

/// The longest tenant or campaign id, in bytes.
pub const ID_LENGTH_MAX: usize = 64;

/// A tenant's opaque id: 1 to 64 of `A-Z a-z 0-9 _ - . :`.
///
/// Cloning shares the text, for a tenant's name is in every pick.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

/// The id of a campaign, a tenant's named pool of numbers. Same form as [`TenantId`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CampaignId(Arc<str>);

/// A tenant as it is stored.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id, which comes from elsewhere.
    pub id: TenantId,
    /// What people call it.
    pub name: Option<String>,
    /// What signs its callbacks.
    pub webhook_secret: SecretString,
    /// When it was first heard of.
    pub created_at: DateTime<Utc>,
    /// When its name or its secret changed last.
    pub updated_at: DateTime<Utc>,
}

/// Why a text is no tenant or campaign id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Empty, or more than [`ID_LENGTH_MAX`] bytes.
    #[error("an id has 1 to {ID_LENGTH_MAX} characters, not {0}")]
    Length(usize),
    /// A character outside the alphabet.
    #[error("{0:?} may not stand in an id (A-Z a-z 0-9 _ - . : may)")]
    Character(char),
}

impl TenantId {
    /// The tenant that exists from the start.
    pub fn default_tenant() -> Self {
        Self(Arc::from("default"))
    }
}

/// The secret made of these bytes, in the form of Standard Webhooks: `whsec_` and base64.
/// They ask for 24 to 64 bytes.
pub fn webhook_secret(random: [u8; 32]) -> SecretString {
    format!("whsec_{}", STANDARD.encode(random)).into()
}

fn check(text: &str) -> Result<Arc<str>, InvalidId> {
    if text.is_empty() || text.len() > ID_LENGTH_MAX {
        return Err(InvalidId::Length(text.len()));
    }
    let stranger = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.:".contains(*c)));
    match stranger {
        Some(other) => Err(InvalidId::Character(other)),
        None => Ok(Arc::from(text)),
    }
}

macro_rules! opaque_id {
    ($name:ident) => {
        impl $name {
            /// The id as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        is_a_text!($name or InvalidId);
    };
}

opaque_id!(TenantId);
opaque_id!(CampaignId);

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_webhook_secret_has_the_form_of_standard_webhooks_and_is_not_printed() {
        let secret = webhook_secret([0xff; 32]);

        let text = "whsec_//////////////////////////////////////////8=";
        assert_eq!(secret.expose_secret(), text);
        assert!(!format!("{secret:?}").contains("whsec_"));
    }

    #[test]
    fn takes_uuids_and_short_names_and_says_what_is_wrong() {
        for good in ["t_123", "0192f0c1-3b7e-7a10-8000-000000000001", "a.b:c"] {
            assert_eq!(good.parse::<TenantId>().unwrap().as_str(), good);
        }

        assert_eq!("".parse::<TenantId>(), Err(InvalidId::Length(0)));
        assert_eq!("a b".parse::<TenantId>(), Err(InvalidId::Character(' ')));
        assert_eq!("x".repeat(65).parse::<CampaignId>(), Err(InvalidId::Length(65)));
    }
}
