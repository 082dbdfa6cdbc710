//! Why a DID was picked, for whoever asks later.

use std::str::FromStr;

/// Why a DID was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The least used of those asked for.
    LeastUsed,
    /// The least used of the wanted area code.
    AreaCode,
    /// No DID of the wanted area code could be picked; the least used of the rest.
    AreaCodeSpent,
    /// The request named this DID.
    Named,
}

/// A word that is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no reason for a pick")]
pub struct InvalidReason(pub String);

impl Reason {
    const ALL: [Self; 4] = [Self::LeastUsed, Self::AreaCode, Self::AreaCodeSpent, Self::Named];

    /// The word used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeastUsed => "least-used",
            Self::AreaCode => "area-code",
            Self::AreaCodeSpent => "area-code-spent",
            Self::Named => "named",
        }
    }

    /// What people and programs are told.
    pub fn text(self) -> &'static str {
        match self {
            Self::LeastUsed => "least used",
            Self::AreaCode => "least used of the wanted area code",
            Self::AreaCodeSpent => "least used; none of the wanted area code can be picked",
            Self::Named => "named by the request",
        }
    }
}

impl FromStr for Reason {
    type Err = InvalidReason;

    fn from_str(text: &str) -> Result<Self, InvalidReason> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        found.ok_or_else(|| InvalidReason(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_back_from_its_word() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
    }
}
