//! The commands that run the house itself instead of asking a daemon.

use super::failure::{BAD_CONFIGURATION, Failure, PROBLEM};
use super::output::Output;
use super::{DemoArgs, ServeArgs};
use crate::config::{self, Config};
use crate::daemon;
use crate::telemetry;

/// `rotary serve`
pub(super) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let config = load(args)?;
    telemetry::start(&config.log).map_err(|why| Failure::new(BAD_CONFIGURATION, why))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime
        .block_on(daemon::serve(config))
        .map_err(|why| Failure::new(PROBLEM, format!("{why:#}")))?;
    if code == std::process::ExitCode::SUCCESS { Ok(()) } else { Err(Failure::told()) }
}

/// `rotary config`
pub(super) fn config(args: &ServeArgs, output: &mut Output<'_>) -> Result<(), Failure> {
    let config = load(args)?;
    Ok(output.line(config.print().trim_end())?)
}

pub(super) fn demo(_: &DemoArgs) -> Result<(), Failure> {
    Ok(())
}

fn load(args: &ServeArgs) -> Result<Config, Failure> {
    config::load(args.config.as_deref()).map_err(|why| Failure::new(BAD_CONFIGURATION, why))
}
