//! The tests that run the whole of Rotary, or much of it. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod command_line;
mod containers;
mod house;
mod http_api;
mod import_csv;
mod make_call;
mod postgres;
mod real_asterisk;
mod simulator;
mod store;
