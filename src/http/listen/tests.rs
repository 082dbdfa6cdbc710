//! The doors, as those who come in by them find them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Extension;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn a_stopped_door_finishes_the_request_it_is_in() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, finishes) = (begun.clone(), finish.clone());
    let slow = get(async move || {
        begins.notify_one();
        finishes.notified().await;
        "done"
    });
    let (address, stop, tasks) = open(Router::new().route("/", slow)).await;

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: rotary\r\n\r\n").await.unwrap();
    begun.notified().await;
    stop.cancel();
    finish.notify_one();

    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    tasks.wait().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dribbles_its_request_is_cut_off() {
    let (address, stop, tasks) = open(Router::new()).await;

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTT").await.unwrap();

    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    stop.cancel();
    tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn half_a_request_does_not_hold_up_a_door_that_closes() {
    let (mut client, server) = tokio::io::duplex(1024);
    let stop = CancellationToken::new();
    let (guest, begun) = (guest(), tokio::time::Instant::now());

    let closes = async {
        client.write_all(b"GET / HTT").await.unwrap();
        tokio::time::sleep(LAST_PATIENCE).await;
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(
        talk(Router::new(), server, Door::Tcp { peer: HERE }, &guest, stop.clone()),
        closes
    );

    assert!(ended.is_ok());
    assert_eq!(begun.elapsed().as_secs(), 2 * LAST_PATIENCE.as_secs());
}

#[tokio::test]
async fn a_head_over_the_bound_is_refused() {
    let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4 * BUFFER_MAX));
    let (mut client, server) = tokio::io::duplex(5 * BUFFER_MAX);
    client.write_all(head.as_bytes()).await.unwrap();

    let ended =
        talk(Router::new(), server, Door::Tcp { peer: HERE }, &guest(), CancellationToken::new())
            .await;

    assert!(ended.unwrap_err().is_parse_too_large());
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/control.sock");

    drop(bind_unix(&path).await.unwrap());
    let alive = bind_unix(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    let refused = bind_unix(&path).await.unwrap_err();

    assert_eq!(mode & 0o777, 0o660);
    assert!(format!("{refused:#}").contains("another daemon answers"), "{refused:#}");
    drop(alive);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious.txt");
    std::fs::write(&path, "keep me").unwrap();

    let refused = bind_unix(&path).await;

    assert!(refused.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "keep me");
}

#[tokio::test]
async fn a_full_door_gives_a_newcomer_the_room_of_the_longest_idle() {
    let (address, stop, tasks) = open_with(hello(), small()).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut first = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut first).await.ends_with("hello"));

    let mut newcomer = TcpStream::connect(address).await.unwrap();
    let answer = ask(&mut newcomer).await;
    let mut next = TcpStream::connect(address).await.unwrap();
    let answer_to_next = ask(&mut next).await;

    assert!(answer.ends_with("hello"), "{answer}");
    assert!(answer_to_next.ends_with("hello"), "{answer_to_next}");
    // Whoever had been idle longest went first: who never asked, then who asked first.
    assert!(is_closed(&mut silent).await);
    assert!(is_closed(&mut first).await);
    assert!(ask(&mut newcomer).await.ends_with("hello"));
    stop.cancel();
    tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_door_interrupts_no_request_and_lets_the_newcomer_wait() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, finishes) = (begun.clone(), finish.clone());
    let slow = get(async move || {
        begins.notify_one();
        finishes.notified().await;
        "done"
    });
    let (address, stop, tasks) = open_with(hello().route("/slow", slow), small()).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: rotary\r\n\r\n").await.unwrap();
        begun.notified().await;
        busy.push(client);
    }

    let mut newcomer = TcpStream::connect(address).await.unwrap();
    newcomer.write_all(HELLO).await.unwrap();
    tokio::time::sleep(10 * EVICTED_PATIENCE).await;
    finish.notify_one();

    // One of the two is answered, rests, and so makes room.
    assert!(answer(&mut newcomer).await.ends_with("hello"));
    finish.notify_one();
    for client in &mut busy {
        assert!(answer(client).await.ends_with("done"));
    }
    stop.cancel();
    tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_kept_open_for_nothing_ends_by_itself() {
    let (address, stop, tasks) = open(hello()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut client).await.ends_with("hello"));

    assert!(is_closed(&mut client).await);
    stop.cancel();
    tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_neither_idle_nor_a_request_that_is_waited_for() {
    let ended = Arc::new(Notify::new());
    let router = hello().route("/events", events(ended.clone(), "event\n"));
    let (address, stop, tasks) = open_with(router, small()).await;
    let [mut first, mut second] = [listen(address).await, listen(address).await];

    let mut newcomer = TcpStream::connect(address).await.unwrap();
    newcomer.write_all(HELLO).await.unwrap();
    // Long after an idle connection would have ended, both go on and the newcomer waits.
    tokio::time::sleep(2 * HEAD_PATIENCE).await;
    assert!(!is_closed_now(&mut first) && !is_closed_now(&mut second));
    drop(first);
    assert!(answer(&mut newcomer).await.ends_with("hello"));

    // This one does not end by itself when the door closes.
    stop.cancel();
    tasks.wait().await;
    assert!(is_closed(&mut second).await);
    ended.notified().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_no_events_is_cut_off() {
    let (mut client, server) = tokio::io::duplex(1024);
    let ended = Arc::new(Notify::new());
    let router = Router::new().route("/events", events(ended.clone(), "an event of many\n"));
    let begun = tokio::time::Instant::now();

    client.write_all(EVENTS).await.unwrap();
    let ended =
        talk(router, server, Door::Tcp { peer: HERE }, &guest(), CancellationToken::new()).await;

    assert!(ended.unwrap_err().to_string().contains("writing"));
    assert_eq!(begun.elapsed().as_secs(), patient::READER_PATIENCE.as_secs());
}

const EVENTS: &[u8] = b"GET /events HTTP/1.1\r\nHost: rotary\r\n\r\n";

/// A stream that stays: its first event, and if that is one of many, many more. Says when it ended.
fn events(ended: Arc<Notify>, event: &'static str) -> axum::routing::MethodRouter {
    get(async move |Extension(staying): Extension<Staying>| -> Response {
        let alive = (staying.stay(), Ended(ended));
        let events = stream::unfold((alive, 0), move |(alive, told)| async move {
            if told > 0 && !event.contains("many") {
                std::future::pending::<()>().await;
            }
            Some((Ok::<_, io::Error>(Bytes::from(event)), (alive, told + 1)))
        });
        Body::from_stream(events).into_response()
    })
}

struct Ended(Arc<Notify>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Asks for events and reads the first.
async fn listen(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(EVENTS).await.unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("event\n") {
        assert!(client.read_buf(&mut read).await.unwrap() > 0);
    }
    client
}

fn is_closed_now(client: &mut TcpStream) -> bool {
    !matches!(client.try_read(&mut [0; 64]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

const HELLO: &[u8] = b"GET / HTTP/1.1\r\nHost: rotary\r\n\r\n";

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Room for two.
fn small() -> Settings {
    Settings { connections_max: 2, ..Settings::default() }
}

async fn ask(client: &mut TcpStream) -> String {
    client.write_all(HELLO).await.unwrap();
    answer(client).await
}

/// What comes, until the handler's last word has come.
async fn answer(client: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !(read.ends_with(b"hello") || read.ends_with(b"done")) {
        let count = client.read_buf(&mut read).await.unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

/// Waits until the other side has closed.
async fn is_closed(client: &mut TcpStream) -> bool {
    matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_))
}

const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 49152);

fn guest() -> Arc<Guest> {
    Arc::<Idle>::default().arrive()
}

async fn open(router: Router) -> (SocketAddr, CancellationToken, TaskTracker) {
    open_with(router, Settings::default()).await
}

async fn open_with(
    router: Router,
    settings: Settings,
) -> (SocketAddr, CancellationToken, TaskTracker) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let door = serve_tcp(router, listener, settings, tasks.clone(), stop.clone());
    tasks.spawn(door);
    tasks.close();
    (address, stop, tasks)
}
