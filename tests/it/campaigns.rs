//! Campaigns over the API and the command line: what is said of them, and how they pick.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rotary::app::warm_up::warm_up;
use rotary::app::{campaigns, join};
use rotary::domain::audit::Origin;
use rotary::domain::campaign::{Campaign, CampaignChange, Join, Rules};
use rotary::domain::did::{DidId, DidState, DidStatus, TrunkName};
use rotary::domain::tenant::{CampaignId, TenantId};
use rotary::store::audit_log::AuditFilter;
use rotary::store::ledger::{Use, WriterId};
use serde_json::{Value, json};

use crate::command_line::rotary;
use crate::house::{Ask, House};

const CAMPAIGNS: &str = "/api/campaigns";
const DIDS: &str = "/api/asterisk-dids";
const IMPORT: &str = "/api/asterisk-dids/import";
const NEXT: &str = "/api/asterisk-dids/next-available";

#[tokio::test]
async fn a_campaign_is_described_once_and_found_again() {
    let house = House::open().await;
    let body = json!({"id": "c_abc", "name": "Spring", "join": "lowest", "localPresence": true});

    let created = house.ask(Ask::post(CAMPAIGNS, &body)).await;
    let again = house.ask(Ask::post(CAMPAIGNS, &json!({"id": "c_abc"}))).await;

    assert_eq!(created.status, 201, "{created:?}");
    let (made, changed) = (created.body["createdAt"].clone(), created.body["updatedAt"].clone());
    assert_eq!(
        created.body,
        json!({
            "id": "c_abc", "tenantId": "default", "name": "Spring", "join": "lowest",
            "localPresence": true, "createdAt": made, "updatedAt": changed,
            "dids": {"total": 0, "active": 0, "spent": 0},
        })
    );
    let location = created.headers["location"].to_str().unwrap();
    assert_eq!(house.ask(Ask::get(location)).await.body, created.body);
    assert_eq!(again.problem(), (409, "campaign_exists"));
    let unknown = house.ask(Ask::get("/api/campaigns/c_other")).await;
    assert_eq!(unknown.problem(), (404, "campaign_not_found"));
    let changed = house.ask(Ask::put("/api/campaigns/c_other", &json!({}))).await;
    assert_eq!(changed.problem(), (404, "campaign_not_found"));
}

#[tokio::test]
async fn a_campaign_that_says_nothing_joins_by_count_and_looks_at_no_callee() {
    let house = House::open().await;

    let created = house.ask(Ask::post(CAMPAIGNS, &json!({"id": "c_abc"}))).await;

    assert_eq!(created.body["name"], Value::Null);
    assert_eq!(created.body["join"], "count");
    assert_eq!(created.body["localPresence"], false);
}

#[tokio::test]
async fn only_what_is_sent_is_changed_and_the_audit_log_has_both_sides() {
    let house = House::open().await;
    let path = "/api/campaigns/c_abc";
    house.ask(Ask::post(CAMPAIGNS, &json!({"id": "c_abc", "name": "Spring"}))).await;

    let joined = house.ask(Ask::put(path, &json!({"join": "lowest"}))).await;
    let same = house.ask(Ask::put(path, &json!({"join": "lowest"}))).await;
    let nameless = house.ask(Ask::put(path, &json!({"name": "", "localPresence": true}))).await;

    assert_eq!((joined.text("name"), joined.text("join")), ("Spring", "lowest"));
    assert_eq!(same.body, joined.body);
    assert_eq!((&nameless.body["name"], nameless.text("join")), (&Value::Null, "lowest"));
    assert_eq!(house.ask(Ask::get(path)).await.body, nameless.body);
    let about = AuditFilter { subject_id: Some("c_abc".into()), ..AuditFilter::default() };
    let log = house.running.app.store.list_audit_log(&about, 10, None).await.unwrap();
    let told: Vec<_> = log
        .items
        .into_iter()
        .map(|line| (line.subject_type + " " + &line.action, line.before, line.after, line.actor))
        .collect();
    let line = |action: &str, before: Option<Value>, after: Value| {
        (format!("campaign campaign.{action}"), before, Some(after), "uid 0".to_owned())
    };
    assert_eq!(
        told,
        [
            line(
                "updated",
                Some(json!({"name": "Spring", "localPresence": false})),
                json!({"name": null, "localPresence": true}),
            ),
            line("updated", Some(json!({"join": "count"})), json!({"join": "lowest"})),
            line(
                "created",
                None,
                json!({"name": "Spring", "join": "count", "localPresence": false}),
            ),
        ]
    );
}

#[tokio::test]
async fn a_body_that_will_not_do_names_the_field_at_fault() {
    let house = House::open().await;

    for (body, code, field) in [
        (json!({}), "missing_field", "id"),
        (json!({"id": "a b"}), "invalid_field", "id"),
        (json!({"id": "c_1", "join": "random"}), "invalid_field", "join"),
        (json!({"id": "c_1", "localPresence": "yes"}), "invalid_field", "localPresence"),
        (json!({"id": "c_1", "name": "a\nb"}), "invalid_field", "name"),
        (json!({"id": "c_1", "name": "x".repeat(201)}), "invalid_field", "name"),
        (json!({"id": "c_1", "color": "red"}), "unknown_field", "color"),
    ] {
        let refused = house.ask(Ask::post(CAMPAIGNS, &body)).await;

        assert_eq!(refused.problem(), (422, code), "{body}");
        assert_eq!(refused.body["field"], field, "{body}");
    }
    assert_eq!(house.ask(Ask::get(CAMPAIGNS)).await.body["data"], json!([]));
}

#[tokio::test]
async fn a_tenant_sees_its_own_campaigns_and_a_viewer_changes_none() {
    let house = House::open().await;
    let acme = |ask: Ask| ask.header("x-tenant-id", "acme");
    house.ask(acme(Ask::post(CAMPAIGNS, &json!({"id": "c_abc", "name": "Acme's"})))).await;
    let viewer = json!({"role": "viewer"});
    let viewer = house.ask(acme(Ask::post("/api/keys", &viewer))).await.text("key").to_owned();

    let theirs = house.ask(acme(Ask::get(CAMPAIGNS))).await;
    let ours = house.ask(Ask::get(CAMPAIGNS)).await;
    let created = house.ask(Ask::post(CAMPAIGNS, &json!({"id": "c_abc"}))).await;
    let seen = house.ask_on_tcp(Ask::get("/api/campaigns/c_abc").key(&viewer)).await;
    let put = Ask::put("/api/campaigns/c_abc", &json!({"join": "lowest"})).key(&viewer);
    let changed = house.ask_on_tcp(put).await;

    assert_eq!(theirs.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(ours.body["data"], json!([]));
    assert_eq!(created.status, 201, "another tenant's campaign is in nobody's way");
    assert_eq!(seen.text("name"), "Acme's");
    assert_eq!(changed.problem(), (403, "forbidden"));
}

#[tokio::test]
async fn a_list_of_campaigns_counts_their_dids_and_goes_on_where_it_left_off() {
    let house = House::open().await;
    for id in ["c_2", "c_1", "c_3"] {
        house.ask(Ask::post(CAMPAIGNS, &json!({"id": id}))).await;
    }
    let csv = "number,status,campaignId,maxUsage\n+14045550001,active,c_1,\n\
               +14045550002,active,c_1,0\n+14045550003,available,c_1,\n+14045550004,active,c_3,\n";
    house.ask(Ask::post_as(IMPORT, "text/csv", csv)).await;

    let first = house.ask(Ask::get("/api/campaigns?limit=2")).await;
    let rest =
        house.ask(Ask::get(&format!("/api/campaigns?limit=2&cursor={}", first.text("nextCursor"))));
    let rest = rest.await;

    let told = |page: &Value| -> Vec<(String, Value)> {
        let campaigns = page["data"].as_array().unwrap().iter();
        campaigns.map(|c| (c["id"].as_str().unwrap().to_owned(), c["dids"].clone())).collect()
    };
    let dids = |total: u32, active: u32, spent: u32| json!({"total": total, "active": active, "spent": spent});
    assert_eq!(
        told(&first.body),
        [("c_1".to_owned(), dids(3, 2, 1)), ("c_2".to_owned(), dids(0, 0, 0))]
    );
    assert_eq!(told(&rest.body), [("c_3".to_owned(), dids(1, 1, 0))]);
    assert_eq!(rest.body["nextCursor"], Value::Null);
    assert_eq!(house.ask(Ask::get("/api/campaigns?cursor=a%20b")).await.status, 422);
}

#[tokio::test]
async fn a_newcomer_takes_its_turn_where_it_joins_at_the_lowest_and_all_turns_where_by_count() {
    for (join, shares) in [("lowest", [10, 10, 10, 10]), ("count", [0, 0, 0, 40])] {
        let (house, _asterisk) = House::open_with_asterisk().await;
        house.ask(Ask::post(CAMPAIGNS, &json!({"id": "c_abc", "join": join}))).await;
        let mut old = Vec::new();
        for n in 1..=3 {
            old.push(add(&house, &format!("+1404555000{n}"), "c_abc").await);
        }
        for did in old {
            use_often(&house, did, 100).await;
        }

        let newcomer = add(&house, "+14045550004", "c_abc").await;
        let mut shown: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..40 {
            let body = json!({"to": "+14155550123", "campaignId": "c_abc"});
            let call = house.ask(Ask::post("/api/calls", &body)).await;
            *shown.entry(call.body["did"]["number"].to_string()).or_default() += 1;
        }

        let shares: Vec<u32> = shares.into_iter().filter(|share| *share > 0).collect();
        assert_eq!(Vec::from_iter(shown.values().copied()), shares, "{join}");
        let after = house.ask(Ask::get(&format!("{DIDS}/{newcomer}"))).await;
        assert_eq!(after.body["usageCount"], *shares.last().unwrap(), "its own count is true");
    }
}

#[tokio::test]
async fn imported_dids_start_level_whether_they_are_new_or_come_back() {
    let house = House::open().await;
    house.ask(Ask::post(CAMPAIGNS, &json!({"id": "c_abc", "join": "lowest"}))).await;
    let old = add(&house, "+14045550001", "c_abc").await;
    use_often(&house, old, 9).await;
    let csv = "number,status,campaignId\n+14045550002,active,c_abc\n+14045550003,inactive,c_abc\n\
               +14045550004,active,\n";
    house.ask(Ask::post_as(IMPORT, "text/csv", csv)).await;

    let back = "number,status\n+14045550003,active\n+14045550001,active\n+14045550004,active\n";
    let update = format!("{IMPORT}?onDuplicate=update");
    house.ask(Ask::post_as(&update, "text/csv", back)).await;

    let list = house.ask(Ask::get(DIDS)).await;
    let dids = list.body["data"].as_array().unwrap().iter();
    let starts: Vec<_> = dids.map(|did| did["headStart"].as_u64().unwrap_or(0)).collect();
    assert_eq!(starts, [0, 9, 9, 0], "{list:?}");
    // All stand at nine, so that the lowest id comes first and not the least used.
    let next = house.ask(Ask::get(&format!("{NEXT}?campaignId=c_abc"))).await;
    assert_eq!(next.text("number"), "+14045550001");
}

#[tokio::test]
async fn a_did_that_is_changed_keeps_its_place_or_joins_anew() {
    let house = House::open().await;
    let app = &house.running.app;
    for (id, join) in [("c_low", "lowest"), ("c_high", "lowest"), ("c_count", "count")] {
        house.ask(Ask::post(CAMPAIGNS, &json!({"id": id, "join": join}))).await;
    }
    for (number, campaign, uses) in [
        ("+14045550001", "c_low", 5),
        ("+14045550002", "c_high", 50),
        ("+14045550003", "c_count", 50),
    ] {
        let did = add(&house, number, campaign).await;
        use_often(&house, did, uses).await;
    }
    let did = |status: DidStatus, campaign: Option<&str>| DidState {
        id: DidId(uuid::Uuid::nil()),
        tenant: TenantId::default_tenant(),
        number: "+14045550009".parse().unwrap(),
        area_code: None,
        trunk: TrunkName::pjsip(),
        status,
        usage_count: 10,
        max_usage: None,
        campaign: campaign.map(|id| id.parse().unwrap()),
        head_start: 7,
    };
    use DidStatus::{Active, Inactive};

    for (before, after, head_start) in [
        (did(Active, Some("c_high")), did(Active, Some("c_high")), 7),
        (did(Inactive, Some("c_high")), did(Active, Some("c_high")), 40),
        (did(Active, Some("c_low")), did(Active, Some("c_high")), 40),
        (did(Active, Some("c_high")), did(Active, Some("c_low")), 0),
        (did(Active, Some("c_high")), did(Active, Some("c_count")), 0),
        (did(Active, Some("c_high")), did(Active, Some("c_unheard_of")), 0),
        (did(Active, Some("c_high")), did(Active, None), 0),
        (did(Active, None), did(Active, None), 7),
        (did(Active, Some("c_high")), did(Inactive, Some("c_high")), 0),
    ] {
        let decided = join::head_start(app, &before, &after);

        assert_eq!(decided, head_start, "{before:?} to {after:?}");
    }
}

#[tokio::test]
async fn local_presence_prefers_the_callees_area_code_and_an_area_code_asked_for_wins() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    house.ask(Ask::post(CAMPAIGNS, &json!({"id": "c_abc", "localPresence": true}))).await;
    for number in ["+14045550001", "+14155550002", "+12125550003"] {
        add(&house, number, "c_abc").await;
    }
    let next = async |query: &str| {
        let query = format!("{NEXT}?campaignId=c_abc{query}");
        house.ask(Ask::get(&query)).await.text("number").to_owned()
    };

    assert_eq!(next("&to=%2B14155550123").await, "+14155550002");
    assert_eq!(next("&to=%2B14155550123&areaCode=212").await, "+12125550003");
    assert_eq!(next("&to=%2B13055550123").await, "+14045550001");
    let body = json!({"to": "+14155550123", "campaignId": "c_abc"});
    let shown = async |body: &Value| {
        let call = house.ask(Ask::post("/api/calls", body)).await;
        call.body["did"]["number"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown(&body).await, "+14155550002");
    assert_eq!(shown(&body).await, "+14155550002", "used more than the others, and local");
    house.ask(Ask::put("/api/campaigns/c_abc", &json!({"localPresence": false}))).await;
    assert_eq!(shown(&body).await, "+14045550001");
}

#[tokio::test]
async fn what_the_store_says_of_a_campaign_is_in_force_after_a_start_and_once_it_is_read_again() {
    let house = House::open().await;
    let app = &house.running.app;
    let (tenant, id): (TenantId, CampaignId) =
        (TenantId::default_tenant(), "c_abc".parse().unwrap());
    let lowest = Rules { join: Join::Lowest, local_presence: false };
    let now = rotary::app::now();
    let (created_at, updated_at) = (now, now);
    let campaign = Campaign {
        tenant: tenant.clone(),
        id: id.clone(),
        name: None,
        rules: lowest,
        created_at,
        updated_at,
    };

    app.store.insert_campaign(&campaign, &Origin::rotary()).await.unwrap();
    assert_eq!(app.campaigns.rules(&tenant, &id), Rules::default());
    warm_up(app, WriterId(uuid::Uuid::now_v7())).await.unwrap();
    assert_eq!(app.campaigns.rules(&tenant, &id), lowest);

    let change = CampaignChange { join: Some(Join::Count), ..CampaignChange::default() };
    let origin = Origin::rotary();
    app.store.change_campaign(&tenant, &id, &change, &origin, now).await.unwrap();
    campaigns::load(app).await.unwrap();
    assert_eq!(app.campaigns.rules(&tenant, &id), Rules::default());
}

#[tokio::test]
async fn campaigns_are_described_listed_and_changed_by_command() {
    let house = House::open().await;
    let socket = &house.running.socket;

    let add = ["campaigns", "add", "c_abc", "--name", "Spring", "--join", "lowest"];
    let added = rotary(socket, &[&add[..], &["--local-presence"]].concat()).await;
    let set = ["campaigns", "set", "c_abc", "--local-presence", "false", "--json"];
    let changed = rotary(socket, &set).await;
    let list = rotary(socket, &["campaigns", "list"]).await;
    let again = rotary(socket, &add).await;
    let wrong = rotary(socket, &["campaigns", "add", "c_2", "--join", "random"]).await;

    assert_eq!(added.out, "added c_abc: join lowest, local presence\n", "{}", added.err);
    assert_eq!(changed.json()["localPresence"], false);
    assert_eq!(changed.json()["join"], "lowest");
    let lines: Vec<Vec<&str>> =
        list.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["c_abc", "Spring", "lowest", "no", "0", "0", "0"], "{}", list.out);
    assert_eq!((again.code, wrong.code), (1, 2), "{}{}", again.err, wrong.err);
    assert!(again.err.contains("Campaign already exists"), "{}", again.err);
}

async fn add(house: &House, number: &str, campaign: &str) -> String {
    let body = json!({"number": number, "status": "active", "campaignId": campaign});
    house.ask(Ask::post(DIDS, &body)).await.text("id").to_owned()
}

/// Counts uses in the store and tells the index, as after a life of picks.
async fn use_often(house: &House, did: String, uses: u32) {
    let app = &house.running.app;
    let (tenant, did) = (TenantId::default_tenant(), DidId(did.parse().unwrap()));
    let counting = (0..uses).map(|_| {
        let used =
            Use { tenant: tenant.clone(), did, at: rotary::app::now(), call: None, pick: None };
        app.ledger.record(used)
    });
    join_all(counting).await.into_iter().for_each(|counted| drop(counted.unwrap()));
    app.index.lock().learn(&tenant, did, uses);
}
