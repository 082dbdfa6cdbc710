//! Stands between Rotary and Asterisk and notes when each Originate came by.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

const MARK: &[u8] = b"JOURNEY=";

/// By the number in its variable `JOURNEY`, when a call's Originate was on the wire.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<Mutex<HashMap<usize, Instant>>>);

impl Wire {
    /// Listens, and leads each line on to `asterisk`; where.
    pub async fn open(&self, asterisk: SocketAddr) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let wire = self.clone();
        tokio::spawn(async move {
            while let Ok((line, _)) = listener.accept().await {
                let wire = wire.clone();
                tokio::spawn(async move { wire.lead_on(line, asterisk).await });
            }
        });
        Ok(address)
    }

    /// What was noted so far.
    pub fn take(&self) -> HashMap<usize, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn lead_on(&self, line: TcpStream, asterisk: SocketAddr) -> std::io::Result<()> {
        let beyond = TcpStream::connect(asterisk).await?;
        line.set_nodelay(true)?;
        beyond.set_nodelay(true)?;
        let (mut from_rotary, mut to_rotary) = line.into_split();
        let (mut from_asterisk, mut to_asterisk) = beyond.into_split();
        tokio::spawn(async move { copy(&mut from_asterisk, &mut to_rotary).await });
        let mut bytes = Vec::with_capacity(1 << 16);
        while from_rotary.read_buf(&mut bytes).await? > 0 {
            let now = Instant::now();
            to_asterisk.write_all(&bytes).await?;
            let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for at in memmem::find_iter(&bytes, MARK) {
                let digits =
                    bytes[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
                let n = digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0'));
                noted.entry(n).or_insert(now);
            }
            drop(noted);
            bytes.clear();
        }
        Ok(())
    }
}
