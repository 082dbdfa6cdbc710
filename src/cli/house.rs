//! The commands that run the house itself instead of asking a daemon.

use super::failure::{BAD_CONFIGURATION, Failure, PROBLEM};
use super::output::Output;
use super::{DemoArgs, ServeArgs};
use crate::config::{self, Config};
use crate::daemon;
use crate::demo;
use crate::telemetry;
