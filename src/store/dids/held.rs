//! Which of many numbers a tenant has, for a look before an import.

use std::collections::HashSet;

use sqlx::types::Json;

use super::{During, Store, StoreError};
use crate::domain::number::E164;
use crate::domain::tenant::TenantId;
use crate::store::Database;

const POSTGRES: &str =
    "select number from asterisk_dids where tenant_id = $1 and number = any($2::text[])";
const SQLITE: &str = "select number from asterisk_dids where tenant_id = $1 \
     and number in (select value from json_each($2))";

impl Store {
    /// Those of `numbers` that the tenant has, whatever their status.
    pub async fn held_numbers(
        &self,
        tenant: &TenantId,
        numbers: &[E164],
    ) -> Result<HashSet<E164>, StoreError> {
        let texts: Vec<String> = numbers.iter().map(E164::to_string).collect();
        let found = match &self.database {
            Database::Postgres { pool, .. } => {
                let query = sqlx::query_scalar(POSTGRES).bind(tenant.as_str()).bind(texts);
                query.fetch_all(pool).await
            }
            Database::Sqlite { readers, .. } => {
                let query = sqlx::query_scalar(SQLITE).bind(tenant.as_str()).bind(Json(texts));
                query.fetch_all(readers).await
            }
        };
        let found: Vec<String> = found.during("look for numbers")?;
        Ok(found.iter().filter_map(|number| number.parse().ok()).collect())
    }
}
