//! Lists of a tenant's DIDs, page by page.
//!
//! The plain lists by number and creation, and a number's own row, come by the store's keys, and a
//! filter that many match is soon satisfied by walking along one. For all others the index says which DIDs are on the
//! page, and only those are read from the store: in the store a rare filter would mean to walk all of
//! a tenant's rows, an order by usage to sort them, and an index for each would make imports and
//! counting dearer.

use tokio::task::yield_now;

use super::App;
use crate::domain::did::{Did, DidId};
use crate::domain::number::E164;
use crate::domain::rotation::{Digits, Found, Rank, Search, TooManyDigits, Wanted};
use crate::domain::tenant::TenantId;
use crate::store::dids::{DidFilter, DidPlace, DidSort};
use crate::store::{ListError, Page};

/// Slots that a search looks at under one lock, a tenth of a millisecond or so.
const SLICE: usize = 8_192;

/// Rows that may be walked through in the store for a page, some milliseconds.
const WALKED_MAX: usize = 4_000;

/// How many rows there may be for each of the tenant's own.
const OTHERS_MAX: usize = 16;

/// Up to `limit` of the tenant's DIDs, from where `cursor` left off.
///
/// Pages by number or by creation neither repeat nor miss a DID while others come and go. By usage a
/// DID that is picked between two pages may stand on both. A DID that ceases to match while the page
/// is made is left out, so that a page may be short and yet have a next one.
pub async fn list_dids(
    app: &App,
    tenant: &TenantId,
    filter: &DidFilter,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Page<Did>, ListError> {
    if store_has_the_order(app, tenant, filter) {
        return app.store.list_dids(tenant, filter, limit, cursor).await;
    }
    let after = cursor.map(|text| filter.sort.read_cursor(text)).transpose()?;
    let digits = match filter.q.as_deref().map(Digits::read) {
        Some(Err(TooManyDigits)) => return Ok(Page { items: Vec::new(), next: None }),
        Some(Ok(digits)) => digits,
        None => None,
    };
    let wanted = Wanted {
        status: filter.status,
        area_code: filter.area_code,
        trunk: filter.trunk.clone(),
        campaign: filter.campaign.clone(),
        digits,
    };
    let count = limit as usize;
    let rank = rank(filter.sort);
    let mut search = Search::new(tenant.clone(), wanted, rank, count + 1, after.map(found_at));
    let mut looked_at = 0;
    while !app.index.lock().search(&mut search, SLICE) {
        looked_at += SLICE;
        // Where so many match, walking through the rows soon fills a page, if they lie as they do here.
        if looked_at == SLICE
            && filter.sort == DidSort::Number
            && search.matched() * WALKED_MAX >= SLICE * count * 2
        {
            let walked = WALKED_MAX as u32;
            let page = app.store.list_dids_within(tenant, filter, limit, cursor, walked).await?;
            if let Some(page) = page {
                return Ok(page);
            }
        }
        yield_now().await;
    }
    let mut found = search.found();
    let more = found.len() > count;
    found.truncate(count);
    let next = found.last().filter(|_| more).map(|last| place_of(filter.sort, last).cursor());
    let ids: Vec<DidId> = found.iter().map(|found| found.id).collect();
    let mut items = app.store.these_dids(tenant, &ids).await?;
    items.retain(|did| matches(filter, digits, did));
    Ok(Page { items, next })
}

/// Whether the store has this list in its order already: by the unique key, or by the primary key
/// if not too many rows in between are other tenants'.
fn store_has_the_order(app: &App, tenant: &TenantId, filter: &DidFilter) -> bool {
    let unfiltered = DidFilter { sort: filter.sort, ..DidFilter::default() };
    if filter.number.is_some() {
        return true;
    }
    match filter.sort {
        _ if *filter != unfiltered => false,
        DidSort::Number => true,
        DidSort::Created => {
            let index = app.index.lock();
            index.summary(tenant).total * OTHERS_MAX >= index.len()
        }
        DidSort::Usage => false,
    }
}

fn matches(filter: &DidFilter, digits: Option<Digits>, did: &Did) -> bool {
    digits.is_none_or(|digits| digits.are_in(did.number))
        && filter.status.is_none_or(|status| status == did.status)
        && (filter.area_code.is_none() || filter.area_code == did.area_code)
        && filter.trunk.as_ref().is_none_or(|trunk| *trunk == did.trunk)
        && (filter.campaign.is_none() || filter.campaign == did.campaign)
}

fn rank(sort: DidSort) -> Rank {
    match sort {
        DidSort::Number => Rank::Number,
        DidSort::Usage => Rank::Usage,
        DidSort::Created => Rank::Id,
    }
}

fn place_of(sort: DidSort, found: &Found) -> DidPlace {
    match sort {
        DidSort::Number => DidPlace::Number(found.number),
        DidSort::Usage => DidPlace::Usage(found.usage_count, found.id),
        DidSort::Created => DidPlace::Created(found.id),
    }
}

/// Of a place only what its order goes by is known, and needed.
fn found_at(place: DidPlace) -> Found {
    let any = E164::from_digits(10_000_000).expect("a number of eight digits");
    let (id, number, usage_count) = match place {
        DidPlace::Number(number) => (DidId(uuid::Uuid::nil()), number, 0),
        DidPlace::Usage(count, id) => (id, any, count),
        DidPlace::Created(id) => (id, any, 0),
    };
    Found { id, number, usage_count }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::did::{DidStatus, TrunkName};

    #[test]
    fn a_did_whose_number_was_changed_meanwhile_is_left_out() {
        let digits = |text| Digits::read(text).unwrap();
        let found = did("+14045550001");

        assert!(matches(&DidFilter::default(), digits("40455"), &found));
        assert!(!matches(&DidFilter::default(), digits("40455"), &did("+12125550001")));
    }

    fn did(number: &str) -> Did {
        let number: E164 = number.parse().unwrap();
        Did {
            id: DidId(uuid::Uuid::nil()),
            tenant: TenantId::default_tenant(),
            number,
            area_code: number.area_code(),
            trunk: TrunkName::pjsip(),
            status: DidStatus::Active,
            usage_count: 0,
            head_start: 0,
            max_usage: None,
            last_used: None,
            campaign: None,
            metadata: serde_json::Map::new(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}
