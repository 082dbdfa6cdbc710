//! The tests that run the whole of Rotary, or much of it. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod containers;
mod real_asterisk;
mod simulator;
