//! The tests that run the whole of Rotary, or much of it. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod containers;
mod end_to_end;
mod import_csv;
mod ports;
mod postgres;
mod process;
mod real_asterisk;
mod rotary;
mod store;
mod wait;
