//! The `rotary` binary: all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rotary::cli::run(std::env::args_os())
}
