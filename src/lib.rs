//! Rotary sits beside Asterisk, keeps phone numbers, shows the right one on every outbound call,
//! counts the use before the phone rings, and tells whoever asked what became of the call.
//!
//! Read the modules in this order; each may use only the floors below its own.
//!
//! 1. [`domain`]: what we speak of and how we decide. No I/O, no clock.
//! 2. [`mod@line`]: what every line to an Asterisk has in common.
//! 3. [`agi`], [`ami`], [`ari`], [`store`], [`webhooks`]: one outside system each; they do not know each other.
//! 4. [`app`]: what Rotary can do, one file per operation.
//! 5. [`fastagi`], [`http`]: the doors by which a request comes in.
//! 6. [`config`], [`daemon`], [`lifecycle`], [`telemetry`], [`cli`], [`demo`]: the house, which wires it all.

pub mod domain;

pub mod line;

pub mod agi;
pub mod ami;
pub mod ari;
pub mod store;
pub mod webhooks;

pub mod app;

pub mod fastagi;
pub mod http;

pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod lifecycle;
pub mod telemetry;
