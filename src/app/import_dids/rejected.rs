//! The rows of a file that were rejected, kept as a file that can be mended and imported again.
//!
//! ```text
//! STATE/imports/{import id}.csv      the rows as they were, each after its line and its error
//! STATE/imports/{import id}.tenant   whose they are
//! ```
//!
//! Nothing is written, and no file made, before the first row fails. A directory that cannot be
//! written to, or a file that is full, does not stop the import; its report says so.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use tokio::fs::{self, DirBuilder, File, OpenOptions};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::rows::Rows;
use crate::domain::did_csv::{
    ROTARY_ERROR, ROTARY_ROW, RowError, is_rotarys_own, push_cell, text_cell,
};
use crate::domain::tenant::TenantId;

/// The largest file, in bytes.
const FILE_MAX: u64 = 64 * 1024 * 1024;

/// How many files are kept, the newest.
const FILES_MAX: usize = 50;

/// How much is held before it is written, in bytes.
const BUFFER: usize = 64 * 1024;

/// Where an import keeps the rows it rejects, and for whom.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) import: Uuid,
    pub(super) tenant: TenantId,
}

/// Takes rejected rows one after the other.
pub(super) struct Rejected {
    /// None where they are not kept.
    place: Option<Place>,
    delimiter: u8,
    /// The header, until it is written.
    header: Vec<u8>,
    /// The columns that an earlier import added to the file.
    own: Vec<usize>,
    buffer: Vec<u8>,
    file: Option<File>,
    /// Bytes and rows that the file was given.
    length: u64,
    rows: u64,
    /// Rows that found no room in it.
    left_out: u64,
    failed: Option<io::Error>,
}

/// What became of the rejected rows.
#[derive(Debug)]
pub(super) enum Kept {
    /// There were none, or nobody wanted them.
    None,
    /// All of them.
    All,
    /// The first of them.
    First(u64),
    /// They could not be written.
    Failed(io::Error),
}

impl Rejected {
    pub(super) fn new(place: Option<Place>) -> Self {
        Self {
            place,
            delimiter: b',',
            header: Vec::new(),
            own: Vec::new(),
            buffer: Vec::new(),
            file: None,
            length: 0,
            rows: 0,
            left_out: 0,
            failed: None,
        }
    }

    /// Learns the header of the file and what ends its cells.
    pub(super) fn header<'a>(&mut self, cells: impl Iterator<Item = &'a str>, delimiter: u8) {
        self.delimiter = delimiter;
        self.header = [ROTARY_ROW.as_bytes(), &[delimiter], ROTARY_ERROR.as_bytes()].concat();
        for (place, cell) in cells.enumerate() {
            if is_rotarys_own(cell) {
                self.own.push(place);
                continue;
            }
            self.header.push(delimiter);
            push_cell(&mut self.header, cell.as_bytes(), delimiter);
        }
        self.header.extend_from_slice(b"\r\n");
    }

    /// Takes the row that `rows` read last. Our columns come first: a row with a cell too many or
    /// too few then still stands as it was.
    pub(super) fn take(&mut self, rows: &Rows, error: &RowError) {
        if self.place.is_none() || self.failed.is_some() {
            return;
        }
        let start = self.buffer.len();
        self.buffer.append(&mut self.header);
        self.buffer.extend_from_slice(error.row.to_string().as_bytes());
        self.buffer.push(self.delimiter);
        // The row is written as it came; what we say of it must not run as a formula.
        push_cell(&mut self.buffer, text_cell(&error.error).as_bytes(), self.delimiter);
        for (place, cell) in rows.raw_cells().enumerate() {
            if !self.own.contains(&place) {
                self.buffer.push(self.delimiter);
                push_cell(&mut self.buffer, cell, self.delimiter);
            }
        }
        self.buffer.extend_from_slice(b"\r\n");
        if self.left_out > 0 || self.length + self.buffer.len() as u64 > FILE_MAX {
            self.buffer.truncate(start);
            self.left_out += 1;
        } else {
            self.rows += 1;
        }
    }

    /// Whether it holds so much that it should be written.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= BUFFER
    }

    /// Writes what is held.
    pub(super) async fn flush(&mut self) {
        let bytes = mem::take(&mut self.buffer);
        let (Some(place), false) = (&self.place, bytes.is_empty()) else { return };
        let written = async {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(place.make().await?),
            };
            file.write_all(&bytes).await?;
            file.flush().await
        };
        match written.await {
            Ok(()) => self.length += bytes.len() as u64,
            Err(why) => self.failed = Some(why),
        }
    }

    /// Writes the rest and says what became of it all.
    pub(super) async fn finish(mut self) -> Kept {
        self.flush().await;
        match self.failed {
            Some(why) => Kept::Failed(why),
            None if self.rows == 0 => Kept::None,
            None if self.left_out > 0 => Kept::First(self.rows),
            None => Kept::All,
        }
    }
}

impl Place {
    /// Makes the file, and room for it among the others.
    async fn make(&self) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o750).create(&self.directory).await?;
        remove_oldest(&self.directory).await?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o640);
        let mut tenant =
            options.open(self.directory.join(format!("{}.tenant", self.import))).await?;
        tenant.write_all(self.tenant.as_str().as_bytes()).await?;
        tenant.flush().await?;
        options.open(self.directory.join(format!("{}.csv", self.import))).await
    }
}

/// The file of the rows that this import of this tenant rejected, if there is one.
pub async fn rejected_rows(
    directory: &Path,
    tenant: &TenantId,
    import: Uuid,
) -> io::Result<Option<File>> {
    let found = async {
        let whose = fs::read_to_string(directory.join(format!("{import}.tenant"))).await?;
        match whose == tenant.as_str() {
            true => File::open(directory.join(format!("{import}.csv"))).await.map(Some),
            false => Ok(None),
        }
    };
    match found.await {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found,
    }
}

/// Removes the oldest files until there is room for one more. The ids of imports rise with time.
async fn remove_oldest(directory: &Path) -> io::Result<()> {
    let mut imports: Vec<Uuid> = Vec::new();
    let mut entries = fs::read_dir(directory).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".tenant"));
        imports.extend(id.and_then(|id| id.parse::<Uuid>().ok()));
    }
    imports.sort_unstable();
    let surplus = (imports.len() + 1).saturating_sub(FILES_MAX);
    for import in &imports[..surplus] {
        for kind in ["csv", "tenant"] {
            // Another import may have removed it at the same time.
            let _gone_already = fs::remove_file(directory.join(format!("{import}.{kind}"))).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::rows::Fed;
    use super::*;

    #[tokio::test]
    async fn rows_stand_as_they_were_after_their_line_and_error() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let mut rejected = Rejected::new(Some(place.clone()));
        rejected.header(["rotaryRow", "rotaryError", "number", "a;b"].into_iter(), b';');

        reject(&mut rejected, b"9;old;404\xff;\"x;\"\"y\n\";surplus\n", "=why");
        let kept = rejected.finish().await;

        assert!(matches!(kept, Kept::All));
        assert_eq!(
            content(&place).await,
            b"rotaryRow;rotaryError;number;\"a;b\"\r\n7;'=why;404\xff;\"x;\"\"y\n\";surplus\r\n"
        );
    }

    #[tokio::test]
    async fn a_file_has_a_bound_and_says_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let mut rejected = Rejected::new(Some(place(folder.path())));
        rejected.header(["number"].into_iter(), b',');
        let row = [&vec![b'9'; 60_000], b"\n".as_slice()].concat();
        for _ in 0..1_200 {
            reject(&mut rejected, &row, "too long");
            if rejected.is_full() {
                rejected.flush().await;
            }
        }

        assert!(rejected.length <= FILE_MAX);
        let kept = rejected.finish().await;
        assert!(matches!(kept, Kept::First(1_118)), "{kept:?}");
    }

    #[tokio::test]
    async fn the_newest_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut places = Vec::new();
        for _ in 0..FILES_MAX + 3 {
            let place = place(folder.path());
            let mut rejected = Rejected::new(Some(place.clone()));
            rejected.header(["number"].into_iter(), b',');
            reject(&mut rejected, b"1\n", "short");
            rejected.finish().await;
            places.push(place);
        }

        let mut found = Vec::new();
        for place in &places {
            found.push(opened(place).await.is_some());
        }
        assert_eq!(found.iter().filter(|found| **found).count(), FILES_MAX);
        assert_eq!(found[..3], [false; 3]);
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_told_in_the_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut rejected = Rejected::new(Some(place(file.path())));
        rejected.header(["number"].into_iter(), b',');

        reject(&mut rejected, b"1\n", "short");

        assert!(matches!(rejected.finish().await, Kept::Failed(_)));
    }

    #[tokio::test]
    async fn another_tenant_finds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let mut rejected = Rejected::new(Some(place.clone()));
        rejected.header(["number"].into_iter(), b',');
        reject(&mut rejected, b"1\n", "short");
        rejected.finish().await;

        let other = "other".parse().unwrap();

        assert!(opened(&place).await.is_some());
        assert!(rejected_rows(&place.directory, &other, place.import).await.unwrap().is_none());
    }

    fn place(directory: &Path) -> Place {
        let tenant = "t_1".parse().unwrap();
        Place { directory: directory.to_owned(), import: Uuid::now_v7(), tenant }
    }

    fn reject(rejected: &mut Rejected, row: &[u8], why: &str) {
        let mut rows = Rows::new(rejected.delimiter, 7);
        assert_eq!(rows.feed(row), Ok(Fed::Row(row.len())));
        rejected.take(&rows, &RowError::bad_row(7, why, ""));
    }

    async fn opened(place: &Place) -> Option<File> {
        rejected_rows(&place.directory, &place.tenant, place.import).await.unwrap()
    }

    async fn content(place: &Place) -> Vec<u8> {
        fs::read(place.directory.join(format!("{}.csv", place.import))).await.unwrap()
    }
}
