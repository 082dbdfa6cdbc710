//! The commands that run the house itself instead of asking a daemon.

use std::process::ExitCode;

use super::failure::{BAD_CONFIGURATION, Failure, PROBLEM};
use super::output::Output;
use super::{DemoArgs, ServeArgs};
use crate::config::{self, Config};
use crate::daemon;
use crate::demo::{self, Afterwards};
use crate::store::OpenError;
use crate::telemetry;

/// `rotary serve`
pub(super) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let config = load(args)?;
    telemetry::start(&config.log).map_err(|why| Failure::new(BAD_CONFIGURATION, why))?;
    run(daemon::serve(config))
}

/// `rotary demo`
pub(super) fn demo(args: &DemoArgs, output: &mut Output<'_>) -> Result<(), Failure> {
    let afterwards = if args.once { Afterwards::Leave } else { Afterwards::Stay };
    run(demo::run(afterwards, output.writer()))
}

/// `rotary config`
pub(super) fn config(args: &ServeArgs, output: &mut Output<'_>) -> Result<(), Failure> {
    let config = load(args)?;
    if output.is_json() {
        return Ok(output.json(&config.masked())?);
    }
    Ok(output.line(config.print().trim_end())?)
}

fn run(house: impl Future<Output = anyhow::Result<ExitCode>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match runtime.block_on(house) {
        Ok(ExitCode::SUCCESS) => Ok(()),
        Ok(_) => Err(Failure::told()),
        Err(why) => Err(Failure::new(exit_code(&why), format!("{why:#}"))),
    }
}

/// A store's address that is none stays none however often the daemon is started again.
fn exit_code(why: &anyhow::Error) -> u8 {
    match why.downcast_ref::<OpenError>() {
        Some(OpenError::Address(_)) => BAD_CONFIGURATION,
        Some(_) | None => PROBLEM,
    }
}

/// The configuration, or why it is none.
pub(super) fn load(args: &ServeArgs) -> Result<Config, Failure> {
    config::load(args.config.as_deref()).map_err(|why| Failure::new(BAD_CONFIGURATION, why))
}
