//! What the annotations leave to be said: the tenant's header, bodies that take no other field,
//! rules between fields, examples.

use serde_json::{Map, Value, json};

use crate::http::problem::Code;

/// Requests and answers as they were recorded from a running daemon; a test plays them again.
const EXAMPLES: &str = include_str!("examples.json");

/// What is left out of an answer rather than `null`. All else that may be `null` is always there.
const LEFT_OUT: &[&str] = &[
    "application",
    "call",
    "column",
    "current",
    "data",
    "detail",
    "dial",
    "field",
    "headStart",
    "importId",
    "limit",
    "max",
    "notice",
    "problem",
    "rejected",
    "retryAfterSeconds",
    "suggestion",
    "timeline",
    "webhookSecret",
];

/// What makes a thing, and what then takes its id.
const LINKS: &[(&str, &[&str])] = &[
    ("createDid", &["findDid", "changeDid", "resetUsage", "deleteDid"]),
    ("makeCall", &["findCall", "followCall", "hangUpCall"]),
    ("makeJourneyCall", &["findCall", "followCall"]),
    ("createCampaign", &["findCampaign", "changeCampaign"]),
    ("createTenant", &["findTenant", "rotateSecret"]),
    ("createKey", &["revokeKey"]),
];

/// Finishes the document that the annotations made.
pub(super) fn finish(document: &Value) -> Value {
    let mut document = renamed(document);
    let asked = asked_schemas(&document);
    each_operation(&mut document, |operation| {
        each_parameter(operation, without_null);
        match operation.get("security") {
            // utoipa says "no key" by an empty requirement, which others read as "a key, or none".
            Some(_) => operation["security"] = json!([]),
            None => add_tenant(operation),
        }
    });
    each_operation(&mut document, |operation| {
        if let Some(form) = operation.pointer_mut("/requestBody/content/multipart~1form-data") {
            form["encoding"] = json!({"file": {"contentType": "text/csv"}});
        }
    });
    let schemas = document["components"]["schemas"].as_object_mut();
    let schemas = schemas.expect("the document has schemas");
    // The names of other fields, which are not looked at, stand in a header of their part.
    schemas["ImportForm"]["propertyNames"] = json!({"pattern": "^[A-Za-z0-9_-]{1,64}$"});
    for (name, schema) in schemas.iter_mut() {
        match asked.contains(name) {
            true => schema["additionalProperties"] = json!(false),
            false => always_there(schema),
        }
    }
    schemas["Problem"]["properties"]["code"]["enum"] =
        Code::ALL.iter().map(|code| code.as_str()).collect();
    rules_of_calls(schemas);
    schemas["NewKeyRequest"]["anyOf"] = json!([
        {"properties": {"role": {"enum": ["operator", "journey", "viewer"]}}},
        {"properties": {"role": {"const": "admin"}, "tenantId": {"type": "null"}}},
    ]);
    each_operation(&mut document, add_links);
    for example in examples() {
        add_example(&mut document, &example);
    }
    document
}

/// `DidView` is how the code says a DID as it is shown; whoever reads the document calls it a DID.
fn renamed(document: &Value) -> Value {
    let text = document.to_string().replace("View\"", "\"").replace("PageView_", "PageOf");
    serde_json::from_str(&text).expect("names are still names")
}

fn rules_of_calls(schemas: &mut Map<String, Value>) {
    let call = &mut schemas["MakeCallRequest"];
    call["anyOf"] = json!([
        {"properties": {"application": {"type": "null"}, "data": {"type": "null"}}},
        {
            "required": ["application"],
            "properties": {
                "application": {"type": "string"}, "context": {"type": "null"},
                "exten": {"type": "null"}, "priority": {"type": "null"},
            },
        },
    ]);
    let line = call["properties"]["data"]["pattern"].clone();
    let variables = &mut call["properties"]["variables"];
    variables["maxProperties"] = json!(64);
    variables["propertyNames"] = json!({"pattern": "^[A-Za-z0-9_]{1,79}$"});
    variables["additionalProperties"] = json!({
        "type": ["string", "number", "boolean", "null"], "maxLength": 900, "pattern": line,
    });
    let call = call.clone();

    let node = &mut schemas["JourneyNode"];
    node["anyOf"] = call["anyOf"].clone();
    let required = node["required"].as_array_mut().expect("a node has required fields");
    required.push(json!("to"));
    let properties = node["properties"].as_object_mut().expect("a node has fields");
    let of_the_call = call["properties"].as_object().expect("a call has fields");
    properties.extend(of_the_call.clone());
}

/// The names of the schemas that JSON bodies of requests have.
fn asked_schemas(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().into_iter().flat_map(Map::values);
    let operations = paths.filter_map(Value::as_object).flat_map(Map::values);
    let bodies = operations.filter_map(|operation| {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
    });
    bodies.filter_map(|name| name.rsplit('/').next()).map(str::to_owned).collect()
}

fn each_operation(document: &mut Value, mut change: impl FnMut(&mut Value)) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut).for_each(&mut change);
}

fn each_parameter(operation: &mut Value, change: impl FnMut(&mut Value)) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    parameters.into_iter().flatten().for_each(change);
}

/// A parameter is given or left out; a query has no `null`.
fn without_null(parameter: &mut Value) {
    let schema = &mut parameter["schema"];
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        let kind = kinds.pop();
        schema["type"] = kind.unwrap_or_default();
    }
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| choice["type"] != "null");
        if let [only] = choices.as_slice() {
            *schema = only.clone();
        }
    }
}

fn add_tenant(operation: &mut Value) {
    let tenant = json!({
        "name": "X-Tenant-Id",
        "in": "header",
        "description": "For which tenant an administrator acts; `default` where left out. Another key's own tenant is the only one it may name.",
        "required": false,
        "schema": {"$ref": "#/components/schemas/TenantId"},
    });
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(tenant),
        None => operation["parameters"] = json!([tenant]),
    }
}

fn add_links(operation: &mut Value) {
    let made_by = |(maker, _): &&(&str, &[&str])| operation["operationId"] == *maker;
    let Some((_, takers)) = LINKS.iter().find(made_by) else { return };
    let link = |taker: &&str| {
        let link = json!({"operationId": taker, "parameters": {"id": "$response.body#/id"}});
        ((*taker).to_owned(), link)
    };
    let links: Map<String, Value> = takers.iter().map(link).collect();
    let responses = operation["responses"].as_object_mut().into_iter().flatten();
    for (_, response) in responses.filter(|(status, _)| status.starts_with('2')) {
        response["links"] = Value::Object(links.clone());
    }
}

/// Requires what is always in an answer, if only as `null`.
fn always_there(schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    let mut there = Vec::new();
    for (name, property) in properties {
        if !may_be_null(property) {
            continue;
        }
        match LEFT_OUT.contains(&name.as_str()) {
            true => {
                let mut holder = json!({"schema": property.take()});
                without_null(&mut holder);
                *property = holder["schema"].take();
            }
            false => there.push(json!(name)),
        }
    }
    if there.is_empty() {
        return;
    }
    match schema.get_mut("required").and_then(Value::as_array_mut) {
        Some(required) => required.extend(there),
        None => schema["required"] = Value::Array(there),
    }
}

fn may_be_null(property: &Value) -> bool {
    let choices = property["oneOf"].as_array().into_iter().flatten();
    let kinds = property["type"].as_array().into_iter().flatten();
    choices.map(|choice| &choice["type"]).chain(kinds).any(|kind| kind == "null")
}

/// The recorded requests and answers, in the order in which they can be played again.
fn examples() -> Vec<Value> {
    serde_json::from_str(EXAMPLES).expect("the examples are a JSON list")
}

fn add_example(document: &mut Value, example: &Value) {
    let name = example["name"].as_str().unwrap_or("example").to_owned();
    each_operation(document, |operation| {
        if operation["operationId"] != example["operation"] {
            return;
        }
        let status = example["status"].to_string();
        let response = operation["responses"].get_mut(&status);
        let answers = response.and_then(|response| response.get_mut("content")?.as_object_mut());
        for content in answers.into_iter().flat_map(Map::values_mut) {
            content["examples"][&name] = json!({"value": example["answer"]});
        }
        if !status.starts_with('2') {
            return;
        }
        let request = &example["request"];
        if let Some(body) = request.get("body") {
            let kind = request["contentType"].as_str().unwrap_or("application/json");
            operation["requestBody"]["content"][kind]["examples"][&name] = json!({"value": body});
        }
        each_parameter(operation, |parameter| {
            let place = parameter["in"].as_str().unwrap_or_default();
            let given = parameter["name"].as_str().and_then(|name| request[place].get(name));
            if let Some(given) = given {
                parameter["example"] = given.clone();
            }
        });
    });
}
