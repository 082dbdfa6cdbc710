//! Bytes into rows, as they come: CSV as RFC 4180 has it, over any number of reads.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// The longest row, in bytes. A quote that is never closed would else take in the whole file, and
/// a page of a list holds a thousand rows.
pub const ROW_MAX: usize = 64 * 1024;

/// The most cells in a row.
const CELLS_MAX: usize = 4096;

/// Splits a file into rows; holds one row at a time.
pub(super) struct Rows {
    reader: Reader,
    /// The cells of the row, one after the other, and where each ends.
    cells: Vec<u8>,
    ends: Vec<usize>,
    filled: usize,
    cut: usize,
    /// The line of the next byte.
    line: u64,
    /// The last byte was a carriage return: a line feed after it ends no other line.
    after_return: bool,
    /// The line on which the row began; none between rows.
    begun: Option<u64>,
    row_line: u64,
}

/// What a feed came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// All bytes are taken and the row goes on.
    More,
    /// A row is whole; this many bytes were taken.
    Row(usize),
}

/// A row past the bounds, on this line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) line: u64,
}

/// How a file ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After a whole row.
    Clean,
    /// With a row that no line break ends; it is whole.
    Row,
    /// Inside a quoted cell.
    OpenQuote,
}

/// Why a row is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotText {
    /// It is of another encoding than UTF-8.
    NotUtf8,
    /// It holds a NUL, which no table takes.
    Nul,
}

/// One row of text.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl Rows {
    /// Rows whose cells end at `delimiter`; the first byte stands on `line`.
    pub(super) fn new(delimiter: u8, line: u64) -> Self {
        Self {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            cells: vec![0; 4096],
            ends: vec![0; 64],
            filled: 0,
            cut: 0,
            line,
            after_return: false,
            begun: None,
            row_line: line,
        }
    }

    /// Takes bytes up to the end of a row.
    pub(super) fn feed(&mut self, input: &[u8]) -> Result<Fed, TooLong> {
        let mut used = self.skip_to_row(input);
        while used < input.len() {
            let (result, read, wrote, ended) = self.reader.read_record(
                &input[used..],
                &mut self.cells[self.filled..],
                &mut self.ends[self.cut..],
            );
            self.count_lines(&input[used..used + read]);
            used += read;
            self.filled += wrote;
            self.cut += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => self.grow()?,
                ReadRecordResult::Record => {
                    self.end_row();
                    return Ok(Fed::Row(used));
                }
            }
        }
        Ok(Fed::More)
    }

    /// No more bytes come.
    pub(super) fn finish(&mut self) -> Result<End, TooLong> {
        if self.begun.is_none() {
            return Ok(End::Clean);
        }
        // The line break that may be missing. Only inside quotes does it not end the row.
        Ok(match self.feed(b"\n")? {
            Fed::Row(_) => End::Row,
            Fed::More => {
                self.end_row();
                End::OpenQuote
            }
        })
    }

    /// The line on which the last row began.
    pub(super) fn row_line(&self) -> u64 {
        self.row_line
    }

    /// The last row.
    pub(super) fn row(&self) -> Result<Row<'_>, NotText> {
        let bytes = self.cells.get(..self.filled).unwrap_or_default();
        if memchr::memchr(0, bytes).is_some() {
            return Err(NotText::Nul);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NotText::NotUtf8)?;
        Ok(Row { text, ends: self.ends.get(..self.cut).unwrap_or_default() })
    }

    /// The cells of the last row, text or not.
    pub(super) fn raw_cells(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.ends.get(..self.cut).unwrap_or_default();
        let mut start = 0;
        ends.iter().map(move |end| {
            let cell = self.cells.get(start..*end).unwrap_or_default();
            start = *end;
            cell
        })
    }

    /// Skips what stands between rows: line breaks and blank lines.
    fn skip_to_row(&mut self, input: &[u8]) -> usize {
        if self.begun.is_some() || input.is_empty() {
            return 0;
        }
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let used = input.iter().position(|byte| !is_break(byte)).unwrap_or(input.len());
        self.count_lines(&input[..used]);
        if used < input.len() {
            self.begun = Some(self.line);
            (self.filled, self.cut) = (0, 0);
        }
        used
    }

    /// A line ends with a line feed, a carriage return, or both.
    fn count_lines(&mut self, read: &[u8]) {
        let Some(last) = read.last() else { return };
        let feeds = memchr::memchr_iter(b'\n', read).count();
        let returns = memchr::memchr_iter(b'\r', read).count();
        let both = match feeds > 0 && (returns > 0 || self.after_return) {
            true => {
                let split = self.after_return && read[0] == b'\n';
                memchr::memmem::find_iter(read, b"\r\n").count() + usize::from(split)
            }
            false => 0,
        };
        self.line += (feeds + returns - both) as u64;
        self.after_return = *last == b'\r';
    }

    fn end_row(&mut self) {
        self.row_line = self.begun.take().unwrap_or(self.line);
    }

    fn grow(&mut self) -> Result<(), TooLong> {
        if self.filled >= ROW_MAX || self.cut >= CELLS_MAX {
            return Err(TooLong { line: self.begun.unwrap_or(self.line) });
        }
        if self.filled == self.cells.len() {
            self.cells.resize(self.cells.len() * 2, 0);
        }
        if self.cut == self.ends.len() {
            self.ends.resize(self.ends.len() * 2, 0);
        }
        Ok(())
    }
}

impl<'a> Row<'a> {
    pub(super) fn width(self) -> usize {
        self.ends.len()
    }

    /// The cell at a place; empty beyond the last.
    pub(super) fn cell(self, place: usize) -> &'a str {
        let Some(end) = self.ends.get(place) else { return "" };
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..*end).unwrap_or("")
    }

    pub(super) fn cells(self) -> impl Iterator<Item = &'a str> {
        (0..self.width()).map(move |place| self.cell(place))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_counted_through_blank_lines_quotes_and_both_line_breaks() {
        for newline in ["\n", "\r\n", "\r"] {
            let file = "a,b\n\n1,\"x\n\ny\"\n2,\"say \"\"hi\"\"\"\n\n\n3".replace('\n', newline);

            let rows = split(&[file.as_bytes()]);

            let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, [1, 3, 6, 9]);
            assert_eq!(rows[2].1, ["2", "say \"hi\""]);
            assert_eq!(rows[3].1, ["3"]);
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_in_an_error() {
        let mut rows = Rows::new(b',', 1);
        assert_eq!(rows.feed(b"a,\"b\nc,d\n"), Ok(Fed::More));
        assert_eq!(rows.finish(), Ok(End::OpenQuote));
        assert_eq!(rows.row_line(), 1);

        let mut rows = Rows::new(b',', 1);
        let endless = [b"1\n2,\"".as_slice(), &vec![b'x'; ROW_MAX + 1]].concat();
        assert_eq!(rows.feed(&endless), Ok(Fed::Row(2)));
        assert_eq!(rows.feed(&endless[2..]), Err(TooLong { line: 2 }));
    }

    #[test]
    fn a_row_of_too_many_cells_is_refused() {
        let file = ",".repeat(CELLS_MAX + 1);

        assert_eq!(Rows::new(b',', 1).feed(file.as_bytes()), Err(TooLong { line: 1 }));
    }

    proptest! {
        #[test]
        fn lines_are_counted_alike_however_a_file_is_cut(file in "[a\r\n]{0,40}") {
            let bytes: Vec<&[u8]> = file.as_bytes().chunks(1).collect();
            let mut rows = Rows::new(b',', 1);
            for byte in bytes {
                rows.feed(byte).unwrap();
            }

            let lines = file.replace("\r\n", "\n").replace('\r', "\n").matches('\n').count();
            prop_assert_eq!(rows.line, 1 + lines as u64);
        }

        #[test]
        fn however_a_file_is_cut_its_rows_are_the_same(
            file in "[ab,\"\r\n é]{0,60}",
            cuts in proptest::collection::vec(0..60_usize, 0..5),
        ) {
            let bytes = file.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();

            prop_assert_eq!(split(&parts), split(&[bytes]));
        }
    }

    fn split(parts: &[&[u8]]) -> Vec<(u64, Vec<String>)> {
        let mut rows = Rows::new(b',', 1);
        let mut found = Vec::new();
        let mut keep = |rows: &Rows| {
            let cells = rows.row().unwrap().cells().map(str::to_owned).collect();
            found.push((rows.row_line(), cells));
        };
        for part in parts {
            let mut part = *part;
            while let Fed::Row(used) = rows.feed(part).unwrap() {
                keep(&rows);
                part = &part[used..];
            }
        }
        if rows.finish().unwrap() == End::Row {
            keep(&rows);
        }
        found
    }
}
