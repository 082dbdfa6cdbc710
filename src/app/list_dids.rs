//! Lists of a tenant's DIDs, page by page.
//!
//! The plain list and a number's own row come by the store's unique key. For all others the index says which DIDs are on the
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
    let plain = DidFilter { number: filter.number, ..DidFilter::default() };
    if filter.number.is_some() || *filter == plain {
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
    loop {
        let done = app.index.lock().search(&mut search, SLICE);
        if done {
            break;
        }
        yield_now().await;
    }
    let mut found = search.found();
    let more = found.len() > count;
    found.truncate(count);
    let next = found.last().filter(|_| more).map(|last| place_of(filter.sort, last).cursor());
    let ids: Vec<DidId> = found.iter().map(|found| found.id).collect();
    let mut items = app.store.these_dids(tenant, &ids).await?;
    items.retain(|did| matches(filter, did));
    Ok(Page { items, next })
}

/// All but the digits: no number ever changes.
fn matches(filter: &DidFilter, did: &Did) -> bool {
    filter.status.is_none_or(|status| status == did.status)
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
