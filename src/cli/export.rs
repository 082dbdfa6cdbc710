//! `rotary dids export`: writes DIDs as a CSV, to standard output or to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::client::{Ask, Client};
use super::did_filter::DidFilterArgs;
use super::failure::{Failure, PROBLEM};
use super::output::Output;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    filter: DidFilterArgs,
}

/// Exports. A file gets its name only when it is whole.
pub(super) async fn export(
    args: ExportArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let ask = args.filter.of(Ask::get("/api/asterisk-dids/export"));
    match args.out {
        None => {
            let out = output.writer();
            client.download(ask, |bytes| Ok(out.write_all(bytes)?)).await?;
            Ok(out.flush()?)
        }
        Some(path) => {
            let mut file = NewFile::beside(&path)?;
            client.download(ask, |bytes| file.write(bytes)).await?;
            file.keep()
        }
    }
}

/// A file that is being written under a name beside its own. Dropped, it is gone.
pub(super) struct NewFile {
    wanted: PathBuf,
    written: PathBuf,
    file: File,
}

impl NewFile {
    /// Begins a file that will be called `wanted`. Only its owner and its group may read it.
    pub(super) fn beside(wanted: &Path) -> Result<Self, Failure> {
        let mut name = wanted.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let written = PathBuf::from(name);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o640).open(&written);
        let file = file.map_err(|why| failed(wanted, &why))?;
        Ok(Self { wanted: wanted.to_owned(), written, file })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|why| failed(&self.wanted, &why))
    }

    /// Gives it its name, in place of a file that has it.
    pub(super) fn keep(self) -> Result<(), Failure> {
        let done = self.file.sync_all().and_then(|()| std::fs::rename(&self.written, &self.wanted));
        done.map_err(|why| failed(&self.wanted, &why))
    }

    /// Gives it its name, or the first one like it that no file has: `x.csv`, `x-2.csv`, …
    pub(super) fn keep_free(self) -> Result<PathBuf, Failure> {
        self.file.sync_all().map_err(|why| failed(&self.wanted, &why))?;
        let mut n = 0;
        loop {
            n += 1;
            let name = numbered(&self.wanted, n);
            // A link, other than a rename, never takes the place of a file.
            match std::fs::hard_link(&self.written, &name) {
                Ok(()) => return Ok(name),
                Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
                Err(why) => return Err(failed(&name, &why)),
            }
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _has_its_name = std::fs::remove_file(&self.written);
    }
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    if n == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{n}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

fn failed(path: &Path, why: &io::Error) -> Failure {
    Failure::new(PROBLEM, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("x.csv.rejected.csv");
        std::fs::write(&wanted, "mine").unwrap();

        let mut file = NewFile::beside(&wanted).unwrap();
        file.write(b"yours").unwrap();
        let kept = file.keep_free().unwrap();

        assert_eq!(std::fs::read_to_string(&wanted).unwrap(), "mine");
        assert_eq!(kept, folder.path().join("x.csv.rejected-2.csv"));
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "yours");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_is_not_whole_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();

        let mut file = NewFile::beside(&folder.path().join("x.csv")).unwrap();
        file.write(b"half").unwrap();
        drop(file);

        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
