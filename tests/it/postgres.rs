//! A PostgreSQL of one's own: in a directory that goes away with it, reached by a socket there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use tempfile::TempDir;

/// Whether a commit waits for the disk. A test that kills the server wants it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fsync {
    On,
    Off,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Postgres {
    directory: TempDir,
    programs: PathBuf,
    /// PostgreSQL refuses to run as root; as root we run it as the user `postgres`.
    user: Option<(u32, u32)>,
    fsync: Fsync,
    server: Option<Child>,
}

impl Postgres {
    /// A new server with one empty database.
    pub(crate) fn new(fsync: Fsync) -> Self {
        let directory = tempfile::Builder::new().prefix("rotary-pg").tempdir().unwrap();
        let user = is_root().then(|| (id("-u", "postgres"), id("-g", "postgres")));
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut server = Self { directory, programs: programs(), user, fsync, server: None };
        let made = server
            .command("initdb")
            .args(["--no-sync", "--auth=trust", "--username=rotary", "--encoding=UTF8"])
            .args(["--locale=C", "--pgdata"])
            .arg(server.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.start();
        server
    }

    /// What `store::Settings` takes.
    pub(crate) fn url(&self) -> String {
        format!("postgres://rotary@localhost/postgres?host={}", self.directory.path().display())
    }

    /// The directory its socket is in.
    pub(crate) fn socket(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the server again and waits until it answers.
    pub(crate) fn start(&mut self) {
        assert!(self.server.is_none(), "it runs");
        let fsync = if self.fsync == Fsync::On { "fsync=on" } else { "fsync=off" };
        let mut server = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.directory.path())
            .args(["-c", "listen_addresses=", "-c", "shared_buffers=64MB", "-c", fsync])
            // Before it recovers, the server makes all its files durable; one call is quicker
            // than one a file.
            .args(["-c", "recovery_init_sync_method=syncfs"])
            .args(["-c", "log_min_messages=log", "-c", "log_min_error_statement=panic"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until_ready(&mut server);
        self.server = Some(server);
    }

    /// What a crash leaves: the server ends at once and recovers from its log when it starts.
    pub(crate) fn stop_immediate(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        signal("QUIT", &server);
        server.wait().unwrap();
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.directory.path()).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop_immediate();
    }
}

/// Reads the server's log until it says that it is ready, and on, so that the pipe never fills.
fn wait_until_ready(server: &mut Child) {
    let log = BufReader::new(server.stderr.take().unwrap());
    let (ready, is_ready) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if line.contains("ready to accept connections") {
                // The test may have ended meanwhile.
                let _ = ready.send(());
            }
        }
    });
    assert!(is_ready.recv().is_ok(), "PostgreSQL did not start");
}

fn signal(name: &str, child: &Child) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "kill -s {name} {}", child.id());
}

fn is_root() -> bool {
    id("-u", "") == 0
}

fn id(what: &str, user: &str) -> u32 {
    let mut command = Command::new("id");
    command.arg(what);
    if !user.is_empty() {
        command.arg(user);
    }
    let answer = String::from_utf8(command.output().unwrap().stdout).unwrap();
    answer.trim().parse().unwrap_or_else(|_| panic!("there is no user {user}"))
}

/// Where PostgreSQL's programs are: Debian keeps them out of the path, the newest last.
fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|path| has_server(path))
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found
        .pop()
        .or_else(|| std::env::split_paths(&path).find(|path| has_server(path)))
        .expect("PostgreSQL is installed (apt-get install postgresql)")
}

fn has_server(path: &Path) -> bool {
    path.join("postgres").exists() && path.join("initdb").exists()
}
