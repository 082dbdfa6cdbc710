//! An inbound call: whose number was rung, and what was last said from it to the one who calls.

use super::App;
use crate::domain::number::E164;
use crate::store::StoreError;
use crate::store::inbound::{EarlierCall, Holder};

/// Who is behind an inbound call.
#[derive(Debug, Clone, PartialEq)]
pub struct Behind {
    /// Whose the number is.
    pub holder: Holder,
    /// The holder's last call from that number to the caller.
    pub last_call: Option<EarlierCall>,
}

/// Looks up the number that was rung, and the caller, where its number can be read. None where
/// nobody holds the number.
pub async fn whose_number(
    app: &App,
    rung: E164,
    caller: Option<E164>,
) -> Result<Option<Behind>, StoreError> {
    let Some(holder) = app.store.holder_of(rung).await? else { return Ok(None) };
    let last_call = match caller {
        Some(caller) => app.store.last_call(&holder.tenant, rung, caller).await?,
        None => None,
    };
    Ok(Some(Behind { holder, last_call }))
}
