//! The tests that run the whole of Rotary, or much of it. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod asterisks;
mod bad_luck;
mod batch;
mod callbacks;
mod campaigns;
mod change_dids;
mod command_line;
mod command_line_inventory;
mod containers;
mod demo;
mod end_to_end;
mod examples;
mod export;
mod failures;
mod faults;
mod hang_up;
mod hear_changes;
mod house;
mod http_api;
mod import_csv;
mod import_csv_kept;
mod isolation;
mod limits;
mod make_call;
mod openapi;
mod pace;
mod ports;
mod postgres;
mod process;
mod real_asterisk;
mod receiver;
mod rotary;
mod schemathesis;
mod simulator;
mod store;
mod tenants;
mod two_daemons;
mod wait;
