//! What came of an import, in the words the interface promises.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::rejected::Kept;
use crate::domain::did_csv::RowError;

/// The errors a report lists; all are counted.
const ERRORS_MAX: usize = 1_000;

/// What came of one chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// DIDs that are new.
    pub imported: u64,
    /// DIDs that were there and were changed.
    pub updated: u64,
    /// Rows left out because the number was there.
    pub duplicates: u64,
    /// Of the new and changed DIDs, those that are `available`, so that nothing will pick them.
    pub available: u64,
}

/// What came of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// The file was read to its end. Bad rows do not change that.
    pub success: bool,
    /// DIDs that are new.
    pub imported: u64,
    /// DIDs that were there and were changed.
    pub updated: u64,
    /// Rows left out because the number was there, or stood in the file before.
    pub duplicates: u64,
    /// Rows that are no DID.
    pub failed: u64,
    /// The first 1,000 of them.
    pub errors: Vec<RowError>,
    /// Nothing was stored; the counts are what an import would have come to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Under which its rejected rows are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_id: Option<Uuid>,
    /// Where the rejected rows can be had, to be mended and imported again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// What people overlook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    #[serde(skip)]
    available: u64,
}

impl ImportReport {
    pub(super) fn new(dry_run: bool, import_id: Option<Uuid>) -> Self {
        Self {
            success: false,
            imported: 0,
            updated: 0,
            duplicates: 0,
            failed: 0,
            errors: Vec::new(),
            dry_run,
            import_id,
            rejected: None,
            notice: None,
            available: 0,
        }
    }

    /// Rows dealt with so far, in whatever way.
    pub fn rows(&self) -> u64 {
        self.imported + self.updated + self.duplicates + self.failed
    }

    pub(super) fn add(&mut self, stored: Stored) {
        self.imported += stored.imported;
        self.updated += stored.updated;
        self.duplicates += stored.duplicates;
        self.available += stored.available;
    }

    pub(super) fn fail(&mut self, error: RowError) {
        self.failed += 1;
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }

    pub(super) fn finished(mut self) -> Self {
        self.success = true;
        if self.available > 0 {
            let all = self.imported + self.updated;
            self.notice(format!(
                "{} of the {all} imported DIDs are 'available' and will not be picked until they \
                 are 'active'",
                self.available
            ));
        }
        self
    }

    /// Says where the rejected rows are, or why they are not.
    pub(super) fn tell_of(&mut self, kept: &Kept) {
        if let (Kept::All | Kept::First(_), Some(id)) = (kept, self.import_id) {
            self.rejected = Some(format!("/api/asterisk-dids/imports/{id}/rejected"));
        }
        match kept {
            Kept::None | Kept::All => {}
            Kept::First(rows) => self.notice(format!(
                "the file of rejected rows is full and holds the first {rows} of {}",
                self.failed
            )),
            Kept::Failed(why) => {
                self.notice(format!("the rejected rows could not be kept: {why}"));
            }
        }
    }

    fn notice(&mut self, notice: String) {
        self.notice = Some(match self.notice.take() {
            Some(before) => format!("{before}; {notice}"),
            None => notice,
        });
    }

    /// A clause for the message of an import that ended early.
    pub(super) fn so_far(&self) -> String {
        let stored = self.imported + self.updated;
        if stored == 0 || self.dry_run {
            return String::new();
        }
        format!(" ({stored} DIDs of the rows before it are imported and stay)")
    }
}
