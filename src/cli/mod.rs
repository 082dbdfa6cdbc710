//! The command line: `rotary serve` and `rotary demo` run the daemon, all else asks a running one
//! over its control socket.
//!
//! Exit codes: 0 done, 1 it ran and found a problem, 2 wrong usage, 69 daemon unreachable,
//! 78 bad configuration.

mod audit_log;
mod batch;
mod callbacks;
mod calls;
mod campaigns;
mod change_dids;
pub mod client;
mod did_filter;
mod dids;
mod events;
mod export;
pub mod failure;
mod house;
mod import;
mod keys;
mod output;
mod picks;
mod sse;
mod status;
mod tenants;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::client::Client;
use self::failure::Failure;
use self::output::Output;
use crate::config;
use crate::domain::tenant::TenantId;

/// A telephony sidecar for Asterisk: rotates caller IDs, places calls and follows them to their end.
#[derive(Debug, Parser)]
#[command(name = "rotary", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command that talks to a daemon understands.
#[derive(Debug, Args)]
struct Global {
    /// The daemon's control socket
    #[arg(long, global = true, env = "ROTARY_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    /// The tenant to act for [default: default]
    #[arg(long, global = true, value_name = "TENANT")]
    tenant: Option<TenantId>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(ServeArgs),
    /// Run Rotary with a simulated Asterisk: nothing to install, nothing left behind
    Demo(DemoArgs),
    /// Print the configuration in force, secrets as ***
    Config(ServeArgs),
    /// Bring in, list, add and change the numbers that may be shown
    #[command(subcommand)]
    Dids(dids::Command),
    /// Place a call
    Call(calls::CallArgs),
    /// List calls, or show one
    #[command(subcommand)]
    Calls(calls::Command),
    /// Show what happens to calls as it happens, a line a change
    Events(events::EventsArgs),
    /// List callbacks, and send them again
    #[command(subcommand)]
    Callbacks(callbacks::Command),
    /// List the DIDs that dialplans and other dialers were given, and give one back
    #[command(subcommand)]
    Picks(picks::Command),
    /// Describe, list and change campaigns, the pools that calls pick from
    #[command(subcommand)]
    Campaigns(campaigns::Command),
    /// Show how the daemon is doing
    Status,
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Add, list and show tenants
    #[command(subcommand)]
    Tenants(tenants::Command),
    /// Show who did what; all tenants' unless --tenant names one
    AuditLog(audit_log::AuditLogArgs),
}

/// What the daemon is started with.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file (also ROTARY_CONFIG); without one, SQLite and Asterisk at 127.0.0.1:5038
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What the demo is started with.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave after the sample calls instead of staying up
    #[arg(long)]
    pub once: bool,
}

/// Runs one command line, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Not locked: the daemon's threads log to standard error while its command is running.
    ExitCode::from(run_on(args, &mut std::io::stdout(), &mut std::io::stderr()))
}

fn run_on(
    args: impl IntoIterator<Item = OsString>,
    out: &mut dyn std::io::Write,
    err: &mut dyn std::io::Write,
) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(help_or_error) => {
            let text = help_or_error.render();
            let wrong = help_or_error.use_stderr();
            let _nobody_reads = if wrong { write!(err, "{text}") } else { write!(out, "{text}") };
            return if wrong { failure::USAGE } else { 0 };
        }
    };
    let mut output = Output::new(out, err, cli.global.json);
    match execute(cli, &mut output) {
        Ok(()) => 0,
        Err(failure) => {
            let _nobody_reads = output.failure(&failure);
            failure.code
        }
    }
}

fn execute(cli: Cli, output: &mut Output<'_>) -> Result<(), Failure> {
    let global = cli.global;
    match cli.command {
        Command::Serve(args) => house::serve(&args),
        Command::Demo(args) => house::demo(&args, output),
        Command::Config(args) => house::config(&args, output),
        Command::Dids(command) => ask(dids::run(command, &global.client(), output)),
        Command::Call(args) => ask(calls::call(args, &global.client(), output)),
        Command::Calls(command) => ask(calls::run(command, &global.client(), output)),
        Command::Events(args) => ask(events::run(args, &global.client(), output)),
        Command::Callbacks(command) => ask(callbacks::run(command, &global.client(), output)),
        Command::Picks(command) => ask(picks::run(command, &global.client(), output)),
        Command::Campaigns(command) => ask(campaigns::run(command, &global.client(), output)),
        Command::Status => ask(status::run(&global.client(), output)),
        Command::Keys(command) => ask(keys::run(command, &global.client(), output)),
        Command::Tenants(command) => ask(tenants::run(command, &global.client(), output)),
        Command::AuditLog(args) => ask(audit_log::run(args, &global.client(), output)),
    }
}

/// Runs a command that asks a daemon.
fn ask(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

impl Global {
    fn client(&self) -> Client {
        let socket = self.socket.clone().unwrap_or_else(config::default_socket);
        Client::new(socket, self.tenant.as_ref().map(ToString::to_string))
    }
}
