//! `rotary dids import FILE`: streams the file to the daemon, tells what became of it and brings
//! the rejected rows back.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::client::{Ask, Body, Client};
use super::export::NewFile;
use super::failure::{Failure, PROBLEM};
use super::output::Output;
use crate::app::import_dids::ImportReport;
use crate::domain::did_csv::RowError;

/// How many failed rows a person is shown.
const ERRORS_SHOWN: usize = 20;

/// How much of the file is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The CSV file, or - for standard input
    file: PathBuf,
    /// Check every row and store none
    #[arg(long)]
    dry_run: bool,
    /// What to do with a number that is there already
    #[arg(long, value_enum, value_name = "WHAT")]
    on_duplicate: Option<OnDuplicate>,
    /// The country of numbers without +, such as US or GB
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    /// Where to write the rows that failed, to be mended and imported again; a file that is there is
    /// not touched, another name is chosen [default: FILE.rejected.csv]
    #[arg(long, value_name = "OUT.csv")]
    rejected: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnDuplicate {
    /// Leave it as it is
    Skip,
    /// Change it to what the file says
    Update,
}

/// Imports one file. Fails with exit code 1 when a row did.
pub(super) async fn import(
    args: ImportArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let on_duplicate = args.on_duplicate.map(|what| match what {
        OnDuplicate::Skip => "skip",
        OnDuplicate::Update => "update",
    });
    let beside = (args.file.as_os_str() != "-").then(|| beside(&args.file));
    let (body, bar) = open(&args.file).await?;
    let ask = Ask::stream("/api/asterisk-dids/import", "text/csv", body)
        .query("dryRun", args.dry_run.then_some(true))
        .query("onDuplicate", on_duplicate)
        .query("defaultRegion", args.default_region);

    let answer = client.send::<ImportReport>(ask).await;
    bar.finish_and_clear();
    let report = answer?;

    if output.is_json() {
        output.json(&report)?;
    } else {
        tell(&report, output)?;
    }
    if let (Some(path), Some(out)) = (&report.rejected, args.rejected.or(beside)) {
        match bring_back(path, &out, client).await {
            Ok(file) => output.note(format!("rejected rows: {}", file.display()))?,
            // The import itself is done; where its rejected rows are is said all the same.
            Err(why) => output.note(format!(
                "the rejected rows could not be written ({}); the daemon has them at {path}",
                why.message
            ))?,
        }
    }
    if report.failed == 0 { Ok(()) } else { Err(Failure::told()) }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".rejected.csv");
    name.into()
}

/// Writes the rejected rows to a file of this name, or of a free one like it.
async fn bring_back(path: &str, out: &Path, client: &Client) -> Result<PathBuf, Failure> {
    let mut file = NewFile::beside(out)?;
    client.download(Ask::get(path), |bytes| file.write(bytes)).await?;
    file.keep_free()
}

async fn open(path: &Path) -> Result<(Body, ProgressBar), Failure> {
    if path.as_os_str() == "-" {
        let bar = ProgressBar::no_length().with_style(style("{spinner} {bytes}, {msg}"));
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let file = File::from_std(std::fs::File::from(input));
        return Ok((streamed(file, bar.clone()), bar));
    }
    let unreadable =
        |error: io::Error| Failure::new(PROBLEM, format!("{}: {error}", path.display()));
    let file = File::open(path).await.map_err(unreadable)?;
    let about = file.metadata().await.map_err(unreadable)?;
    if about.is_dir() {
        return Err(Failure::new(PROBLEM, format!("{}: is a directory", path.display())));
    }
    let bar = ProgressBar::new(about.len())
        .with_style(style("{wide_bar} {bytes} of {total_bytes}, {msg}, {eta} left"));
    Ok((streamed(file, bar.clone()), bar))
}

/// The bar draws itself on standard error, and only on a terminal. The daemon takes the next bytes
/// when it has stored the last, so what is sent is what is done, but for a few chunks.
fn streamed(source: File, bar: ProgressBar) -> Body {
    let (begun, mut lines) = (Instant::now(), 0);
    let chunks = ReaderStream::with_capacity(source, CHUNK)
        .inspect_ok(move |chunk| {
            lines += memchr::memchr_iter(b'\n', chunk).count();
            bar.inc(chunk.len() as u64);
            let seconds = begun.elapsed().as_secs_f64().max(0.001);
            bar.set_message(format!("{lines} rows ({:.0} rows/s)", lines as f64 / seconds));
        })
        .map_ok(Frame::data);
    BodyExt::boxed(StreamBody::new(chunks))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed")
}

fn tell(report: &ImportReport, output: &mut Output<'_>) -> Result<(), Failure> {
    let would = if report.dry_run { " (dry run: nothing was stored)" } else { "" };
    output.line(format!(
        "imported {}, updated {}, duplicates {}, failed {}{would}",
        report.imported, report.updated, report.duplicates, report.failed
    ))?;
    if let Some(notice) = &report.notice {
        output.line(notice)?;
    }
    if report.failed == 0 {
        return Ok(());
    }

    output.line("")?;
    output.table(
        ["LINE", "NUMBER", "COLUMN", "ERROR", "SUGGESTION"],
        report.errors.iter().take(ERRORS_SHOWN).map(row),
    )?;
    let hidden = report.failed.saturating_sub(ERRORS_SHOWN as u64);
    if hidden > 0 {
        output.line(format!("and {hidden} more; --json shows the first 1000"))?;
    }
    Ok(())
}

fn row(error: &RowError) -> [String; 5] {
    [
        error.row.to_string(),
        error.number.clone(),
        error.column.as_deref().unwrap_or_default().to_owned(),
        error.error.clone(),
        error.suggestion.as_deref().unwrap_or_default().to_owned(),
    ]
}
