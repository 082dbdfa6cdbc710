//! The name by which we know an Asterisk: in the configuration, in calls, in answers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::as_text::is_a_text;

/// An Asterisk's name: 1 to 64 of `A-Z a-z 0-9 _ - .`
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AsteriskName(Arc<str>);

/// Why a text names no Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAsterisk {
    /// Empty, or more than 64 bytes.
    #[error("the name of an Asterisk has 1 to 64 characters, not {0}")]
    Length(usize),
    /// Another character.
    #[error("{0:?} may not stand in the name of an Asterisk (A-Z a-z 0-9 _ - . may)")]
    Character(char),
}

impl AsteriskName {
    /// The name of a lone Asterisk that is given none.
    pub fn lone() -> Self {
        Self(Arc::from("asterisk"))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AsteriskName {
    type Err = InvalidAsterisk;

    fn from_str(text: &str) -> Result<Self, InvalidAsterisk> {
        if text.is_empty() || text.len() > 64 {
            return Err(InvalidAsterisk::Length(text.len()));
        }
        let stranger = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.".contains(*c)));
        match stranger {
            Some(other) => Err(InvalidAsterisk::Character(other)),
            None => Ok(Self(Arc::from(text))),
        }
    }
}

impl fmt::Display for AsteriskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

is_a_text!(AsteriskName or InvalidAsterisk);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_word() {
        assert_eq!("pbx-1.east".parse::<AsteriskName>().unwrap().as_str(), "pbx-1.east");

        assert_eq!("pbx 1".parse::<AsteriskName>(), Err(InvalidAsterisk::Character(' ')));
        assert_eq!("".parse::<AsteriskName>(), Err(InvalidAsterisk::Length(0)));
        assert_eq!("x".repeat(65).parse::<AsteriskName>(), Err(InvalidAsterisk::Length(65)));
    }
}
