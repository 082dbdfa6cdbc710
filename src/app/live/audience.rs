//! How many may listen at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::domain::tenant::TenantId;

/// How many streams there may be: far fewer than a door holds connections, so that those who only
/// listen shut nobody out.
const STREAMS_MAX: usize = 128;

/// How many of them may be one tenant's.
const TENANT_MAX: usize = 64;

/// The streams there are. Cloning it shares the count.
#[derive(Debug, Clone, Default)]
pub struct Audience(Arc<Mutex<HashMap<TenantId, usize>>>);

/// A place for one stream, given up when dropped.
#[derive(Debug)]
pub struct Seat {
    audience: Audience,
    tenant: TenantId,
}

/// As many listen as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{current} event streams are open, and {max} may be; try again when one is closed")]
pub struct TooManyStreams {
    /// Whose streams are counted: the tenant's, or everybody's.
    pub of_the_tenant: bool,
    /// How many there are.
    pub current: usize,
    /// How many there may be.
    pub max: usize,
}

impl Audience {
    /// Takes a place for a stream of this tenant.
    pub fn enter(&self, tenant: &TenantId) -> Result<Seat, TooManyStreams> {
        let mut seated = self.seated();
        let (own, all) = (seated.get(tenant).copied().unwrap_or_default(), seated.values().sum());
        for (of_the_tenant, current, max) in [(true, own, TENANT_MAX), (false, all, STREAMS_MAX)] {
            if current >= max {
                return Err(TooManyStreams { of_the_tenant, current, max });
            }
        }
        *seated.entry(tenant.clone()).or_default() += 1;
        Ok(Seat { audience: self.clone(), tenant: tenant.clone() })
    }

    /// How many streams there are.
    pub fn count(&self) -> usize {
        self.seated().values().sum()
    }

    fn seated(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.lock().expect("nobody panics while counting")
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seated = self.audience.seated();
        if let Some(count) = seated.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                seated.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_leaves_room_for_others_and_a_seat_given_up_is_free_again() {
        let audience = Audience::default();
        let [acme, other, third] = ["acme", "other", "third"].map(|id| id.parse().unwrap());
        let enter = |tenant: &TenantId| audience.enter(tenant);

        let mut acmes: Vec<Seat> = (0..TENANT_MAX).map(|_| enter(&acme).unwrap()).collect();
        let refused = enter(&acme).unwrap_err();
        let _others: Vec<Seat> = (0..TENANT_MAX).map(|_| enter(&other).unwrap()).collect();
        let full = enter(&third).unwrap_err();
        acmes.pop();

        assert_eq!((refused.of_the_tenant, refused.current, refused.max), (true, 64, 64));
        assert_eq!((full.of_the_tenant, full.current, full.max), (false, 128, 128));
        assert!(enter(&third).is_ok());
    }
}
