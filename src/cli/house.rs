//! The commands that run the house itself instead of asking a daemon.

use super::failure::Failure;
use super::output::Output;
use super::{DemoArgs, ServeArgs};
pub(super) fn serve(_:&ServeArgs)->Result<(),Failure>{Ok(())}
pub(super) fn demo(_:&DemoArgs)->Result<(),Failure>{Ok(())}
pub(super) fn config(_:&ServeArgs,_:&mut Output<'_>)->Result<(),Failure>{Ok(())}
