//! Telephone numbers.
//!
//! A number enters Rotary once, through [`E164::read`]. Code that holds an
//! [`E164`] never asks again whether it is well formed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
pub struct AreaCode(u32);

/// The country whose numbering plan a number without `+` is read by: an ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Region([u8; 2]);

/// A text that is no telephone number. Prints in the words the interface promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid phone number: {0}")]
pub struct InvalidPhoneNumber(pub String);
