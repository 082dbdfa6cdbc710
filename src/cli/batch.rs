//! `rotary call --batch FILE`: streams calls to the daemon and tells what became of each.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use bytes::BytesMut;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::client::{Ask, Body, Client};
use super::failure::{Failure, PROBLEM, UNREACHABLE};
use super::output::Output;
use crate::http::batch::BatchResultView;

/// How much of the file is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// How many calls were placed, and how many were not.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    placed: u64,
    failed: u64,
}

/// Places the calls of one file. Fails with exit code 1 when one was not placed.
pub(super) async fn run(
    file: &Path,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let ask = Ask::stream("/api/calls/batch", "application/x-ndjson", open(file).await?);
    let (mut begun, mut tally) = (BytesMut::new(), Tally::default());
    client
        .download(ask, |bytes| {
            begun.extend_from_slice(bytes);
            while let Some(end) = memchr::memchr(b'\n', &begun) {
                tell(&begun.split_to(end + 1), &mut tally, output)?;
            }
            Ok(())
        })
        .await?;
    if !begun.is_empty() {
        return Err(Failure::new(UNREACHABLE, "the daemon's answer broke off"));
    }

    if !output.is_json() {
        output.line(format!("placed {}, failed {}", tally.placed, tally.failed))?;
    }
    if tally.failed == 0 { Ok(()) } else { Err(Failure::told()) }
}

fn tell(line: &[u8], tally: &mut Tally, output: &mut Output<'_>) -> Result<(), Failure> {
    let result: BatchResultView = serde_json::from_slice(line).map_err(|error| {
        Failure::new(PROBLEM, format!("the daemon's answer cannot be read: {error}"))
    })?;
    match result.call {
        Some(_) => tally.placed += 1,
        None => tally.failed += 1,
    }
    if output.is_json() {
        return Ok(output.writer().write_all(line)?);
    }
    let (number, detail) = (result.line, result.problem.map(|problem| problem.detail));
    match result.call {
        Some(call) => {
            output.line(format!("{number}  {}  {}  {}", call.to, call.from, call.id))?;
        }
        None => output.line(format!("{number}  {}", detail.unwrap_or_default()))?,
    }
    Ok(())
}

async fn open(path: &Path) -> Result<Body, Failure> {
    let file = if path.as_os_str() == "-" {
        File::from_std(std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?))
    } else {
        let unreadable =
            |error: io::Error| Failure::new(PROBLEM, format!("{}: {error}", path.display()));
        let file = File::open(path).await.map_err(unreadable)?;
        if file.metadata().await.map_err(unreadable)?.is_dir() {
            return Err(Failure::new(PROBLEM, format!("{}: is a directory", path.display())));
        }
        file
    };
    let chunks = ReaderStream::with_capacity(file, CHUNK).map_ok(Frame::data);
    Ok(BodyExt::boxed(StreamBody::new(chunks)))
}
