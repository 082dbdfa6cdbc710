//! The connection on a socket that is not as simple as TCP.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream, duplex};

use super::*;

#[tokio::test]
async fn a_socket_that_keeps_bytes_until_it_is_flushed_is_flushed() {
    let settings = Arc::new(Settings::default());
    let counters = Arc::new(Counters::default());
    let (_asked, mut queue) = mpsc::channel(1);
    let (reporter, _reports) = crate::line::reports::channel();
    let stop = CancellationToken::new();
    let session = Session::new(settings.clone(), counters.clone(), now());
    let mut around = Around {
        settings: &settings,
        queue: &mut queue,
        reporter: &reporter,
        counters: &counters,
        stop: &stop,
        tell: &mut |_| {},
    };
    let (ours, mut asterisk) = duplex(1 << 16);

    let mut heard = Vec::new();
    let manager = async {
        asterisk.write_all(b"Asterisk Call Manager/11.0.0\r\n").await.unwrap();
        while !heard.ends_with(b"\r\n\r\n") {
            assert_ne!(asterisk.read_buf(&mut heard).await.unwrap(), 0, "{heard:?}");
        }
    };
    tokio::select! {
        why = run(BufStream::new(ours), session, &mut around) => panic!("{why}"),
        () = manager => {}
    }

    assert!(heard.starts_with(b"Action: Challenge\r\n"));
}
