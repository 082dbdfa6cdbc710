//! How many imports may run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The imports that run now, dry runs too. Cloning it shares the count.
#[derive(Debug, Clone, Default)]
pub struct ImportsUnderWay(Arc<AtomicUsize>);

/// A place among them, given up when dropped.
#[derive(Debug)]
pub struct ImportTurn(Arc<AtomicUsize>);

/// As many imports run as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{current} imports are under way, and {max} may be; try again when one is done")]
pub struct TooManyImports {
    /// How many run.
    pub current: usize,
    /// How many may.
    pub max: usize,
}

impl ImportsUnderWay {
    /// Takes a place, if fewer than `max` are taken.
    pub fn begin(&self, max: usize) -> Result<ImportTurn, TooManyImports> {
        let one_more = |running| (running < max).then_some(running + 1);
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more) {
            Ok(_) => Ok(ImportTurn(self.0.clone())),
            Err(current) => Err(TooManyImports { current, max }),
        }
    }
}

impl ImportsUnderWay {
    /// How many run.
    pub fn running(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for ImportTurn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_given_up_is_free_again() {
        let imports = ImportsUnderWay::default();

        let first = imports.begin(2).unwrap();
        let _second = imports.begin(2).unwrap();
        let refused = imports.begin(2).unwrap_err();
        drop(first);

        assert_eq!(refused, TooManyImports { current: 2, max: 2 });
        assert!(imports.begin(2).is_ok());
    }
}
