//! What others' servers die of. Each ends its own call, and the next one is answered.

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::channel::{Channel, prelude};
use super::{DID, add, ask, get, uses};
use crate::house::House;
use crate::wait::until;

#[tokio::test]
async fn a_script_that_there_is_not_is_an_error_and_no_more() {
    let house = open().await;

    for script in [
        "",
        "pick",
        "caller-id/deeper/than/that?tenant=x",
        "//",
        "caller-id?to=100",
        "%",
        "?",
        "caller-id?tenat=x",
    ] {
        assert_eq!(ask(&house, script).await.status(), "ERROR", "{script:?}");
    }
    let mut pathless = Channel::connect(house.running.agi).await;
    pathless.send(b"agi_network: yes\nagi_request: agi://127.0.0.1\n\n").await;
    assert_eq!(pathless.obey().await.status(), "ERROR");

    next_is_answered(&house).await;
    house.close().await;
}

#[tokio::test]
async fn a_prelude_in_crlf_with_a_latin_1_name_is_answered() {
    let house = open().await;
    let text = prelude("caller-id").replace("Agent", "Andr\u{e9}: \"B\"").replace('\n', "\r\n");
    let latin_1: Vec<u8> = text.chars().map(|letter| letter as u8).collect();

    let mut channel = Channel::connect(house.running.agi).await;
    for piece in latin_1.chunks(3) {
        channel.send(piece).await;
    }
    let heard = channel.obey().await;

    assert_eq!(heard.status(), "OK");
    house.close().await;
}

#[tokio::test]
async fn arguments_beside_the_url_are_as_good_and_one_in_a_callers_name_is_none() {
    let house = open().await;
    add(&house, "acme", json!({"number": "+12125550001", "status": "active"})).await;
    let beside =
        prelude("caller-id").replace("48\n\n", "48\nagi_arg_1: tenant=acme\nagi_arg_2: \n\n");
    let forged = prelude("caller-id").replace("Agent", "x\nagi_arg_1: tenant=acme");

    let mut channel = Channel::connect(house.running.agi).await;
    channel.send(beside.as_bytes()).await;
    let beside = channel.obey().await;
    let mut channel = Channel::connect(house.running.agi).await;
    channel.send(forged.as_bytes()).await;
    let forged = channel.obey().await;

    assert_eq!((beside.status(), beside.get("ROTARY_DID")), ("OK", Some("+12125550001")));
    assert_eq!((forged.status(), forged.get("ROTARY_DID")), ("ERROR", None));
    assert_eq!(uses(&house, "acme").await, 1);
    house.close().await;
}

#[tokio::test]
async fn replies_of_every_kind_end_their_own_call_and_give_the_pick_back() {
    let house = open().await;

    for reply in [
        "510 Invalid or unknown command\n",
        "511 Command Not Permitted on a dead channel or intercept routine\n",
        "520 Invalid command syntax.  Proper usage not available.\n",
        "520-Invalid command syntax.  Proper usage follows:\nx\nHANGUP\n520 End of proper usage.\n",
        "HANGUP\n511 Command Not Permitted\n",
        "what?\n",
        "\n",
    ] {
        let mut channel = Channel::connect(house.running.agi).await;
        channel.send(prelude("caller-id").as_bytes()).await;
        let at_the_number = |name: &str| match name {
            "ROTARY_DID" => reply.to_owned(),
            _ => "200 result=1\n".to_owned(),
        };
        let heard = channel.obey_and_say(at_the_number).await;

        assert_eq!(heard.status(), "ERROR", "{reply:?}");
        assert_eq!(heard.get("CALLERID(num)"), None, "{reply:?}");
        nothing_is_open(&house).await;
    }
    next_is_answered(&house).await;
    house.close().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_meanwhile_uses_nothing() {
    let house = open().await;

    for at in ["ROTARY_STATUS", "ROTARY_PICK_ID", "ROTARY_DIAL"] {
        let mut channel = Channel::connect(house.running.agi).await;
        channel.send(prelude("caller-id").as_bytes()).await;
        let hanging_up = |name: &str| match name == at {
            true => "100 result=0 Trying...\nHANGUP\n200 result=1\n".to_owned(),
            false => "200 result=1\n".to_owned(),
        };
        let heard = channel.obey_and_say(hanging_up).await;

        assert_eq!(heard.status(), "ERROR");
        nothing_is_open(&house).await;
    }
    assert_eq!(uses(&house, "default").await, 0);
    next_is_answered(&house).await;
    house.close().await;
}

#[tokio::test]
async fn a_channel_that_goes_before_the_number_is_shown_uses_nothing_and_after_it_one() {
    let house = open().await;
    let begin = async || {
        let mut channel = Channel::connect(house.running.agi).await;
        channel.send(prelude("caller-id?to=4155550123").as_bytes()).await;
        channel
    };

    begin().await.leave_at("ROTARY_STATUS").await;
    begin().await.leave_at("ROTARY_DIAL").await;
    until("both picks to be given back", async || {
        let all = get(&house, "default", "/api/picks").await["data"].as_array().unwrap().clone();
        let back = all.iter().filter(|pick| pick["status"] == "released").count();
        // The first may have gone before there was a pick to give back.
        (back == all.len() && back >= 1).then_some(())
    })
    .await;
    assert_eq!(uses(&house, "default").await, 0);
    begin().await.leave_at("CALLERID(num)").await;
    next_is_answered(&house).await;

    assert_eq!(uses(&house, "default").await, 2, "whether it was shown is not known");
    house.close().await;
}

#[tokio::test]
async fn half_a_prelude_and_gone_a_hundred_times() {
    let house = open().await;

    for _ in 0..100 {
        Channel::connect(house.running.agi).await.send(b"agi_network: yes\nagi_requ").await;
    }

    next_is_answered(&house).await;
    house.close().await;
}

#[tokio::test]
async fn a_call_is_answered_though_every_place_is_taken_by_a_slow_prelude() {
    let house = House::open_changed(|config| {
        config.agi.preludes_max = 4;
        config.agi.prelude_patience = crate::wait::PATIENCE;
    })
    .await;
    add(&house, "default", json!({"number": DID, "status": "active"})).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut channel = Channel::connect(house.running.agi).await;
        channel.send(b"agi_network: yes\n").await;
        slow.push(channel);
    }

    next_is_answered(&house).await;

    assert_eq!(slow[0].obey().await.status(), "ERROR", "the oldest gets the default answer");
    slow[3].send(&prelude("caller-id").as_bytes()[17..]).await;
    assert_eq!(slow[3].obey().await.status(), "OK", "the youngest keeps its place");
    house.close().await;
}

#[tokio::test]
async fn a_prelude_without_an_end_gets_the_default_answer() {
    let house = House::open_changed(|config| {
        config.agi.prelude_patience = std::time::Duration::from_millis(10);
    })
    .await;
    add(&house, "default", json!({"number": DID, "status": "active"})).await;
    let long_line = vec![b'x'; 10_000];
    let headers: Vec<u8> = (0..200).flat_map(|n| format!("x{n}: y\n").into_bytes()).collect();
    let binary: Vec<u8> = (0..=255).cycle().take(9_999).collect();

    for nonsense in [&b"agi_network: yes\n"[..], &long_line, &headers, &binary, b"\0\0\0", b""] {
        let mut channel = Channel::connect(house.running.agi).await;
        channel.send(nonsense).await;
        assert_eq!(channel.obey().await.status(), "ERROR");
    }

    next_is_answered(&house).await;
    house.close().await;
}

#[tokio::test]
async fn over_the_bound_a_call_gets_the_default_answer_at_once() {
    let house = House::open_changed(|config| config.agi.sessions_max = 0).await;
    add(&house, "default", json!({"number": DID, "status": "active"})).await;

    let heard = ask(&house, "caller-id").await;

    assert_eq!(heard.0, [("ROTARY_STATUS".to_owned(), "ERROR".to_owned())]);
    assert_eq!(uses(&house, "default").await, 0);
    house.close().await;
}

#[tokio::test]
async fn who_is_not_allowed_is_turned_away() {
    let house = House::open_changed(|config| {
        config.agi.allow = vec!["192.0.2.0/24".parse().unwrap()];
    })
    .await;

    let mut stream = TcpStream::connect(house.running.agi).await.unwrap();
    let mut said = Vec::new();
    // Closed, or broken off, for what was sent is not read.
    let _either = stream.read_to_end(&mut said).await;

    assert!(said.is_empty(), "{said:?}");
    house.close().await;
}

/// With one DID in rotation.
pub(super) async fn open() -> House {
    let house = House::open().await;
    add(&house, "default", json!({"number": DID, "status": "active"})).await;
    house
}

pub(super) async fn next_is_answered(house: &House) {
    assert_eq!(ask(house, "caller-id").await.status(), "OK");
}

pub(super) async fn nothing_is_open(house: &House) {
    until("the pick to be given back", async || {
        let open = get(house, "default", "/api/picks?settled=false").await;
        open["data"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
}
