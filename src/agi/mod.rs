//! The gateway interface of Asterisk (AGI), spoken over TCP: a dialplan asks, and we set its variables.
//!
//! ```text
//! Asterisk ──> agi_network_script: caller-id?tenant=acme   the prelude, ended by an empty line
//!          <── SET VARIABLE ROTARY_DID "+14045556789"      one command, in one write
//!          ──> 200 result=1                                its reply, before the next command
//! ```
//!
//! Asterisk reads the next command only once more bytes arrive, so two in one segment would stall:
//! there is always one on its way. A line `HANGUP` may come between any two others. What comes in is
//! bytes; a caller's name in Latin-1 is no reason to drop a call.

pub mod command;
pub mod prelude;
pub mod reply;
pub mod session;

pub use self::prelude::{Prelude, PreludeError, PreludeReader};
pub use self::session::{AgiError, Session};

/// Takes the first whole line out of `buffer`, without its end (LF or CRLF), looking at each byte
/// once: `seen` is how many hold no end. None while there is no whole line.
fn take_line(buffer: &mut Vec<u8>, seen: &mut usize) -> Option<Vec<u8>> {
    let Some(end) = memchr::memchr(b'\n', &buffer[*seen..]).map(|at| *seen + at) else {
        *seen = buffer.len();
        return None;
    };
    *seen = 0;
    let rest = buffer.split_off(end + 1);
    let mut line = std::mem::replace(buffer, rest);
    line.pop();
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Some(line)
}
