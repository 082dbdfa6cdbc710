//! The line to Asterisk over TLS, and callbacks to a receiver whose authority is one's own.

use std::sync::Arc;
use std::time::SystemTime;

use rotary::domain::tenant::webhook_secret;
use rotary::webhooks::{Authorities, Message, SendError, Sender, Targets};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::{Authority, Certified, DAY};
use crate::real_asterisk::{Asterisk, Carrier, Version};
use crate::rotary::Rotary;
use crate::wait::until;

const HOST: &str = "127.0.0.1";

#[tokio::test]
async fn calls_go_over_an_encrypted_line_that_is_made_again_on_22() {
    calls_go_over_an_encrypted_line_that_is_made_again(Version::V22).await;
}

#[tokio::test]
async fn calls_go_over_an_encrypted_line_that_is_made_again_on_16() {
    calls_go_over_an_encrypted_line_that_is_made_again(Version::V16).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_to_be_trusted_is_told_with_what_to_do() {
    let [ours, other, namesake] = ["ours", "other", "ours"].map(Authority::new);
    let now = SystemTime::now();
    let carrier = Carrier::start().await;
    let mut asterisk =
        Asterisk::start_encrypted(Version::V22, carrier.address(), &other.certify(HOST)).await;

    for (certificate, words) in [
        (&other.certify(HOST), ["signed by an authority that is not trusted", "asterisk.ca_file"]),
        (
            &namesake.certify(HOST),
            ["signed by an authority that is not trusted", "asterisk.ca_file"],
        ),
        (&ours.certify_for(HOST, now - 2 * DAY, now - DAY), ["expired on 20", "tlscertfile"]),
        (
            &ours.certify_for(HOST, now + DAY, now + 2 * DAY),
            ["not valid yet, only from 20", "clocks"],
        ),
        (
            &ours.certify("pbx.example"),
            ["is for \"pbx.example\", not for 127.0.0.1", "asterisk.tls_name"],
        ),
        (ours.own(), ["is an authority's own", "ast_tls_cert"]),
    ] {
        asterisk.stop().await;
        asterisk.certify(certificate);
        asterisk.start_again().await;
        let rotary = encrypted(&asterisk, &ours).start().await;

        let told = line_is_down(&rotary, "no TLS with Asterisk").await;

        for word in words {
            assert!(told.contains(word), "{word:?} is not said: {told}");
        }
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_taken_where_that_name_is_configured() {
    let ours = Authority::new("ours");
    let carrier = Carrier::start().await;
    let certificate = ours.certify("pbx.example");
    let asterisk = Asterisk::start_encrypted(Version::V22, carrier.address(), &certificate).await;

    let rotary = encrypted(&asterisk, &ours).set("ROTARY_ASTERISK__TLS_NAME", "pbx.example");

    rotary.start_ready().await;
}

#[tokio::test]
async fn either_kind_of_line_to_the_other_kind_of_port_is_told() {
    let ours = Authority::new("ours");
    let carrier = Carrier::start().await;
    let asterisk =
        Asterisk::start_encrypted(Version::V22, carrier.address(), &ours.certify(HOST)).await;
    let (plain, with_tls) =
        (asterisk.ami_address().to_string(), asterisk.encrypted_address().to_string());

    let tls_to_plain = encrypted(&asterisk, &ours).set("ROTARY_ASTERISK__ADDRESS", &plain);
    let plain_to_tls = Rotary::beside(&asterisk).set("ROTARY_ASTERISK__ADDRESS", &with_tls);
    let (tls_to_plain, plain_to_tls) = tokio::join!(tls_to_plain.start(), plain_to_tls.start());

    let told = line_is_down(&tls_to_plain, "does not speak TLS").await;
    assert!(told.contains("set asterisk.tls = false"), "{told}");
    let told = line_is_down(&plain_to_tls, "does not greet").await;
    assert!(told.contains("set asterisk.tls = true"), "{told}");
}

#[tokio::test]
async fn a_receiver_of_callbacks_is_trusted_by_the_authority_that_is_configured() {
    let ours = Authority::new("ours");
    let receiver = receiver(&ours.certify(HOST)).await;
    let authorities = Authorities::read(ours.own().certificate.as_bytes()).unwrap();

    let known = send(&Sender::new(Targets::Any, &authorities), &receiver).await;
    let unknown = send(&Sender::new(Targets::Any, &Authorities::default()), &receiver).await;

    assert_eq!(known.map(|answer| answer.status), Ok(204));
    let Err(SendError::Failed(why)) = unknown else { panic!("{unknown:?}") };
    assert!(why.contains("UnknownIssuer"), "{why}");
}

async fn calls_go_over_an_encrypted_line_that_is_made_again(version: Version) {
    let ours = Authority::new("ours");
    let carrier = Carrier::start().await;
    let mut asterisk =
        Asterisk::start_encrypted(version, carrier.address(), &ours.certify(HOST)).await;
    let rotary = encrypted(&asterisk, &ours).start_ready().await;
    rotary.json(&["dids", "add", "+14045556701", "--status", "active"]).await;

    let first = a_call(&rotary).await;
    asterisk.kill9().await;
    rotary.unready().await;
    asterisk.start_again().await;
    rotary.ready().await;
    let second = a_call(&rotary).await;

    assert_eq!([&first, &second], ["completed", "completed"], "{}", rotary.log());
    assert_eq!(carrier.invites().len(), 2);
}

/// A Rotary that talks TLS with this Asterisk and trusts this authority.
fn encrypted(asterisk: &Asterisk, authority: &Authority) -> Rotary {
    let rotary = Rotary::beside(asterisk);
    let file = rotary.file("ca.pem", &authority.own().certificate);
    rotary
        .set("ROTARY_ASTERISK__ADDRESS", &asterisk.encrypted_address().to_string())
        .set("ROTARY_ASTERISK__TLS", "true")
        .set("ROTARY_ASTERISK__CA_FILE", &file)
}

async fn a_call(rotary: &Rotary) -> String {
    let ended = rotary.post("/api/calls?wait=end", &json!({"to": "+14155550120"})).await;
    ended.json()["status"].as_str().unwrap_or_default().to_owned()
}

/// Waits until this is said of why the line is down, and gives all that is.
async fn line_is_down(rotary: &Rotary, word: &str) -> String {
    until(word, async || {
        let unready = rotary.unready().await;
        let told = unready["checks"]["asterisk"]["detail"].as_str()?.to_owned();
        told.contains(word).then_some(told)
    })
    .await
}

async fn send(sender: &Sender, url: &str) -> Result<rotary::webhooks::Answer, SendError> {
    let secret = webhook_secret([7; 32]).expose_secret().parse().unwrap();
    let message = Message { id: "1".to_owned(), timestamp: 0, url, body: "{}".to_owned() };
    sender.send(message, &secret).await
}

/// The URL of one that takes whatever is sent to it, over TLS.
#[expect(clippy::disallowed_methods, reason = "a test stands in for the lifecycle")]
async fn receiver(certified: &Certified) -> String {
    let chain = CertificateDer::from_pem_slice(certified.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let url = format!("https://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            // One who does not trust us breaks off.
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            let mut heard = Vec::new();
            while !heard.ends_with(b"{}") {
                assert_ne!(socket.read_buf(&mut heard).await.unwrap(), 0);
            }
            socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    });
    url
}
