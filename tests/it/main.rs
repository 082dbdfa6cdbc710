//! Everything that is tested from outside, in one binary: linking once is faster than many times.

#[cfg(test)]
mod import_csv;
