//! The tests that run the whole of Rotary, or much of it. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod asterisks;
mod bad_luck;
mod callbacks;
mod campaigns;
mod certificates;
mod change_dids;
mod command_line;
mod command_line_events;
mod command_line_inventory;
mod containers;
mod demo;
mod end_to_end;
mod event_stream;
mod events;
mod exactly_once;
mod examples;
mod export;
mod failures;
mod faults;
mod flood;
mod hear_changes;
mod house;
mod http_api;
mod import_csv;
mod import_csv_kept;
mod isolation;
mod limits;
mod make_call;
mod metrics;
mod openapi;
mod ports;
mod postgres;
mod process;
mod real_asterisk;
mod receiver;
mod recorded_calls;
mod rotary;
mod schemathesis;
mod simulator;
mod store;
mod tenants;
mod tls;
mod two_daemons;
mod wait;
