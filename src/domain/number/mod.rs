//! Telephone numbers.
//!
//! A number enters Rotary once, through [`E164::read`]. Code that holds an
//! [`E164`] never asks again whether it is well formed.

mod read;

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::as_text::is_a_text;

/// A telephone number in E.164 form, such as `+12125550123`.
///
/// Held as an integer: the rotation index keeps a million of these, and eight
/// bytes each compare faster than strings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(u64);

/// The digits of an area code, leading zeros kept: `404`, `020`. At most 7 digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AreaCode(NonZeroU32);

/// The country whose numbering plan a number without `+` is read by: an ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Region([u8; 2]);

/// A text that is no telephone number. Prints in the words the interface promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid phone number: {0}")]
pub struct InvalidPhoneNumber(pub String);

impl E164 {
    /// The number as an integer, without `+`.
    pub fn digits(self) -> u64 {
        self.0
    }

    /// A number held as an integer, as [`E164::digits`] gives it; 7 to 15 digits.
    pub fn from_digits(digits: u64) -> Option<Self> {
        (1_000_000..=999_999_999_999_999).contains(&digits).then_some(Self(digits))
    }
}

impl FromStr for E164 {
    type Err = InvalidPhoneNumber;

    /// Reads the strict form only: `+` and 7 to 15 digits, the first not 0.
    fn from_str(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let invalid = || InvalidPhoneNumber(text.to_owned());
        let digits = text.strip_prefix('+').ok_or_else(invalid)?;
        let plain = (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if !plain {
            return Err(invalid());
        }
        digits.parse().map(Self).map_err(|_| invalid())
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

is_a_text!(E164 or InvalidPhoneNumber);

/// A text that is no area code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no area code (1 to 7 digits are)")]
pub struct InvalidAreaCode(pub String);

impl FromStr for AreaCode {
    type Err = InvalidAreaCode;

    fn from_str(text: &str) -> Result<Self, InvalidAreaCode> {
        if !(1..=7).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidAreaCode(text.to_owned()));
        }
        // A leading 1 keeps `020` apart from `20`.
        let digits: u32 = text.parse().map_err(|_| InvalidAreaCode(text.to_owned()))?;
        let marked = NonZeroU32::new(10_u32.pow(text.len() as u32) + digits);
        marked.map(Self).ok_or_else(|| InvalidAreaCode(text.to_owned()))
    }
}

impl fmt::Display for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string()[1..])
    }
}

is_a_text!(AreaCode or InvalidAreaCode);

impl Region {
    /// The region assumed where nobody names one.
    pub const US: Self = Self(*b"US");

    const CA: Self = Self(*b"CA");

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("US")
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no region (a two-letter country code such as US or GB is)")]
pub struct InvalidRegion(pub String);

impl FromStr for Region {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, InvalidRegion> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(InvalidRegion(text.to_owned())),
        }
    }
}
