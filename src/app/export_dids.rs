//! A tenant's DIDs as a CSV that imports back unchanged, a page of the store at a time.

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::App;
use crate::domain::did_csv::{HEADER, push_row};
use crate::domain::tenant::TenantId;
use crate::store::ListError;
use crate::store::dids::DidFilter;

/// DIDs read at once.
const PAGE: u32 = 1_000;

/// The rows of a page with their header, roughly, in bytes.
const PAGE_BYTES: usize = 160 * PAGE as usize;

/// The DIDs that `filter` lets through, by number, as pieces of a CSV; the first begins with the header.
///
/// A page is read when the one before is taken, so memory does not grow with the inventory and a
/// slow reader holds nothing in the store. Each page is as it was when it was read: a DID that is
/// there from beginning to end is in the file once, one that comes or goes meanwhile may be.
pub fn export_dids(
    app: &App,
    tenant: TenantId,
    filter: DidFilter,
) -> impl Stream<Item = Result<Bytes, ListError>> + Send + use<> {
    let store = app.store.clone();
    stream::unfold(Next::First, move |next| {
        let (store, tenant, filter) = (store.clone(), tenant.clone(), filter.clone());
        async move {
            let mut out = Vec::with_capacity(PAGE_BYTES);
            let cursor = match &next {
                Next::First => {
                    out.extend_from_slice(HEADER.as_bytes());
                    None
                }
                Next::After(cursor) => Some(cursor.as_str()),
                Next::Nothing => return None,
            };
            match store.list_dids(&tenant, &filter, PAGE, cursor).await {
                Ok(page) => {
                    for did in &page.items {
                        push_row(&mut out, did);
                    }
                    Some((Ok(out.into()), page.next.map_or(Next::Nothing, Next::After)))
                }
                Err(error) => Some((Err(error), Next::Nothing)),
            }
        }
    })
}

/// Where the export goes on.
enum Next {
    First,
    After(String),
    Nothing,
}
