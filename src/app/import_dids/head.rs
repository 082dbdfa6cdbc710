//! The first line of a file, which decides what ends a cell.

use super::rows::{End, Fed, Rows};
use crate::domain::did_csv::Columns;

/// What may end a cell. Where two are as good, the first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Keeps the beginning of a file until its first line is whole by each delimiter.
pub(super) struct Head {
    kept: Vec<u8>,
    candidates: [Candidate; DELIMITERS.len()],
}

struct Candidate {
    delimiter: u8,
    rows: Rows,
    reads: Reads,
}

/// What the first line comes to by a delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// It goes on, as in a cell whose quote is open.
    NotYet,
    /// It is whole: so many columns that we know, and so many at all.
    Header { known: usize, width: usize },
    /// It is too long.
    Nothing,
}

/// What the first line decided.
pub(super) struct Decided {
    pub(super) delimiter: u8,
    /// Rows that have not read anything yet.
    pub(super) rows: Rows,
    /// All bytes of the file so far, but for a line that only names the delimiter.
    pub(super) bytes: Vec<u8>,
}

impl Head {
    pub(super) fn new() -> Self {
        let candidate = |delimiter| Candidate {
            delimiter,
            rows: Rows::new(delimiter, 1),
            reads: Reads::NotYet,
        };
        Self { kept: Vec::new(), candidates: DELIMITERS.map(candidate) }
    }

    /// Takes bytes; whether the first line can now decide.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        self.kept.extend_from_slice(bytes);
        for candidate in &mut self.candidates {
            candidate.feed(bytes);
        }
        self.candidates.iter().all(|candidate| candidate.reads != Reads::NotYet)
    }

    /// The delimiter by which the first line has most columns that we know, or else most columns.
    /// Excel's `sep=;` in place of a header names it outright.
    pub(super) fn decide(self) -> Decided {
        if let Some((delimiter, length)) = separator_line(&self.kept) {
            let bytes = self.kept[length..].to_vec();
            return Decided { delimiter, rows: Rows::new(delimiter, 2), bytes };
        }
        let best = self
            .candidates
            .into_iter()
            .map(Candidate::finish)
            .reduce(|best, other| if other.1 > best.1 { other } else { best });
        let delimiter = best.map_or(b',', |(delimiter, _)| delimiter);
        Decided { delimiter, rows: Rows::new(delimiter, 1), bytes: self.kept }
    }
}

impl Candidate {
    fn feed(&mut self, bytes: &[u8]) {
        if self.reads != Reads::NotYet {
            return;
        }
        match self.rows.feed(bytes) {
            Ok(Fed::More) => {}
            Ok(Fed::Row(_)) => self.reads = self.header(),
            Err(_) => self.reads = Reads::Nothing,
        }
    }

    fn header(&self) -> Reads {
        match self.rows.row() {
            Ok(row) => Reads::Header { known: Columns::known(row.cells()), width: row.width() },
            Err(_) => Reads::Header { known: 0, width: 0 },
        }
    }

    /// The delimiter, and the known and all columns it makes.
    fn finish(mut self) -> (u8, (usize, usize)) {
        if self.reads == Reads::NotYet && self.rows.finish() == Ok(End::Row) {
            self.reads = self.header();
        }
        match self.reads {
            Reads::Header { known, width } => (self.delimiter, (known, width)),
            Reads::NotYet | Reads::Nothing => (self.delimiter, (0, 0)),
        }
    }
}

/// The delimiter that a first line `sep=;` names, and the length of that line with its break.
fn separator_line(file: &[u8]) -> Option<(u8, usize)> {
    let end = file.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let line = &file[..end];
    let bare = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (word, delimiter) = bare.split_at_checked(4)?;
    let &[delimiter] = delimiter else { return None };
    let names_one = word.eq_ignore_ascii_case(b"sep=")
        && delimiter.is_ascii()
        && !delimiter.is_ascii_alphanumeric()
        && delimiter != b'"';
    let length = end + if file[end..].starts_with(b"\r\n") { 2 } else { 1 };
    names_one.then_some((delimiter, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_that_makes_known_columns_is_taken() {
        for (file, delimiter) in [
            ("number,status\n", b','),
            ("number;status\n", b';'),
            ("number\tstatus\n", b'\t'),
            ("number|status", b'|'),
            ("number\n", b','),
            ("", b','),
            ("number;\"notes, inner\";status\n", b';'),
            ("\"a;b\",number\n", b','),
            ("\"a,b;c,d\";number\n", b';'),
            ("number,one; two; three; four\n", b','),
            ("phone;cost,centre;x\n", b';'),
            ("sep=;\nnumber,x;status\n", b';'),
            ("\"sep=|\"\r\nnumber\n", b'|'),
            ("+14045556789;active;1,5\n", b';'),
        ] {
            assert_eq!(decide(&[file.as_bytes()]).delimiter, delimiter, "{file:?}");
            let bytes: Vec<&[u8]> = file.as_bytes().chunks(1).collect();
            assert_eq!(decide(&bytes).delimiter, delimiter, "{file:?} byte by byte");
        }
    }

    #[test]
    fn a_line_that_names_the_delimiter_is_counted_and_left_out() {
        let mut decided = decide(&[b"sep=;\r\nnumber;status\r\n"]);

        assert_eq!(decided.bytes, b"number;status\r\n");
        assert!(matches!(decided.rows.feed(&decided.bytes), Ok(Fed::Row(_))));
        assert_eq!(decided.rows.row_line(), 2);
    }

    fn decide(pieces: &[&[u8]]) -> Decided {
        let mut head = Head::new();
        for piece in pieces {
            head.feed(piece);
        }
        head.decide()
    }
}
