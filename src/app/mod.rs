//! What Rotary can do, one file per operation.

pub mod import_dids;
