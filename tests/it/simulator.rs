//! Rotary's line to Asterisk on the simulated one: every ending, and every misbehaviour.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use rotary::ami::{self, AmiError, Client, DownReason, LineState, Reports};
use rotary::demo::callee::Pace;
use rotary::demo::misbehave::{DropLine, Line, Stop};
use rotary::demo::user::{Classes, User};
use rotary::demo::{Control, Settings, Simulated};
use rotary::domain::call::cause::Cause;
use rotary::domain::call::originate::Originate;
use rotary::domain::call::{CallId, Destination, Report};

#[tokio::test]
async fn the_line_comes_up_and_finds_every_action_allowed() {
    let house = House::quick().await;

    let LineState::Up { version, missing, .. } = house.client.state() else { panic!("down") };
    assert_eq!(version, "22.10.1 (simulated)");
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_such_and_tried_again() {
    let mut settings = quick();
    settings.users[0].secret = "another".to_owned();
    settings.login_delay = Duration::ZERO;

    let house = House::build(settings, client_settings()).await;

    house.control.wait_until(|counts| counts.refused_logins >= 2).await;
    let refused = |state: &LineState| {
        matches!(state, LineState::Down { why: DownReason::LoginRefused { .. } })
    };
    house.wait_for(refused).await;
}

#[tokio::test]
async fn a_user_without_originate_is_found_out_before_the_first_call() {
    let mut settings = quick();
    settings.users[0].write = Classes::SYSTEM | Classes::CALL | Classes::REPORTING;

    let house = House::new(settings).await;

    let LineState::Up { missing, .. } = house.client.state() else { panic!("down") };
    assert_eq!(missing, ["Originate"]);
}

#[tokio::test]
async fn every_ending_is_reported_as_it_was() {
    let mut house = House::quick().await;
    let hung_up = |cause, sip_code| Report::HungUp { cause, sip_code };
    let failed = |reason| Report::OriginateFailed { reason };
    let endings = [
        ("0000", vec![Report::Ringing, Report::Answered, hung_up(16, None)]),
        ("0486", vec![failed(0), hung_up(17, Some(486))]),
        ("0503", vec![failed(0), hung_up(34, Some(503))]),
        ("0404", vec![failed(0), hung_up(1, Some(404))]),
        ("0603", vec![failed(0), hung_up(21, Some(603))]),
        ("0180", vec![Report::Ringing, failed(3), hung_up(19, Some(480))]),
    ];

    for (end, expected) in endings {
        let call = house.place(end).await.unwrap();

        let reports = house.reports_until(call, is_hangup).await;

        assert_eq!(without_repeats(reports), expected, "…{end}");
    }
    assert_eq!(house.control.counts().in_progress, 0);
}

#[tokio::test]
async fn the_number_shown_and_the_variables_arrive_unharmed() {
    let house = House::quick().await;
    let variables = [("TENANT", "a,b\"c\\d"), ("EMPTY", ""), ("NOTE", "x=y; ${z}")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut originate = originate("0000");
    originate.caller_name = Some("Acme, Inc".to_owned());
    originate.variables = variables.clone();

    house.client.originate(&originate).await.unwrap();

    let seen = house.control.originates().pop().unwrap();
    assert_eq!(seen.channel_id, originate.id);
    assert_eq!(seen.dial_string, "PJSIP/15551230000@carrier");
    assert_eq!((&*seen.caller_number, &*seen.caller_name), ("+14045556789", "Acme, Inc"));
    assert_eq!(seen.variables, variables);
}

#[tokio::test]
async fn a_refused_originate_says_why() {
    let house = House::quick().await;
    house.control.misbehave(|m| m.refuse_originates = Some("Not today".to_owned()));

    let refused = house.place("0000").await;

    assert_eq!(refused, Err(AmiError::Refused("Not today".to_owned())));
}

#[tokio::test]
async fn a_call_can_be_hung_up_while_it_rings() {
    let mut house = House::quick().await;
    let call = house.place("0180").await.unwrap();
    house.reports_until(call, |report| report == Report::Ringing).await;

    house.client.hang_up(&call.to_string(), Cause::NORMAL).await.unwrap();

    let reports = house.reports_until(call, is_hangup).await;
    assert_eq!(reports.last(), Some(&Report::HungUp { cause: 16, sip_code: None }));
}

#[tokio::test]
async fn a_line_dropped_around_an_originate_leaves_it_unknown_and_a_list_settles_it() {
    for (when, calls) in [(DropLine::BeforeOriginate, 0), (DropLine::AfterOriginate, 1)] {
        let mut settings = quick();
        settings.pace.talk = Duration::from_secs(60);
        let house = House::new(settings).await;
        house.control.misbehave(|m| m.drop_line = Some(when));

        let outcome = house.place("0000").await;
        house.control.wait_until(|counts| counts.logins == 2).await;
        house.wait_for(is_up).await;

        assert_eq!(outcome, Err(AmiError::Unknown), "{when:?}");
        assert_eq!(house.client.channels().await.unwrap().len(), calls, "{when:?}");
    }
}

#[tokio::test]
async fn after_a_restart_the_line_is_back_and_the_calls_are_gone() {
    for how in [Stop::Cleanly, Stop::Killed] {
        let mut settings = quick();
        settings.pace.talk = Duration::from_secs(60);
        let house = House::new(settings).await;
        house.place("0000").await.unwrap();
        assert_eq!(house.client.channels().await.unwrap().len(), 1);

        house.control.go_down(how);
        let unreachable = |state: &LineState| {
            matches!(state, LineState::Down { why: DownReason::Unreachable { .. } })
        };
        house.wait_for(unreachable).await;
        house.control.come_up();
        house.wait_for(is_up).await;

        assert!(house.client.channels().await.unwrap().is_empty(), "{how:?}");
    }
}

#[tokio::test]
async fn a_half_open_line_is_found_and_replaced() {
    let hasty = ami::Settings {
        ping_interval: Duration::from_millis(200),
        pong_deadline: Duration::from_millis(300),
        ..client_settings()
    };
    let house = House::build(quick(), hasty).await;
    house.wait_for(is_up).await;

    house.control.misbehave(|m| m.line = Line::HalfOpen);
    house.wait_for(|state| !is_up(state)).await;
    house.control.behave();

    house.wait_for(is_up).await;
}

#[tokio::test]
async fn an_action_that_is_never_answered_ends_as_unknown() {
    for line in [Line::Stalled, Line::Deaf] {
        let hasty =
            ami::Settings { action_deadline: Duration::from_millis(400), ..client_settings() };
        let house = House::build(quick(), hasty).await;
        house.wait_for(is_up).await;
        house.control.misbehave(|m| m.line = line);

        let outcome = house.place("0000").await;

        assert_eq!(outcome, Err(AmiError::Unknown), "{line:?}");
        let carried_out = if line == Line::Stalled { 1 } else { 0 };
        assert_eq!(house.control.counts().originates, carried_out, "{line:?}");
    }
}

#[tokio::test]
async fn late_answers_repeated_events_and_a_hangup_first_change_nothing() {
    let mut house = House::quick().await;
    house.control.misbehave(|m| {
        m.late_answers = Some(Duration::from_millis(5));
        m.repeat_events = true;
        m.hang_up_first = true;
    });

    let call = house.place("0486").await.unwrap();

    let is_response = |report| matches!(report, Report::OriginateFailed { .. });
    let reports = house.reports_until(call, is_response).await;
    assert!(reports.contains(&Report::HungUp { cause: 17, sip_code: Some(486) }));
}

#[tokio::test]
async fn a_lost_hangup_leaves_the_call_to_the_list() {
    let mut house = House::quick().await;
    house.control.misbehave(|m| m.lose = vec!["Hangup".to_owned()]);

    let call = house.place("0000").await.unwrap();
    house.reports_until(call, |report| report == Report::Answered).await;
    house.control.wait_until(|counts| counts.ended == 1).await;

    assert!(house.client.channels().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_flood_of_foreign_events_hides_no_call() {
    let mut house = House::quick().await;
    house.control.flood(50_000);

    let call = house.place("0000").await.unwrap();

    let reports = house.reports_until(call, is_hangup).await;
    assert_eq!(
        without_repeats(reports),
        [Report::Ringing, Report::Answered, Report::HungUp { cause: 16, sip_code: None }]
    );
}

#[tokio::test]
async fn a_thousand_calls_at_once_all_end() {
    let mut house = House::quick().await;
    let mut calls = std::collections::HashSet::new();

    for number in 0..1000 {
        let end = ["0000", "0486", "0503", "0404"][number % 4];
        calls.insert(house.place(end).await.unwrap());
    }
    while !calls.is_empty() {
        for (call, report) in house.reports.next().await.unwrap() {
            if is_hangup(report) {
                assert!(calls.remove(&call.call), "ended twice: {call:?}");
            }
        }
    }

    assert_eq!(house.control.counts().in_progress, 0);
}

/// A simulated Asterisk and our line to it.
struct House {
    control: Control,
    client: Client,
    reports: Reports,
    stop: CancellationToken,
    _tasks: JoinSet<anyhow::Result<()>>,
}

impl House {
    async fn quick() -> Self {
        Self::new(quick()).await
    }

    /// With the line up.
    async fn new(settings: Settings) -> Self {
        let house = Self::build(settings, client_settings()).await;
        house.wait_for(is_up).await;
        house
    }

    async fn build(settings: Settings, client_settings: ami::Settings) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulated = Simulated::bind(free, settings).await.unwrap();
        let address = simulated.address().to_string();
        let (client, line, reports) = ami::line(ami::Settings { address, ..client_settings });
        let (control, stop) = (simulated.control(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(simulated.run(TaskTracker::new(), stop.clone()));
        tasks.spawn(line.run(stop.clone()));
        Self { control, client, reports, stop, _tasks: tasks }
    }

    async fn wait_for(&self, wanted: impl FnMut(&LineState) -> bool) {
        self.client.states().wait_for(wanted).await.unwrap();
    }

    async fn place(&self, end: &str) -> Result<CallId, AmiError> {
        let originate = originate(end);
        self.client.originate(&originate).await?;
        Ok(CallId(originate.id.parse().unwrap()))
    }

    /// The reports of one call up to the first that is `last`.
    async fn reports_until(&mut self, call: CallId, last: impl Fn(Report) -> bool) -> Vec<Report> {
        let mut reports = Vec::new();
        while !reports.iter().any(|report| last(*report)) {
            let next = self.reports.next().await.unwrap();
            reports.extend(next.into_iter().filter(|(id, _)| id.call == call).map(|(_, r)| r));
        }
        reports
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn quick() -> Settings {
    let pace = Pace {
        ring_after: Duration::from_millis(2),
        answer_after: Duration::from_millis(2),
        talk: Duration::from_millis(2),
        refuse_after: Duration::from_millis(2),
    };
    Settings { users: vec![User::new("rotary", "s3cret")], pace, ..Settings::default() }
}

fn client_settings() -> ami::Settings {
    ami::Settings {
        secret: SecretString::from("s3cret"),
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        ..ami::Settings::default()
    }
}

fn originate(end: &str) -> Originate {
    Originate {
        id: Uuid::now_v7().to_string(),
        channel: format!("PJSIP/1555123{end}@carrier"),
        caller_number: "+14045556789".to_owned(),
        caller_name: None,
        destination: Destination::Dialplan {
            context: "DynamicIVR".to_owned(),
            exten: "s".to_owned(),
            priority: 1,
        },
        ring_timeout: Duration::from_millis(500),
        variables: Vec::new(),
    }
}

fn is_up(state: &LineState) -> bool {
    matches!(state, LineState::Up { .. })
}

fn is_hangup(report: Report) -> bool {
    matches!(report, Report::HungUp { .. })
}

/// Asterisk tells the same thing by several events, so a report may come more than once.
fn without_repeats(reports: Vec<Report>) -> Vec<Report> {
    let mut kept = Vec::new();
    for report in reports {
        if !kept.contains(&report) {
            kept.push(report);
        }
    }
    kept
}
