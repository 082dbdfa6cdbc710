//! A CSV of DIDs, streamed into the store.
//!
//! ```text
//! bytes ──> rows ──> domain::did_csv ──> a chunk of DIDs ──> sink ──> report
//!                          └─ bad rows ─────────────────────────────────^
//! ```
//!
//! Two chunks, one row and the first errors are all that is held, however long the file is. While the
//! sink is at work on a chunk the next one is read, and no more: a slow store slows the sender down.

mod inventory;
mod report;
mod rows;

use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use futures_util::{Stream, StreamExt};
use tokio::task::yield_now;
use uuid::Uuid;

use self::rows::{BYTE_ORDER_MARK, End, Fed, Rows, TooLong};
use crate::domain::did::DidId;
use crate::domain::did_csv::{Columns, DidRow, InvalidHeader, RowError, RowReader};
use crate::domain::number::{E164, Region};

pub use self::inventory::import_dids;
pub use self::report::{ImportReport, Stored};

/// DIDs handed to the sink at once.
const CHUNK: usize = 5_000;

/// Bytes read at once, so that the sink and all others that share the thread get their turn.
const PIECE: usize = 16 * 1024;

/// The most numbers that an import remembers, so that of two rows with one number the first
/// counts: 9 bytes each, in the table that a hash set grows to.
const REMEMBERED_MAX: usize = 7 << 19;

/// How a file is to be read.
#[derive(Debug, Clone, Copy)]
pub struct ImportSettings {
    /// The numbering plan of numbers without `+`.
    pub default_region: Region,
    /// Nothing will be stored: the sink only looks. As no store will notice a number that stands in
    /// the file twice, the import does, among the first 3.6 million, at up to 18 bytes each.
    pub dry_run: bool,
}

/// An import that ended early. What went before is in the store, and in the report.
#[derive(Debug, thiserror::Error)]
#[error("{failure}{}", .report.so_far())]
pub struct ImportError<E: std::error::Error + 'static> {
    /// Why.
    #[source]
    pub failure: ImportFailure<E>,
    /// What was done before.
    pub report: Box<ImportReport>,
}

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure<E: std::error::Error + 'static> {
    /// The file has no header row that we can use.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The file is empty.
    #[error("the file is empty; its first line must name the columns, at least \"number\"")]
    Empty,
    /// The file is not text as we read it.
    #[error("the first line is not UTF-8; save the file as CSV UTF-8 and import it again")]
    NotUtf8,
    /// A row past all bounds, as a quote leaves it that is never closed.
    #[error("the row on line {line} is too long; is a quote in it never closed?")]
    RowTooLong {
        /// Where it begins.
        line: u64,
    },
    /// The file could not be read to its end.
    #[error("read the file: {0}")]
    Source(io::Error),
    /// A chunk could not be stored.
    #[error("store the DIDs: {0}")]
    Sink(E),
}

/// Reads a CSV and hands its DIDs to `sink` in chunks.
///
/// `sink` stores a chunk and says what came of it. In a dry run it only looks which of the numbers
/// are already there.
pub async fn import<S, K, F, E>(
    source: S,
    settings: ImportSettings,
    sink: K,
) -> Result<ImportReport, ImportError<E>>
where
    S: Stream<Item = io::Result<Bytes>>,
    K: FnMut(Vec<DidRow>) -> F,
    F: Future<Output = Result<Stored, E>>,
    E: std::error::Error + 'static,
{
    let repeats = match settings.dry_run {
        true => Repeats::FirstCounts,
        false => Repeats::SinkNotices,
    };
    import_with(source, settings, repeats, sink).await
}

/// Who notices that a number stands in the file twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// The sink, which has the first row by then.
    SinkNotices,
    /// The import: to the sink the second row would look like a change.
    FirstCounts,
}

async fn import_with<S, K, F, E>(
    source: S,
    settings: ImportSettings,
    repeats: Repeats,
    sink: K,
) -> Result<ImportReport, ImportError<E>>
where
    S: Stream<Item = io::Result<Bytes>>,
    K: FnMut(Vec<DidRow>) -> F,
    F: Future<Output = Result<Stored, E>>,
    E: std::error::Error + 'static,
{
    let mut import = Import::new(settings, repeats, sink);
    let outcome = import.run(source).await;
    // What has begun is finished, and told, however the reading ended.
    let outcome = outcome.and(import.settle().await);
    let report = import.report;
    match outcome {
        Ok(()) => Ok(report.finished()),
        Err(failure) => Err(ImportError { failure, report: Box::new(report) }),
    }
}

struct Import<K, F> {
    settings: ImportSettings,
    repeats: Repeats,
    sink: K,
    /// The sink with the last full chunk, until it is done.
    at_work: Option<Pin<Box<F>>>,
    rows: Rows,
    /// None until the header was read.
    reader: Option<RowReader>,
    chunk: Vec<DidRow>,
    /// The numbers so far, where the import itself notices repeats.
    seen: HashSet<E164>,
    report: ImportReport,
}

impl<K, F, E> Import<K, F>
where
    K: FnMut(Vec<DidRow>) -> F,
    F: Future<Output = Result<Stored, E>>,
    E: std::error::Error + 'static,
{
    fn new(settings: ImportSettings, repeats: Repeats, sink: K) -> Self {
        Self {
            settings,
            repeats,
            sink,
            at_work: None,
            rows: Rows::new(),
            reader: None,
            chunk: Vec::new(),
            seen: HashSet::new(),
            report: ImportReport::new(settings.dry_run),
        }
    }

    async fn run(
        &mut self,
        source: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<(), ImportFailure<E>> {
        let mut source = pin!(source);
        // The mark at the very beginning may come in pieces.
        let mut beginning = BytesMut::new();
        while beginning.len() < BYTE_ORDER_MARK.len()
            && let Some(bytes) = source.next().await
        {
            beginning.extend_from_slice(&bytes.map_err(ImportFailure::Source)?);
        }
        self.take(&beginning).await?;
        while let Some(bytes) = self.next_of(&mut source).await? {
            self.take(&bytes).await?;
        }
        match self.rows.finish()? {
            End::Clean => {}
            End::Row => self.take_row()?,
            End::OpenQuote => self.report.fail(bad_row(
                self.rows.row_line(),
                "a quote is opened in this row and never closed; all after it was left out",
            )),
        }
        if self.reader.is_none() {
            return Err(ImportFailure::Empty);
        }
        self.flush().await
    }

    /// The next bytes. The sink goes on while they are waited for.
    async fn next_of(
        &mut self,
        source: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<Option<Bytes>, ImportFailure<E>> {
        while let Some(at_work) = &mut self.at_work {
            let done = match select(at_work, source.next()).await {
                Either::Left((done, _)) => done,
                Either::Right((bytes, _)) => {
                    return bytes.transpose().map_err(ImportFailure::Source);
                }
            };
            self.note(done)?;
        }
        source.next().await.transpose().map_err(ImportFailure::Source)
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), ImportFailure<E>> {
        for mut piece in bytes.chunks(PIECE) {
            while let Fed::Row(used) = self.rows.feed(piece)? {
                piece = &piece[used..];
                self.take_row()?;
                if self.chunk.len() == CHUNK {
                    self.flush().await?;
                }
            }
            self.urge_on().await?;
        }
        Ok(())
    }

    fn take_row(&mut self) -> Result<(), ImportFailure<E>> {
        let line = self.rows.row_line();
        let row = self.rows.row();
        let Some(reader) = &mut self.reader else {
            let row = row.ok_or(ImportFailure::NotUtf8)?;
            let columns = Columns::read(row.cells())?;
            self.reader = Some(RowReader::new(columns, self.settings.default_region));
            return Ok(());
        };
        let Some(row) = row else {
            self.report.fail(bad_row(line, "the row is not UTF-8 text"));
            return Ok(());
        };
        // Spreadsheets write rows of nothing but commas below the last.
        if row.cells().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        match reader.read(line, row.width(), |place| row.cell(place), DidId(Uuid::now_v7())) {
            Ok(row) if self.is_repeat(row.did.number) => self.report.duplicates += 1,
            Ok(row) => self.chunk.push(row),
            Err(error) => self.report.fail(error),
        }
        Ok(())
    }

    fn is_repeat(&mut self, number: E164) -> bool {
        match self.repeats {
            Repeats::SinkNotices => false,
            Repeats::FirstCounts if self.seen.len() < REMEMBERED_MAX => !self.seen.insert(number),
            Repeats::FirstCounts => self.seen.contains(&number),
        }
    }

    /// Hands the chunk to the sink, which must be done with the one before.
    async fn flush(&mut self) -> Result<(), ImportFailure<E>> {
        self.settle().await?;
        if !self.chunk.is_empty() {
            let chunk = mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
            self.at_work = Some(Box::pin((self.sink)(chunk)));
            self.urge_on().await?;
        }
        Ok(())
    }

    /// Lets the sink go as far as it gets without waiting.
    async fn urge_on(&mut self) -> Result<(), ImportFailure<E>> {
        let Some(at_work) = &mut self.at_work else { return Ok(()) };
        yield_now().await;
        match poll_fn(|context| Poll::Ready(at_work.as_mut().poll(context))).await {
            Poll::Ready(done) => self.note(done),
            Poll::Pending => Ok(()),
        }
    }

    /// Waits for the sink.
    async fn settle(&mut self) -> Result<(), ImportFailure<E>> {
        match &mut self.at_work {
            Some(at_work) => {
                let done = at_work.await;
                self.note(done)
            }
            None => Ok(()),
        }
    }

    fn note(&mut self, done: Result<Stored, E>) -> Result<(), ImportFailure<E>> {
        self.at_work = None;
        self.report.add(done.map_err(ImportFailure::Sink)?);
        Ok(())
    }
}

impl<E: std::error::Error + 'static> From<TooLong> for ImportFailure<E> {
    fn from(row: TooLong) -> Self {
        Self::RowTooLong { line: row.line }
    }
}

fn bad_row(row: u64, error: &str) -> RowError {
    let error = error.to_owned();
    RowError { row, number: String::new(), column: None, code: "bad_row", error }
}

#[cfg(test)]
mod tests;
