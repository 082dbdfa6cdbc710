//! The tests that run the whole of Rotary, or much of it. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bad_luck;
mod callbacks;
mod command_line;
mod containers;
mod demo;
mod end_to_end;
mod examples;
mod failures;
mod faults;
mod house;
mod http_api;
mod import_csv;
mod make_call;
mod ports;
mod postgres;
mod process;
mod real_asterisk;
mod receiver;
mod rotary;
mod simulator;
mod store;
mod two_daemons;
mod wait;
