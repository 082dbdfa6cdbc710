//! The client, the line and the reports together, against a manager of a few lines.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::call::originate::Originate;
use crate::domain::call::{CallId, ChannelId, Destination, Report};

use super::action::Message;
use super::codec::{Codec, Incoming};
use super::frame::Frame;
use super::*;

#[tokio::test]
async fn a_call_is_originated_and_its_reports_arrive() {
    let mut house = House::start().await;
    let mut manager = house.manager().await;
    let originate = originate();
    let id = originate.id.clone();

    let (placed, ()) = tokio::join!(house.client.originate(&originate), async {
        let action = manager.next().await;
        assert_eq!(action.name(), b"Originate");
        assert_eq!(action.text("ChannelId").as_deref(), Some(&id[..]));
        // The events come in the same read as the answer, and before it.
        let text = format!(
            "Event: Newstate\r\nChannelState: 5\r\nUniqueid: {id}\r\n\r\n\
             Response: Success\r\nActionID: {id}\r\n\r\n\
             Event: Hangup\r\nUniqueid: {id}\r\nCause: 17\r\nTechCause: 486\r\n\r\n"
        );
        manager.say(&text).await;
    });

    assert_eq!(placed, Ok(()));
    let call = ChannelId::first(CallId(id.parse().unwrap()));
    let end = Report::HungUp { cause: 17, sip_code: Some(486) };
    assert_eq!(house.take_reports(2).await, [(call, Report::Ringing), (call, end)]);
}

#[tokio::test]
async fn events_in_the_same_read_as_the_login_answer_are_kept() {
    let mut house = House::start().await;
    let call = Uuid::now_v7();
    let mut manager = house.accept().await;
    let login = manager.next().await;
    let id = login.text("ActionID").unwrap().into_owned();
    manager
        .say(&format!(
            "Response: Success\r\nActionID: {id}\r\n\r\nEvent: FullyBooted\r\n\r\n\
             Event: Newstate\r\nChannelState: 6\r\nUniqueid: {call}\r\n\r\n"
        ))
        .await;

    assert_eq!(house.take_reports(1).await, [(ChannelId::first(CallId(call)), Report::Answered)]);
}

#[tokio::test]
async fn a_burst_loses_no_report_though_nobody_reads_them() {
    const CALLS: usize = 2_000;
    let mut house = House::start().await;
    let mut manager = house.manager().await;
    let calls: Vec<_> = (0..CALLS).map(|_| Uuid::now_v7()).collect();
    let noise =
        "Event: Newexten\r\nChannel: PJSIP/carrier-00000001\r\nUniqueid: 1.1\r\n\r\n".repeat(48);
    let mut text = String::new();
    for call in &calls {
        text += &format!("Event: Newstate\r\nChannelState: 5\r\nUniqueid: {call}\r\n\r\n");
        text += &format!("Event: DialState\r\nDialStatus: RINGING\r\nDestUniqueid: {call}\r\n\r\n");
        text += &noise;
    }
    for call in calls.iter().rev() {
        for _ in 0..50 {
            text += &format!("Event: Hangup\r\nUniqueid: {call}\r\nCause: 16\r\n\r\n");
        }
    }

    let (answer, ()) = tokio::join!(house.client.ask(Message::new("Action", "Ping")), async {
        let id = manager.next().await.text("ActionID").unwrap().into_owned();
        manager.say(&text).await;
        manager.say(&format!("Response: Success\r\nActionID: {id}\r\n\r\n")).await;
    });

    assert!(answer.is_ok());
    assert!(house.client.counters().frames() > 200_000);
    let reports = house.take_reports(2 * CALLS).await;
    let rang = reports[..CALLS].iter().map(|(channel, _)| channel.call.0);
    assert!(rang.eq(calls.iter().copied()));
    let ended = reports[CALLS..].iter().map(|(channel, _)| channel.call.0);
    assert!(ended.eq(calls.iter().rev().copied()));
}

#[tokio::test]
async fn a_lost_line_leaves_the_action_unknown_and_is_made_again() {
    let mut house = House::start().await;
    let mut manager = house.manager().await;
    let originate = originate();

    let (placed, ()) = tokio::join!(house.client.originate(&originate), async {
        manager.next().await;
        drop(manager);
    });
    assert_eq!(placed, Err(AmiError::Unknown));

    let mut manager = house.manager().await;
    let (answer, action) = tokio::join!(house.client.ask(Message::new("Action", "Ping")), async {
        manager.answer().await
    });
    // The originate was not written again.
    assert_eq!(action, b"Ping");
    assert!(answer.is_ok());
    assert_eq!(house.client.counters().line.connects(), 2);
}

#[tokio::test]
async fn a_refused_login_is_shown_and_tried_again() {
    let mut house = House::start().await;
    let mut manager = house.accept().await;
    let id = manager.next().await.text("ActionID").unwrap().into_owned();
    let refusal =
        format!("Response: Error\r\nActionID: {id}\r\nMessage: Authentication failed\r\n\r\n");
    manager.say(&refusal).await;

    let refused = |state: &LineState| {
        matches!(state, LineState::Down { why: DownReason::LoginRefused { .. } })
    };
    house.states.wait_for(refused).await.unwrap();
    assert!(house.client.state().to_string().contains("manager.conf"));
    let answer = house.client.ask(Message::new("Action", "Ping")).await;
    assert!(matches!(answer, Err(AmiError::NotSent(_))));

    let _manager = house.manager().await;
    assert!(matches!(house.client.state(), LineState::Up { .. }));
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut house = House::at(address.clone(), None);

    let unreachable = |state: &LineState| {
        matches!(state, LineState::Down { why: DownReason::Unreachable { .. } })
    };
    house.states.wait_for(unreachable).await.unwrap();

    assert!(house.client.state().to_string().contains(&address));
    let placed = house.client.originate(&originate()).await;
    assert!(matches!(placed, Err(AmiError::NotSent(why)) if why.contains("unreachable")));
}

#[tokio::test]
async fn a_stop_waits_for_the_action_in_flight() {
    let mut house = House::start().await;
    let mut manager = house.manager().await;

    let (answer, ()) = tokio::join!(house.client.ask(Message::new("Action", "Ping")), async {
        let id = manager.next().await.text("ActionID").unwrap().into_owned();
        house.stop.cancel();
        manager.say(&format!("Response: Success\r\nActionID: {id}\r\n\r\n")).await;
        assert_eq!(manager.next().await.name(), b"Logoff");
    });

    assert!(answer.is_ok());
    house.tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(house.reports.next().await, None);
    let answer = house.client.ask(Message::new("Action", "Ping")).await;
    assert!(matches!(answer, Err(AmiError::NotSent(_))));
}

#[tokio::test]
async fn a_stop_gives_up_on_an_asterisk_that_does_not_answer() {
    let mut house = House::start().await;
    let mut manager = house.manager().await;
    tokio::time::pause();

    let (answer, ()) = tokio::join!(house.client.ask(Message::new("Action", "Ping")), async {
        manager.next().await;
        house.stop.cancel();
    });

    assert_eq!(answer, Err(AmiError::Unknown));
    house.tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_read_keeps_nothing_from_being_read() {
    let mut house = House::start().await;
    let mut manager = house.manager().await;
    let call = Uuid::now_v7();
    let large = || {
        let lines = (0..120).map(|_| "x".repeat(900));
        lines.fold(Message::new("Action", "Fill"), |message, line| {
            message.header("Line", line).unwrap()
        })
    };
    let asks = (0..200).map(|_| house.client.ask(large()));
    let asks = futures_util::future::join_all(asks);

    // Asterisk reads nothing of some 20 MB, but speaks.
    let said = async {
        manager.say(&format!("Event: Hangup\r\nUniqueid: {call}\r\nCause: 16\r\n\r\n")).await;
        house.reports.next().await
    };
    let reports = tokio::select! {
        _ = asks => panic!("nobody answers these"),
        reports = said => reports,
    };

    let end = Report::HungUp { cause: 16, sip_code: None };
    assert_eq!(reports, Some(vec![(ChannelId::first(CallId(call)), end)]));
}

#[tokio::test]
async fn channels_are_listed() {
    let mut house = House::start().await;
    let mut manager = house.manager().await;

    let (channels, ()) = tokio::join!(house.client.channels(), async {
        let id = manager.next().await.text("ActionID").unwrap().into_owned();
        let text = format!(
            "Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\n\
             Event: CoreShowChannel\r\nActionID: {id}\r\nChannel: PJSIP/a-1\r\nChannelState: 6\r\nUniqueid: u1\r\n\r\n\
             Event: CoreShowChannelsComplete\r\nActionID: {id}\r\nEventList: Complete\r\nListItems: 1\r\n\r\n"
        );
        manager.say(&text).await;
    });

    let channel = Channel { unique_id: "u1".into(), channel: "PJSIP/a-1".into(), state: 6 };
    assert_eq!(channels, Ok(vec![channel]));
}

/// Doors are served on many threads, so what a client does must be able to move between them.
#[test]
fn asking_may_move_between_threads() {
    fn moves(_: &impl Send) {}
    let (client, _line, _reports) = line(Settings::default());

    moves(&client.ask(Message::new("Action", "Ping")));
    moves(&client.channels());
}

struct House {
    listener: Option<TcpListener>,
    client: Client,
    reports: Reports,
    states: watch::Receiver<LineState>,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl House {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self::at(address, Some(listener))
    }

    fn at(address: String, listener: Option<TcpListener>) -> Self {
        let settings = Settings {
            address,
            login: Login::Plain,
            backoff_min: Duration::from_millis(1),
            // A machine under load must not decide these stories.
            action_deadline: Duration::from_secs(600),
            ping_interval: Duration::from_secs(600),
            pong_deadline: Duration::from_secs(600),
            ..Settings::default()
        };
        let (client, line, reports) = line(settings);
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(line.run(stop.clone()));
        Self { listener, states: client.states(), client, reports, stop, tasks }
    }

    async fn accept(&self) -> Manager {
        let (socket, _) = self.listener.as_ref().unwrap().accept().await.unwrap();
        let mut manager = Manager { frames: Framed::new(socket, Codec::server()) };
        manager.say("Asterisk Call Manager/11.0.0\r\n").await;
        manager
    }

    /// A manager that has let us in.
    async fn manager(&mut self) -> Manager {
        let mut manager = self.accept().await;
        assert_eq!(manager.answer().await, b"Login");
        manager.say("Event: FullyBooted\r\n\r\n").await;
        assert_eq!(manager.answer().await, b"ListCommands");
        assert_eq!(manager.answer().await, b"CoreSettings");
        self.states.wait_for(|state| matches!(state, LineState::Up { .. })).await.unwrap();
        manager
    }

    async fn take_reports(&mut self, count: usize) -> Vec<(ChannelId, Report)> {
        let mut reports = Vec::new();
        while reports.len() < count {
            reports.extend(self.reports.next().await.unwrap());
        }
        reports
    }
}

struct Manager {
    frames: Framed<TcpStream, Codec>,
}

impl Manager {
    async fn next(&mut self) -> Frame {
        match self.frames.next().await.unwrap().unwrap() {
            Incoming::Frame(frame) => frame,
            other @ (Incoming::Banner(_) | Incoming::TooLong { .. }) => panic!("{other:?}"),
        }
    }

    /// Says yes to the next action, and what it was.
    async fn answer(&mut self) -> Vec<u8> {
        let action = self.next().await;
        let id = action.text("ActionID").unwrap();
        self.frames
            .get_mut()
            .write_all(format!("Response: Success\r\nActionID: {id}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        action.name().to_vec()
    }

    async fn say(&mut self, text: &str) {
        self.frames.get_mut().write_all(text.as_bytes()).await.unwrap();
    }
}

fn originate() -> Originate {
    Originate {
        id: Uuid::now_v7().to_string(),
        channel: "PJSIP/+14155550123@carrier".to_owned(),
        caller_number: "+14045556789".to_owned(),
        caller_name: None,
        destination: Destination::Application { application: "NoOp".into(), data: String::new() },
        ring_timeout: Duration::from_secs(30),
        variables: Vec::new(),
    }
}
