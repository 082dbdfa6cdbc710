//! An Asterisk that is broken on purpose.

use super::Examined;
use crate::real_asterisk::{Asterisk, Carrier, Version};
use crate::rotary::{Rotary, Via};

const MANAGER: &str = "manager reload";
const PJSIP: &str = "module reload res_pjsip.so";
const DIALPLAN: &str = "dialplan reload";

#[tokio::test]
async fn all_is_well_beside_the_sample_files_and_a_running_daemon() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let rotary = Rotary::beside(&asterisk).start_ready().await;
    rotary.json(&["dids", "add", "+14045556701", "--status", "active"]).await;
    rotary.json(&["dids", "add", "+14045556702", "--status", "active", "--trunk", "carrier"]).await;

    let examined = Examined::of(&rotary).await;
    let shown = rotary.cli(&["doctor"]).await;

    assert_eq!(examined.code, 0, "{examined:?}");
    assert_eq!(examined.outcomes("warning"), Vec::<&str>::new(), "{examined:?}");
    assert_eq!(examined.outcomes("skipped"), Vec::<&str>::new(), "{examined:?}");
    examined.assert("asterisk login", "ok", &["as rotary at 127.0.0.1:"]);
    examined.assert("asterisk version", "ok", &["Asterisk 22."]);
    examined.assert("asterisk trunk PJSIP", "ok", &["endpoint PJSIP"]);
    examined.assert("asterisk caller ID on carrier", "ok", &["P-Asserted-Identity"]);
    examined.assert("asterisk dialplan", "ok", &["s@DynamicIVR, priority 1"]);
    examined.assert("asterisk clock", "ok", &[]);
    examined.assert("active DIDs", "ok", &["2, on 2 trunks"]);
    examined.assert("control socket", "ok", &["mode 0660"]);
    examined.assert("FastAGI", "ok", &["answers at 127.0.0.1:"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("\nok    asterisk login: as rotary at "), "{shown:?}");
    assert!(shown.stdout.ends_with("\n0 failed, 0 warnings, 0 skipped\n"), "{shown:?}");
}

#[tokio::test]
async fn a_line_that_does_not_come_up_is_told_and_what_rests_on_it_is_passed_over() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let nobody = Rotary::new();
    let wrong = Rotary::beside(&asterisk).set("ROTARY_ASTERISK__SECRET", "another-long-word");

    let (nobody, wrong) = tokio::join!(Examined::of(&nobody), Examined::of(&wrong));

    assert_eq!([nobody.code, wrong.code], [1, 1]);
    nobody.assert("asterisk AMI", "failed", &["nobody answers at", "enabled = yes", "address"]);
    wrong.assert("asterisk AMI", "ok", &[]);
    wrong.assert(
        "asterisk login",
        "failed",
        &["refused for rotary", "manager.conf: [rotary] secret"],
    );
    for examined in [nobody, wrong] {
        for check in ["version", "events", "rights", "clock", "dialplan"] {
            examined.assert(&format!("asterisk {check}"), "skipped", &["no line to this Asterisk"]);
        }
    }
}

#[tokio::test]
async fn classes_that_a_user_lacks_are_named() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let rotary = Rotary::beside(&asterisk);

    let write =
        |to| asterisk.change("manager.conf", "write = originate,call,reporting", to, MANAGER);
    write("write = call,command").await;
    asterisk.change("manager.conf", "read = system,call", "read = system", MANAGER).await;
    let narrow = Examined::of(&rotary).await;
    asterisk.change("manager.conf", "read = system", "read = call", MANAGER).await;
    let deaf = Examined::of(&rotary).await;

    narrow.assert(
        "asterisk rights",
        "failed",
        &[
            "may not Originate, CoreShowChannels",
            "manager.conf: [rotary] write = originate,call,reporting",
        ],
    );
    narrow.assert("asterisk events", "failed", &["read = system ->", "read = system,call"]);
    narrow.assert(
        "asterisk dialplan",
        "skipped",
        &["Permission denied", "dialplan show s@DynamicIVR"],
    );
    deaf.assert("asterisk events", "failed", &["FullyBooted was not heard", "read = system,call"]);
}

#[tokio::test]
async fn trunks_and_caller_ids_that_do_not_get_out_are_told_on_22() {
    trunks_and_caller_ids_that_do_not_get_out_are_told(Version::V22).await;
}

#[tokio::test]
async fn trunks_and_caller_ids_that_do_not_get_out_are_told_on_16() {
    trunks_and_caller_ids_that_do_not_get_out_are_told(Version::V16).await;
}

/// With the rights of the sample, then with the class `system`, which lets Asterisk tell more, then
/// over ARI: the same trunks fail.
async fn trunks_and_caller_ids_that_do_not_get_out_are_told(version: Version) {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(version, carrier.address()).await;
    let with_trunks = |rotary: Rotary| {
        rotary
            .set("ROTARY_TRUNKS__PJSIP__DIAL", "PJSIP/{to}@PJSIP")
            .set("ROTARY_TRUNKS__carrier__DIAL", "PJSIP/{to}@carrier")
            .set("ROTARY_TRUNKS__lost__DIAL", "PJSIP/{to}@nowhere")
    };
    let over_ami = with_trunks(Rotary::beside(&asterisk));
    let over_ari = with_trunks(Rotary::over(Via::Ari, &asterisk));

    asterisk
        .change(
            "pjsip.conf",
            "[carrier](trunk)\naors = carrier",
            "[carrier](trunk)\nfrom_user = acme\nsend_pai = no\naors =",
            PJSIP,
        )
        .await;
    asterisk
        .change("pjsip.conf", "[PJSIP](trunk)", "[PJSIP](trunk)\nfrom_user = acme", PJSIP)
        .await;
    let narrow = Examined::of(&over_ami).await;
    let ari = Examined::of(&over_ari).await;
    let write = "write = originate,call,reporting";
    asterisk.change("manager.conf", write, &format!("{write},system"), MANAGER).await;
    let wide = Examined::of(&over_ami).await;

    for examined in [&narrow, &wide, &ari] {
        assert_eq!(examined.code, 1);
        examined.assert(
            "asterisk trunk lost",
            "failed",
            &["no PJSIP endpoint nowhere", "pjsip.conf: [nowhere]", "[trunks.lost] dial"],
        );
        examined.assert("asterisk caller ID on lost", "skipped", &["no such endpoint"]);
        examined.assert(
            "asterisk caller ID on carrier",
            "failed",
            &["every call shows acme", "take from_user out of [carrier]"],
        );
        examined.assert("asterisk caller ID on PJSIP", "warning", &["P-Asserted-Identity alone"]);
        examined.assert("asterisk trunk PJSIP", "ok", &[]);
    }
    narrow.assert(
        "asterisk trunk carrier",
        "failed",
        &["without a contact", "contact = sip:CARRIER"],
    );
    wide.assert("asterisk trunk carrier", "failed", &["has no contact", "aors = AOR"]);
    ari.assert("asterisk login", "ok", &["over ARI"]);
    ari.assert("asterisk dialplan", "skipped", &["ARI cannot be asked"]);
}

#[tokio::test]
async fn a_place_that_the_dialplan_has_not_is_told() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let at = |key: &str, value: &str| Rotary::beside(&asterisk).set(key, value);

    let context = Examined::of(&at("ROTARY_CALLS__CONTEXT", "Elsewhere")).await;
    let exten = Examined::of(&at("ROTARY_CALLS__EXTEN", "start")).await;
    let priority = Examined::of(&at("ROTARY_CALLS__PRIORITY", "9")).await;
    let pattern = Examined::of(&at("ROTARY_CALLS__EXTEN", "+14155550123")).await;
    let catch_all = "exten => _.,1,Hangup()\nexten => _X.,1,Goto(s,1)\nexten => _+X.,1,Goto(s,1)";
    asterisk
        .change(
            "extensions.conf",
            "exten => _X.,1,Goto(s,1)\nexten => _+X.,1,Goto(s,1)",
            catch_all,
            DIALPLAN,
        )
        .await;
    let failed = Examined::of(&Rotary::beside(&asterisk)).await;

    let check = "asterisk dialplan";
    context.assert(check, "failed", &["find context Elsewhere", "extensions.conf: [Elsewhere]"]);
    exten.assert(check, "failed", &["find extension start@DynamicIVR", "exten => start,1,"]);
    priority.assert(check, "failed", &["no such priority", "[calls] context, exten and priority"]);
    pattern.assert(check, "ok", &[]);
    failed.assert("asterisk dialplan for failed calls", "warning", &["take `failed`"]);
}

#[tokio::test]
async fn an_ari_user_who_may_only_read_is_told() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    asterisk
        .change("ari.conf", "read_only = no", "read_only = yes", "module reload res_ari.so")
        .await;

    let examined = Examined::of(&Rotary::over(Via::Ari, &asterisk)).await;

    examined.assert("asterisk login", "failed", &["refused for rotary", "read_only = no"]);
    examined.assert("asterisk clock", "skipped", &["no line"]);
}
