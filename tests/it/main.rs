//! The tests that run the whole of Rotary, or much of it. One binary, so that it links once.

mod containers;
mod import_csv;
mod real_asterisk;
