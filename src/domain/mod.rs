//! The words we use and the decisions we make.
//!
//! Nothing here reads a socket, a table or a clock. Time comes in as `now`.

mod as_text;
pub mod asterisk;
pub mod audit;
pub mod call;
pub mod callback;
pub mod campaign;
pub mod did;
pub mod did_change;
pub mod did_csv;
pub mod json;
pub mod number;
pub mod pace;
pub mod pick;
pub mod rotation;
pub mod tenant;
