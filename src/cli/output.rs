//! Where a command prints: tables and lines for people, JSON for programs.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::failure::Failure;
use crate::http::view::PageView;

/// A command's standard output and standard error.
pub(super) struct Output<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    json: bool,
}

impl<'a> Output<'a> {
    /// Prints to `out`, and what is not the answer to `err`.
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, json: bool) -> Self {
        Self { out, err, json }
    }

    /// Whether a program reads it.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Where the answer goes, for what prints in its own way.
    pub(super) fn writer(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Prints the answer as JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *self.out, value)?;
        writeln!(self.out)
    }

    /// Prints a line of the answer.
    pub(super) fn line(&mut self, line: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// Tells a person something beside the answer.
    pub(super) fn note(&mut self, note: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.err, "{note}")
    }

    /// Prints rows under their headings.
    pub(super) fn table<const N: usize>(
        &mut self,
        headings: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(headings);
        for row in rows {
            table.add_row(row.map(|cell| harmless(&cell)));
        }
        for line in table.lines() {
            let line = line.strip_prefix(' ').unwrap_or(&line);
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Prints a part of a list, and how to get the next part.
    pub(super) fn page<T: Serialize, const N: usize>(
        &mut self,
        page: &PageView<T>,
        headings: [&str; N],
        row: impl Fn(&T) -> [String; N],
    ) -> io::Result<()> {
        if self.json {
            return self.json(page);
        }
        self.table(headings, page.data.iter().map(row))?;
        match &page.next_cursor {
            Some(cursor) => self.note(format!("there are more: --cursor {cursor}")),
            None => Ok(()),
        }
    }

    /// Prints names and values below each other.
    pub(super) fn pairs<'n>(&mut self, pairs: impl AsRef<[(&'n str, String)]>) -> io::Result<()> {
        let shown = pairs.as_ref().iter().filter(|(_, value)| !value.is_empty());
        let width = shown.clone().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in shown {
            writeln!(self.out, "{name:width$}  {}", harmless(value))?;
        }
        Ok(())
    }

    /// Tells why a command failed.
    pub(super) fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        if !failure.message.is_empty() {
            writeln!(self.err, "error: {}", harmless(&failure.message))?;
        }
        if let Some(hint) = &failure.hint {
            writeln!(self.err, "hint: {hint}")?;
        }
        Ok(())
    }
}

/// What came from a file or from Asterisk, without what a terminal would obey.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() && letter != '\n' {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    shown
}

/// A value, or `-` where there is none.
pub(super) fn or_dash(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A time to the second, in UTC.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_a_file_holds() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err, false);

        output.table(["NUMBER"], [["\u{1b}]0;owned\u{7}1".to_owned()]]).unwrap();
        output.failure(&Failure::new(1, "not\u{1b}[2J\nhere")).unwrap();

        assert_eq!(String::from_utf8(out).unwrap(), "NUMBER\n\\u{1b}]0;owned\\u{7}1\n");
        assert_eq!(String::from_utf8(err).unwrap(), "error: not\\u{1b}[2J\nhere\n");
    }
}
