//! DIDs, tenants and the audit log from the command line.

use crate::command_line::rotary;
use crate::house::House;

#[tokio::test]
async fn a_did_is_changed_by_its_number_or_its_id() {
    let house = House::open().await;
    let socket = &house.running.socket;
    let add = ["dids", "add", "4045556789", "--max-usage", "3", "--campaign", "c_1", "--json"];
    let id = rotary(socket, &add).await.json()["id"].as_str().unwrap().to_owned();
    let by_number = [
        "dids",
        "set",
        "(404) 555-6789",
        "--status",
        "active",
        "--trunk",
        "carrier",
        "--note",
        "owner=ops",
        "--note",
        "region=US-East",
    ];
    let by_id = [
        "dids",
        "set",
        &id,
        "--max-usage",
        "none",
        "--campaign",
        "none",
        "--area-code",
        "none",
        "--note",
        "owner=",
        "--json",
    ];

    let first = rotary(socket, &by_number).await;
    let second = rotary(socket, &by_id).await;
    let shown = rotary(socket, &["dids", "show", "+14045556789"]).await;

    assert_eq!((first.code, first.err.as_str()), (0, ""));
    assert!(first.out.contains("uses       0 of 3"), "{}", first.out);
    let did = second.json();
    assert_eq!((did["status"].as_str(), did["trunk"].as_str()), (Some("active"), Some("carrier")));
    for cleared in ["maxUsage", "campaignId", "areaCode"] {
        assert!(did[cleared].is_null(), "{did}");
    }
    assert_eq!(did["metadata"], serde_json::json!({"region": "US-East"}));
    assert_eq!(rotary(socket, &["dids", "show", &id, "--json"]).await.json(), did);
    assert!(shown.out.contains("status     active\n"), "{}", shown.out);
    assert!(shown.out.contains("region  US-East\n"), "{}", shown.out);
}

#[tokio::test]
async fn a_count_is_set_back_from_the_command_line() {
    let house = House::open().await;
    let socket = &house.running.socket;
    rotary(socket, &["dids", "add", "4045556789"]).await;

    let reset = rotary(socket, &["dids", "set", "4045556789", "--reset-usage", "--json"]).await;

    assert_eq!((reset.code, &reset.json()["usageCount"]), (0, &serde_json::json!(0)));
}

#[tokio::test]
async fn a_change_of_nothing_and_of_nobody_is_told() {
    let house = House::open().await;
    let socket = &house.running.socket;
    rotary(socket, &["dids", "add", "4045556789", "--tenant", "acme"]).await;

    let nothing = rotary(socket, &["dids", "set", "4045556789", "--tenant", "acme"]).await;
    let wrong = rotary(socket, &["dids", "set", "4045556789", "--max-usage", "many"]).await;
    let note = rotary(socket, &["dids", "set", "4045556789", "--note", "owner"]).await;
    let nobody = rotary(socket, &["dids", "set", "4045556789", "--status", "active"]).await;
    let no_id = "0192f0c1-3b7e-7a10-8000-000000000001";
    let no_id = rotary(socket, &["dids", "remove", no_id]).await;
    let no_number = rotary(socket, &["dids", "show", "404555"]).await;

    assert_eq!((nothing.code, wrong.code, note.code), (2, 2, 2));
    assert_eq!((nobody.code, nobody.err.as_str()), (1, "error: DID not found: 4045556789\n"));
    assert_eq!(no_id.code, 1);
    assert_eq!(no_number.code, 2);
    assert!(no_number.err.contains("Invalid phone number: 404555"), "{}", no_number.err);
}

#[tokio::test]
async fn a_removed_did_is_gone_and_the_audit_log_knows_of_it() {
    let house = House::open().await;
    let socket = &house.running.socket;
    let added = rotary(socket, &["dids", "add", "4045556789", "--json"]).await;
    let id = added.json()["id"].as_str().unwrap().to_owned();
    rotary(socket, &["dids", "set", "4045556789", "--max-usage", "5"]).await;
    let by_number = rotary(socket, &["audit-log", "--did", "4045556789", "--json"]).await;

    let removed = rotary(socket, &["dids", "remove", "4045556789"]).await;
    let list = rotary(socket, &["dids", "list", "--json"]).await;
    let log = rotary(socket, &["audit-log", "--did", &id]).await;
    let of_other = rotary(socket, &["audit-log", "--tenant", "other", "--json"]).await;
    let newest = rotary(socket, &["audit-log", "--limit", "1"]).await;
    let future = rotary(socket, &["audit-log", "--since", "2999-01-01T00:00:00Z", "--json"]).await;

    assert_eq!((removed.code, removed.out.as_str()), (0, "removed +14045556789\n"));
    assert_eq!(list.json()["data"], serde_json::json!([]));
    assert_eq!(by_number.json()["data"][0]["after"], serde_json::json!({"maxUsage": 5}));
    let lines: Vec<&str> = log.out.lines().collect();
    assert!(lines[0].starts_with("TIME"), "{}", log.out);
    assert!(lines[1].contains("did.deleted") && lines[1].contains(&id), "{}", log.out);
    assert!(lines[2].contains(r#"{"maxUsage":null}"#), "{}", log.out);
    assert!(lines[3].contains("did.created"), "{}", log.out);
    assert_eq!(lines.len(), 4);
    assert_eq!(of_other.json()["data"], serde_json::json!([]));
    assert!(newest.err.starts_with("there are more: --cursor "), "{}", newest.err);
    assert_eq!(future.json()["data"], serde_json::json!([]));
}

#[tokio::test]
async fn a_tenants_secret_is_printed_only_when_asked_for() {
    let house = House::open().await;
    let socket = &house.running.socket;

    let added = rotary(socket, &["tenants", "add", "acme", "--name", "Acme"]).await;
    let again = rotary(socket, &["tenants", "add", "acme"]).await;
    let list = rotary(socket, &["tenants", "list"]).await;
    let list_json = rotary(socket, &["tenants", "list", "--json"]).await;
    let shown = rotary(socket, &["tenants", "show", "acme", "--json"]).await;
    let secret = rotary(socket, &["tenants", "show", "acme", "--secret", "--json"]).await;
    let rotated = rotary(socket, &["tenants", "rotate-secret", "acme", "--json"]).await;
    let nobody = rotary(socket, &["tenants", "show", "nobody"]).await;

    assert!(added.out.starts_with("tenant   acme\nname     Acme\n"), "{}", added.out);
    assert_eq!((again.code, again.err.as_str()), (1, "error: Tenant already exists: acme\n"));
    let lines: Vec<&str> = list.out.lines().collect();
    assert!(lines[1].starts_with("acme     Acme  "), "{}", list.out);
    assert!(lines[2].starts_with("default  -     "), "{}", list.out);
    for ran in [&added, &list, &list_json, &shown] {
        assert!(!ran.out.contains("whsec_"), "{}", ran.out);
    }
    let (before, after) = (secret.json(), rotated.json());
    assert!(before["webhookSecret"].as_str().unwrap().starts_with("whsec_"));
    assert_ne!(before["webhookSecret"], after["webhookSecret"]);
    assert_eq!((nobody.code, nobody.err.as_str()), (1, "error: Tenant not found: nobody\n"));
}
