//! A CSV of DIDs, streamed into the store.
//!
//! ```text
//! bytes ──> text ──> rows ──> domain::did_csv ──> a chunk of DIDs ──> sink ──> report
//!              └─ head            └─ bad rows ──> rejected ────────────────────^
//! ```
//!
//! Some chunks, one row and the first errors are all that is held, however long the file is. While
//! the sink is at work on as many chunks as it can store at once, the next one is read, and no more:
//! a slow store slows the sender down.

mod head;
mod inventory;
mod rejected;
mod report;
mod rows;
mod text;
mod under_way;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::mem;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use uuid::Uuid;

use self::head::{Decided, Head};
use self::rejected::{Place, Rejected};
use self::rows::{End, Fed, NotText, Rows, TooLong};
use self::text::Text;
use crate::domain::did::DidId;
use crate::domain::did_csv::{Columns, DidRow, InvalidHeader, RowError, RowReader};
use crate::domain::number::{E164, Region};

pub use self::inventory::import_dids;
pub use self::rejected::rejected_rows;
pub use self::report::{ImportReport, Stored};
pub use self::rows::ROW_MAX;
pub use self::under_way::{ImportTurn, ImportsUnderWay, TooManyImports};

/// DIDs handed to the sink at once.
const CHUNK: usize = 5_000;

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
    NotText,
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
/// `sink` stores a chunk, one at a time, and says what came of it. In a dry run it only looks which of the numbers
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
    import_with(source, Plan { settings, repeats, at_once: 1 }, None, sink).await
}

/// Who notices that a number stands in the file twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// The sink, which has the first row by then.
    SinkNotices,
    /// The import: to the sink the second row would look like a change.
    FirstCounts,
}

/// How an import goes about it.
#[derive(Debug, Clone, Copy)]
struct Plan {
    settings: ImportSettings,
    repeats: Repeats,
    /// How many chunks the sink may have at once. It begins with each at once, so one more is read
    /// meanwhile.
    at_once: usize,
}

async fn import_with<S, K, F, E>(
    source: S,
    plan: Plan,
    place: Option<Place>,
    sink: K,
) -> Result<ImportReport, ImportError<E>>
where
    S: Stream<Item = io::Result<Bytes>>,
    K: FnMut(Vec<DidRow>) -> F,
    F: Future<Output = Result<Stored, E>>,
    E: std::error::Error + 'static,
{
    let mut import = Import::new(plan, place, sink);
    let outcome = import.run(source).await;
    let outcome = outcome.and(import.settle().await);
    let kept = import.rejected.finish().await;
    let report = import.report;
    match outcome {
        Ok(()) => {
            let mut report = report.finished();
            report.tell_of(&kept);
            Ok(report)
        }
        Err(failure) => Err(ImportError { failure, report: Box::new(report) }),
    }
}

struct Import<K, F> {
    settings: ImportSettings,
    repeats: Repeats,
    sink: K,
    /// How many chunks the sink may have at once.
    at_once: usize,
    under_way: VecDeque<UnderWay<F>>,
    text: Text,
    /// None once the first line has decided what ends a cell.
    head: Option<Head>,
    delimiter: u8,
    rows: Rows,
    /// None until the header was read.
    reader: Option<RowReader>,
    chunk: Vec<DidRow>,
    /// The numbers so far, where the import itself notices repeats.
    seen: HashSet<E164>,
    rejected: Rejected,
    report: ImportReport,
}

/// A chunk that the sink has.
struct UnderWay<F> {
    numbers: HashSet<E164>,
    stored: Pin<Box<F>>,
}

impl<K, F, E> Import<K, F>
where
    K: FnMut(Vec<DidRow>) -> F,
    F: Future<Output = Result<Stored, E>>,
    E: std::error::Error + 'static,
{
    fn new(plan: Plan, place: Option<Place>, sink: K) -> Self {
        let Plan { settings, repeats, at_once } = plan;
        let import_id = place.as_ref().map(|place| place.import);
        Self {
            settings,
            repeats,
            sink,
            at_once,
            under_way: VecDeque::new(),
            text: Text::new(),
            head: Some(Head::new()),
            delimiter: b',',
            rows: Rows::new(b',', 1),
            reader: None,
            chunk: Vec::new(),
            seen: HashSet::new(),
            rejected: Rejected::new(place),
            report: ImportReport::new(settings.dry_run, import_id),
        }
    }

    async fn run(
        &mut self,
        source: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<(), ImportFailure<E>> {
        let mut source = std::pin::pin!(source);
        while let Some(bytes) = source.next().await {
            let text = self.text.take(bytes.map_err(ImportFailure::Source)?);
            self.take(&text).await?;
        }
        let rest = self.text.finish();
        self.take(&rest).await?;
        if let Some(head) = self.head.take() {
            self.begin(head).await?;
        }
        match self.rows.finish()? {
            End::Clean => {}
            End::Row => self.take_row()?,
            End::OpenQuote => self.reject(RowError::bad_row(
                self.rows.row_line(),
                "a quote is opened in this row and never closed; all after it was left out",
                "close the quote, or write two where one is meant as a character",
            )),
        }
        if self.reader.is_none() {
            return Err(ImportFailure::Empty);
        }
        self.flush().await
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), ImportFailure<E>> {
        match self.head.take() {
            None => self.take_rows(bytes).await,
            Some(mut head) => match head.feed(bytes) {
                true => self.begin(head).await,
                false => {
                    self.head = Some(head);
                    Ok(())
                }
            },
        }
    }

    /// Begins with the rows, once the first line is known.
    async fn begin(&mut self, head: Head) -> Result<(), ImportFailure<E>> {
        let Decided { delimiter, rows, bytes } = head.decide();
        self.delimiter = delimiter;
        self.rows = rows;
        self.take_rows(&bytes).await
    }

    async fn take_rows(&mut self, mut bytes: &[u8]) -> Result<(), ImportFailure<E>> {
        while let Fed::Row(used) = self.rows.feed(bytes)? {
            bytes = &bytes[used..];
            self.take_row()?;
            if self.chunk.len() == CHUNK {
                self.flush().await?;
            }
            if self.rejected.is_full() {
                self.rejected.flush().await;
            }
        }
        Ok(())
    }

    fn take_row(&mut self) -> Result<(), ImportFailure<E>> {
        let line = self.rows.row_line();
        let row = self.rows.row();
        let Some(reader) = &mut self.reader else {
            let row = row.map_err(|_| ImportFailure::NotText)?;
            let columns = Columns::read(row.cells(), self.settings.default_region)?;
            self.rejected.header(row.cells(), self.delimiter);
            self.reader = Some(RowReader::new(columns, self.settings.default_region));
            return Ok(());
        };
        let row = match row {
            Ok(row) => row,
            Err(why) => {
                self.reject(why.told(line));
                return Ok(());
            }
        };
        // Spreadsheets write rows of nothing but commas below the last.
        if row.cells().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        match reader.read(line, row.width(), |place| row.cell(place), DidId(Uuid::now_v7())) {
            Ok(row) if self.is_repeat(row.did.number) => self.report.duplicates += 1,
            Ok(row) => self.chunk.push(row),
            Err(error) => self.reject(error),
        }
        Ok(())
    }

    /// Reports the row that was read last, and keeps it.
    fn reject(&mut self, error: RowError) {
        self.rejected.take(&self.rows, &error);
        self.report.fail(error);
    }

    fn is_repeat(&mut self, number: E164) -> bool {
        match self.repeats {
            Repeats::SinkNotices => false,
            Repeats::FirstCounts if self.seen.len() < REMEMBERED_MAX => !self.seen.insert(number),
            Repeats::FirstCounts => self.seen.contains(&number),
        }
    }

    /// Hands the chunk to the sink, once it has room for one more.
    async fn flush(&mut self) -> Result<(), ImportFailure<E>> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        let numbers: HashSet<E164> = chunk.iter().map(|row| row.did.number).collect();
        // Of two rows with one number the first counts, so it must be there before the second.
        let meets = |other: &UnderWay<F>| !other.numbers.is_disjoint(&numbers);
        while self.under_way.len() >= self.at_once || self.under_way.iter().any(meets) {
            self.settle_oldest().await?;
        }
        let stored = Box::pin((self.sink)(chunk));
        self.under_way.push_back(UnderWay { numbers, stored });
        Ok(())
    }

    async fn settle_oldest(&mut self) -> Result<(), ImportFailure<E>> {
        let Some(oldest) = self.under_way.pop_front() else { return Ok(()) };
        self.report.add(oldest.stored.await.map_err(ImportFailure::Sink)?);
        Ok(())
    }

    /// Waits for all that the sink has. What has begun is finished, and told, however the reading
    /// ended.
    async fn settle(&mut self) -> Result<(), ImportFailure<E>> {
        let mut outcome = Ok(());
        while !self.under_way.is_empty() {
            outcome = outcome.and(self.settle_oldest().await);
        }
        outcome
    }
}

impl<E: std::error::Error + 'static> From<TooLong> for ImportFailure<E> {
    fn from(row: TooLong) -> Self {
        Self::RowTooLong { line: row.line }
    }
}

impl NotText {
    fn told(self, line: u64) -> RowError {
        match self {
            Self::NotUtf8 => RowError::bad_row(
                line,
                "the row is not UTF-8 text",
                "save the file as \"CSV UTF-8\" and import it again",
            ),
            Self::Nul => RowError::bad_row(
                line,
                "the row holds a NUL character",
                "export the file again, or take the character out",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
