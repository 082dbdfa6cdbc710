//! As little of an AMI client as places calls: one socket, no checks, nothing kept.

use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::real::{Real, SECRET};
use crate::{PATIENCE, WINDOW};

/// Places calls for so long, [`WINDOW`] unanswered at most; calls answered in the time, a second.
pub async fn run(real: &Real, run: Duration) -> anyhow::Result<f64> {
    let mut line = TcpStream::connect(real.address).await?;
    line.set_nodelay(true)?;
    let login = format!(
        "Action: Login\r\nUsername: rotary\r\nSecret: {SECRET}\r\nEvents: call,system\r\n\r\n"
    );
    line.write_all(login.as_bytes()).await?;
    let event = memmem::Finder::new("Event: OriginateResponse");
    let (mut sent, mut answered) = (0_usize, 0_usize);
    let mut in_time = None;
    let mut unread = Vec::with_capacity(1 << 20);
    let begun = Instant::now();
    loop {
        let over = begun.elapsed() >= run;
        if over && in_time.is_none() {
            in_time = Some(answered as f64 / begun.elapsed().as_secs_f64());
        }
        if let Some(in_time) = in_time.filter(|_| answered == sent) {
            return Ok(in_time);
        }
        let mut actions = String::new();
        while !over && sent < answered + WINDOW {
            actions.push_str(&originate(sent));
            sent += 1;
        }
        line.write_all(actions.as_bytes()).await?;
        let read = line.read_buf(&mut unread);
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(read) => anyhow::ensure!(read? > 0, "Asterisk ended the line"),
            Err(_) => anyhow::bail!("{} calls are not answered", sent - answered),
        }
        answered += event.find_iter(&unread).count();
        // What is left may hold the beginning of the next one.
        let whole = memmem::rfind(&unread, b"\r\n\r\n").map_or(0, |end| end + 4);
        let counted_twice = event.find_iter(&unread[whole..]).count();
        answered -= counted_twice;
        unread.drain(..whole);
    }
}

fn originate(n: usize) -> String {
    format!(
        "Action: Originate\r\nActionID: bare-{n}\r\nChannelId: bare-{}-{n}\r\n\
         Channel: PJSIP/+1415555{:04}@carrier\r\nCallerID: <+14045550000>\r\nTimeout: 30000\r\n\
         Application: NoOp\r\nVariable: JOURNEY={n}\r\nAsync: true\r\n\r\n",
        fastrand::u32(..),
        1000 + n % 100
    )
}
