//! The OpenAPI document says what the daemon does: it is committed as it is served, its examples
//! happen, and every operation knows the fields that the document names and no other.

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::Body;
use axum::http::Method;
use rotary::http::openapi;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::house::{Answer, Ask, House};
use crate::receiver::Receiver;
use crate::wait::until;

const EXAMPLES: &str = "src/http/openapi/examples.json";

/// What is a page or the document itself, and has no example.
const WITHOUT_EXAMPLE: &[&str] = &["docs", "openapi"];

/// Where the callbacks of the examples go; here, to a receiver of the test.
const CALLBACK_URL: &str = "https://journeys.example.com/callbacks";

/// Set it to have the committed files written anew: `UPDATE=1 cargo test --test it openapi`.
const UPDATE: &str = "UPDATE";

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, openapi::text()).unwrap();
    }

    let committed = std::fs::read_to_string(&path).unwrap_or_default();

    assert!(
        committed == openapi::text(),
        "docs/openapi.json is stale; write it anew with: {UPDATE}=1 cargo test --test it openapi"
    );
}

#[tokio::test]
async fn document_and_page_need_no_key_and_nothing_from_elsewhere() {
    let house = House::open().await;

    let document = house.ask_on_tcp(Ask::get("/openapi.json")).await;
    let page = house.ask_on_tcp(Ask::get("/docs")).await;

    assert_eq!(document.body, *openapi::document());
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let text = page.body.as_str().unwrap();
    for operation in operations() {
        let heading = format!("id=\"{}\"", operation.id());
        assert!(text.contains(&heading), "{heading} is not on the page");
    }
    assert!(!text.contains("<script") && !text.contains("src="));
}

#[test]
fn every_route_is_in_the_document() {
    let routes = include_str!("../../src/http/mod.rs");
    let named = routes.matches("routes!(").count() - routes.matches("macro_rules").count();

    assert!(named > 10, "the routes were not found");
    assert!(!routes.contains(".route("), "a route without a path in the document; use routes!(…)");
    for operation in operations() {
        assert_ne!(operation.value["summary"], Value::Null, "{}", operation.id());
        assert_ne!(operation.value["tags"], Value::Null, "{}", operation.id());
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_id_is_given_once() {
    let text = openapi::text();

    for reference in text.split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(openapi::document().pointer(pointer).is_some(), "{pointer}");
    }
    for operation in operations() {
        let answers = operation.value["responses"].as_object().unwrap().values();
        for (taker, _) in answers.filter_map(|answer| answer["links"].as_object()).flatten() {
            assert_eq!(place(taker).0.matches("{id}").count(), 1, "{taker}");
        }
    }
    let mut ids: Vec<String> = operations().iter().map(|o| o.id().to_owned()).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[tokio::test]
async fn the_examples_happen_as_they_are_shown() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    let mut examples = examples();
    let receiver = Receiver::open().await;
    let mut ids = BTreeMap::from([(CALLBACK_URL.to_owned(), receiver.url.clone())]);
    let update = std::env::var_os(UPDATE).is_some();

    for example in &mut examples {
        let mut asked = example.clone();
        asked["request"] = with_ids(&example["request"], &ids);
        let answer = house.ask(ask(&asked)).await;
        all_callbacks_are_delivered(&house).await;

        let name = example["name"].as_str().unwrap().to_owned();
        let operation = operation(example["operation"].as_str().unwrap());
        assert_eq!(json!(answer.status.as_u16()), example["status"], "{name}: {answer:?}");
        let shown = answer.body;
        operation.validate_answer(answer.status.as_u16(), &shown, &name);
        remember_ids(&example["answer"], &shown, &mut ids);
        if update && shape(&shown) != shape(&example["answer"]) {
            let recorded = ids.iter().map(|(recorded, actual)| (actual.clone(), recorded.clone()));
            example["answer"] = without_secrets(with_ids(&shown, &recorded.collect()));
        }
        assert_eq!(
            shape(&shown),
            shape(&example["answer"]),
            "{name} is not what is answered; see {UPDATE}"
        );
        operation.validate_answer(answer.status.as_u16(), &example["answer"], &name);
        if example["request"]["body"].is_object() && answer.status.is_success() {
            operation.validate_request(&example["request"]["body"], &name);
        }
    }

    if update {
        let text = format!("{:#}\n", Value::Array(examples.clone()));
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLES), text).unwrap();
    }
    for operation in operations() {
        let shown =
            |e: &Value| e["operation"] == operation.id() && e["status"].as_u64() < Some(300);
        let exempt = WITHOUT_EXAMPLE.contains(&operation.id());
        assert!(exempt || examples.iter().any(shown), "{} has no example", operation.id());
    }
    house.close().await;
}

#[tokio::test]
async fn every_operation_knows_the_fields_of_the_document_and_no_other() {
    let (house, _asterisk) = House::open_with_asterisk().await;
    let mut asked = 0;

    for example in examples().into_iter().filter(|e| e["status"].as_u64() < Some(300)) {
        let operation = operation(example["operation"].as_str().unwrap());
        if example["request"]["body"].is_object() {
            let mut stranger = example.clone();
            stranger["request"]["body"]["x-stranger"] = json!(1);
            let refused = house.ask(ask(&stranger)).await;
            assert_eq!(known(&refused), operation.fields(), "{}", operation.id());
            asked += 1;
        }
        if !operation.parameters("query").is_empty() {
            let mut stranger = example.clone();
            stranger["request"]["query"]["x-stranger"] = json!(1);
            let refused = house.ask(ask(&stranger)).await;
            assert_eq!(known(&refused), operation.parameters("query"), "{}", operation.id());
            asked += 1;
        }
    }

    assert!(asked > 8, "hardly any operation was asked");
    house.close().await;
}

/// What is being told shows in every answer, so the next request comes when all is.
async fn all_callbacks_are_delivered(house: &House) {
    until("all callbacks to be delivered", async || {
        let pending = house.ask(Ask::get("/api/callbacks?status=pending")).await;
        (pending.body["data"] == json!([])).then_some(())
    })
    .await;
}

/// An operation of the document.
struct Operation {
    value: &'static Value,
}

impl Operation {
    fn id(&self) -> &'static str {
        self.value["operationId"].as_str().unwrap()
    }

    fn schema(&self) -> &'static Value {
        &self.value["requestBody"]["content"]["application/json"]["schema"]
    }

    /// The fields of its JSON body.
    fn fields(&self) -> Vec<String> {
        let reference = self.schema()["$ref"].as_str().unwrap();
        let schema = openapi::document().pointer(&reference[1..]).unwrap();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    fn parameters(&self, place: &str) -> Vec<String> {
        let all = self.value["parameters"].as_array().into_iter().flatten();
        let named =
            all.filter(|p| p["in"] == place).map(|p| p["name"].as_str().unwrap().to_owned());
        let mut names: Vec<String> = named.collect();
        names.sort();
        names
    }

    fn validate_request(&self, body: &Value, name: &str) {
        let validator = validator(self.schema());
        let errors: Vec<String> = validator.iter_errors(body).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
    }

    fn validate_answer(&self, status: u16, body: &Value, name: &str) {
        let response = &self.value["responses"][status.to_string()];
        assert!(!response.is_null(), "{name}: {status} is not in the document");
        let contents = response["content"].as_object().into_iter().flat_map(Map::values);
        for content in contents {
            let validator = validator(&content["schema"]);
            let errors: Vec<String> = validator.iter_errors(body).map(|e| e.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{name}");
        }
    }
}

fn validator(schema: &Value) -> jsonschema::Validator {
    let mut schema = schema.clone();
    schema["components"] = openapi::document()["components"].clone();
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

fn operations() -> Vec<Operation> {
    let paths = openapi::document()["paths"].as_object().unwrap().values();
    let all = paths.flat_map(|path| path.as_object().unwrap().values());
    all.map(|value| Operation { value }).collect()
}

fn operation(id: &str) -> Operation {
    operations().into_iter().find(|o| o.id() == id).unwrap_or_else(|| panic!("there is no {id}"))
}

fn examples() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLES);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The request of an example.
fn ask(example: &Value) -> Ask {
    let id = &example["operation"];
    let (path, method) = place(id.as_str().unwrap());
    let request = &example["request"];
    let mut path = path.to_owned();
    for (name, value) in request["path"].as_object().into_iter().flatten() {
        path = path.replace(&format!("{{{name}}}"), value.as_str().unwrap());
    }
    let query = request["query"].as_object().into_iter().flatten();
    let pairs: Vec<String> =
        query.map(|(name, value)| format!("{name}={}", written(value))).collect();
    if !pairs.is_empty() {
        path = format!("{path}?{}", pairs.join("&"));
    }
    let kind = request["contentType"].as_str().unwrap_or("application/json");
    let body = request.get("body");
    let kind = if body.is_some() { kind } else { "" };
    let text = body.map(|body| body.as_str().map_or_else(|| body.to_string(), str::to_owned));
    let mut ask = Ask::new(method, &path, kind, text.map_or_else(Body::empty, Body::from));
    for (name, value) in request["header"].as_object().into_iter().flatten() {
        ask = ask.header(name.to_owned().leak(), value.as_str().unwrap());
    }
    ask
}

/// A parameter as a URL has it.
fn written(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.replace('%', "%25").replace('+', "%2B").replace(' ', "%20").replace('&', "%26")
}

fn place(id: &str) -> (&'static str, Method) {
    let paths = openapi::document()["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, value)| (path, method, value))
    });
    let (path, method, _) =
        all.into_iter().find(|(_, _, value)| value["operationId"] == id).unwrap();
    (path, method.to_uppercase().parse().unwrap())
}

/// The fields that a refusal names as known.
fn known(refused: &Answer) -> Vec<String> {
    assert_eq!(refused.problem(), (422, "unknown_field"), "{refused:?}");
    let (_, list) = refused.text("detail").split_once("known are: ").unwrap();
    let mut names: Vec<String> = list.split(", ").map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// What two answers to the same request have in common: everything but the values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("truth"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
        }
    }
}

/// Learns which id of this run stands for which recorded one.
fn remember_ids(recorded: &Value, actual: &Value, ids: &mut BTreeMap<String, String>) {
    match (recorded, actual) {
        (Value::String(recorded), Value::String(actual)) if recorded.parse::<Uuid>().is_ok() => {
            ids.insert(recorded.clone(), actual.clone());
        }
        (Value::Array(recorded), Value::Array(actual)) => {
            recorded.iter().zip(actual).for_each(|(r, a)| remember_ids(r, a, ids));
        }
        (Value::Object(recorded), Value::Object(actual)) => {
            recorded.iter().for_each(|(name, r)| remember_ids(r, &actual[name], ids));
        }
        _ => {}
    }
}

/// The same with other ids.
fn with_ids(value: &Value, ids: &BTreeMap<String, String>) -> Value {
    let mut text = value.to_string();
    for (one, other) in ids {
        text = text.replace(one, other);
    }
    serde_json::from_str(&text).unwrap()
}

/// A secret that opened a daemon of the past is still not for the eyes of scanners.
fn without_secrets(answer: Value) -> Value {
    let secret = "0123456789abcdef".repeat(4);
    match answer {
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        Value::Object(fields) => {
            let id = fields.get("id").and_then(Value::as_str).unwrap_or_default().replace('-', "");
            let kept = |(name, value): (String, Value)| match name.as_str() {
                "key" => (name, json!(format!("rk_{id}_{secret}"))),
                "webhookSecret" => (name, json!(format!("whsec_{}=", &secret[..43]))),
                _ => (name, without_secrets(value)),
            };
            fields.into_iter().map(kept).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => answer,
    }
}
