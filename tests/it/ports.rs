//! Ports for servers that cannot be told to choose one: Asterisk and sipp.
//!
//! Tests run as parallel processes, and an Asterisk that is stopped must find its ports free when it
//! is started again. So a port is claimed by a locked file rather than by asking the kernel for a
//! free one, and from below the range that the kernel gives to outgoing connections.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;

const FIRST: u16 = 12_000;
const BLOCKS: u16 = 900;

/// How many ports a claim holds.
const SIZE: u16 = 8;

/// Eight neighbouring ports on 127.0.0.1, ours until dropped.
#[derive(Debug)]
pub(crate) struct Ports {
    first: u16,
    _lock: File,
}

impl Ports {
    /// Claims a block in which nothing listens.
    pub(crate) fn claim() -> Self {
        let start = fastrand::u16(..BLOCKS);
        let blocks = (0..BLOCKS).map(|n| FIRST + (start + n) % BLOCKS * SIZE);
        blocks.into_iter().find_map(Self::try_claim).expect("claim ports: all are taken")
    }

    /// The first of the eight.
    pub(crate) fn first(&self) -> u16 {
        self.first
    }

    fn try_claim(first: u16) -> Option<Self> {
        // A lock that another user made is as good as taken.
        let lock = File::create(lock_dir().join(first.to_string())).ok()?;
        lock.try_lock().ok()?;
        let free = (first..first + SIZE).all(|port| {
            TcpListener::bind(("127.0.0.1", port)).is_ok()
                && UdpSocket::bind(("127.0.0.1", port)).is_ok()
        });
        free.then_some(Self { first, _lock: lock })
    }
}

fn lock_dir() -> PathBuf {
    let dir = std::env::temp_dir().join("rotary-test-ports");
    std::fs::create_dir_all(&dir).expect("create the directory of port locks");
    dir
}
