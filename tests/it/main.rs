//! Everything that is tested from outside, in one binary: linking once is faster than many times.

mod import_csv;
