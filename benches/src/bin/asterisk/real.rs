//! A private Asterisk 22 with the configuration of `asterisk-conf/`, and sipp as its carrier.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::ensure;
use tempfile::TempDir;
use tokio::net::TcpStream;

pub const SECRET: &str = "s3cret-of-the-bench";

/// Both of them, running. Ended when dropped.
pub struct Real {
    asterisk: Child,
    sipp: Child,
    pub address: SocketAddr,
    _place: TempDir,
}

impl Real {
    /// Starts both; returns when Asterisk takes connections.
    pub async fn start() -> anyhow::Result<Self> {
        let place = tempfile::Builder::new().prefix("rotary-bench-").tempdir()?;
        let dir = place.path().join("asterisk");
        let tests = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/asterisk"));
        let tcp = || -> std::io::Result<u16> {
            Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
        };
        let udp =
            || -> std::io::Result<u16> { Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let (ami, carrier) = (tcp()?, udp()?);
        let sipp = Command::new("sipp")
            .arg("-sf")
            .arg(tests.join("uas.xml"))
            .args(["-i", "127.0.0.1", "-p", &carrier.to_string(), "-nostdin"])
            .args(["-ci", "127.0.0.1", "-cp", &udp()?.to_string(), "-mp", &udp()?.to_string()])
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let script = tests.join("instance.sh");
        let made = Command::new(&script)
            .arg("make")
            .arg(&dir)
            .envs([
                ("VERSION", "22".to_owned()),
                ("AMI", ami.to_string()),
                ("HTTP", tcp()?.to_string()),
                ("SIP", udp()?.to_string()),
                ("CARRIER", format!("127.0.0.1:{carrier}")),
                ("SECRET", SECRET.to_owned()),
            ])
            .status()?;
        ensure!(made.success(), "instance.sh make; has tests/prepare.sh been run?");
        let asterisk = Command::new(&script)
            .arg("run")
            .arg(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], ami));
        let real = Self { asterisk, sipp, address, _place: place };
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The endpoints load after AMI listens.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(real)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in [&mut self.asterisk, &mut self.sipp] {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
