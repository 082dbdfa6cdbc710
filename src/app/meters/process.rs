//! What the kernel says of this process.

use std::fs;

/// Ticks in a second, in what Linux tells programs; the same on every machine.
const TICKS: u64 = 100;

/// What the kernel says of this process. What cannot be read is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    /// Processor time, in whole seconds.
    pub(super) cpu_seconds: Option<u64>,
    /// Memory that is not swapped out.
    pub(super) resident_bytes: Option<u64>,
    /// Open files and sockets.
    pub(super) open_files: Option<u64>,
    /// How many may be open; none where there is no bound.
    pub(super) max_files: Option<u64>,
}

impl Process {
    /// This one, now. proc(5): reading these files waits for no disk.
    pub(super) fn look() -> Self {
        let read = |name| fs::read_to_string(format!("/proc/self/{name}")).ok();
        Self {
            cpu_seconds: read("stat").as_deref().and_then(cpu_seconds),
            resident_bytes: read("status").as_deref().and_then(resident_bytes),
            // The folder is open itself while it is read.
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64 - 1),
            max_files: read("limits").as_deref().and_then(max_files),
        }
    }
}

/// The fields 14 and 15 of `stat`; the second, a name in parentheses, may hold spaces.
fn cpu_seconds(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn max_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read_as_it_writes_them() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 1234 566 7 8 20 0 9 0 100";
        let limits =
            "Limit      Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";

        assert_eq!(cpu_seconds(stat), Some(18));
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t   2048 kB\n"), Some(2048 * 1024));
        assert_eq!(max_files(limits), Some(1024));
        assert_eq!(max_files("Max open files  unlimited  unlimited  files\n"), None);
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let process = Process::look();

        assert!(process.cpu_seconds.is_some());
        assert!(process.resident_bytes.unwrap() > 1 << 20);
        assert!(process.open_files.unwrap() >= 3);
    }
}
