//! `GET /docs`: the OpenAPI document as a page to read. It is made here, with no script and nothing
//! from elsewhere, so that it can be read on a machine without the internet.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::http::HeaderName;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::openapi::{document, refusals};

const STYLE: &str = include_str!("docs.css");

static PAGE: LazyLock<String> = LazyLock::new(|| page(document()));

/// The page may show its own style and do nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = base64(&Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'"
    )
});

refusals! {
    Open: HEAD;
}

/// This documentation
///
/// The OpenAPI document as a page to read. Needs no key and nothing from the internet.
#[utoipa::path(
    get, path = "/docs", tag = "House", operation_id = "docs", security(()),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), Open),
)]
pub(super) async fn docs() -> impl IntoResponse {
    let no_sniffing = (HeaderName::from_static("x-content-type-options"), "nosniff");
    ([(CONTENT_SECURITY_POLICY, POLICY.as_str()), no_sniffing], Html(PAGE.as_str()))
}

fn page(document: &Value) -> String {
    let info = &document["info"];
    let mut page = Page::default();
    let title = escaped(&text(&info["title"]));
    page.put(format_args!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>"
    ));
    let operations = operations(document);
    page.put(format_args!("<nav><b>{title}</b> {}", escaped(&text(&info["version"]))));
    for tag in list(&document["tags"]) {
        page.put(format_args!("<h2>{}</h2><ul>", escaped(&text(&tag["name"]))));
        for operation in operations.iter().filter(|operation| operation.has(tag)) {
            let (id, method) = (escaped(&operation.id()), operation.method);
            let path = escaped(operation.path).replace('/', "/<wbr>");
            page.put(format_args!(
                "<li><a href=\"#{id}\"><i class={method}>{method}</i> {path}</a>"
            ));
        }
        page.put(format_args!("</ul>"));
    }
    page.put(format_args!("</nav><main><h1>{title}</h1>"));
    page.prose(&info["description"]);
    page.put(format_args!("<p><a href=\"/openapi.json\">openapi.json</a></p>"));
    for tag in list(&document["tags"]) {
        page.put(format_args!("<h2>{}</h2>", escaped(&text(&tag["name"]))));
        page.prose(&tag["description"]);
        for operation in operations.iter().filter(|operation| operation.has(tag)) {
            page.operation(operation);
        }
    }
    page.put(format_args!("<h2>Schemas</h2>"));
    for (name, schema) in entries(&document["components"]["schemas"]) {
        page.put(format_args!("<section id=\"schema-{0}\"><h3>{0}</h3>", escaped(name)));
        page.schema(schema);
        page.put(format_args!("</section>"));
    }
    page.put(format_args!("</main></html>"));
    page.html
}

struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    value: &'a Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = entries(&document["paths"]);
    let all = paths.flat_map(|(path, methods)| {
        entries(methods).map(move |(method, value)| Operation { path, method, value })
    });
    all.collect()
}

impl Operation<'_> {
    fn id(&self) -> String {
        text(&self.value["operationId"])
    }

    fn has(&self, tag: &Value) -> bool {
        list(&self.value["tags"]).any(|own| *own == tag["name"])
    }
}

#[derive(Default)]
struct Page {
    html: String,
}

impl Page {
    fn put(&mut self, html: std::fmt::Arguments<'_>) {
        let _a_text_takes_all = self.html.write_fmt(html);
    }

    /// Paragraphs, with `code` and **strong** words as Markdown has them.
    fn prose(&mut self, prose: &Value) {
        for paragraph in text(prose).split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
            self.put(format_args!("<p>{}</p>", marked(paragraph)));
        }
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        let (id, method, value) = (escaped(&operation.id()), operation.method, operation.value);
        self.put(format_args!(
            "<section id=\"{id}\"><h3>{}</h3><p class=place><i class={method}>{method}</i> \
             <code>{}</code></p>",
            escaped(&text(&value["summary"])),
            escaped(operation.path)
        ));
        self.prose(&value["description"]);
        let parameters: Vec<&Value> = list(&value["parameters"]).collect();
        if !parameters.is_empty() {
            self.put(format_args!("<h4>Parameters</h4><table>"));
            for parameter in parameters {
                let place = format!("in {}", text(&parameter["in"]));
                let needed = parameter["required"] == true;
                self.row(
                    &text(&parameter["name"]),
                    needed,
                    &parameter["schema"],
                    &place,
                    &parameter["description"],
                );
            }
            self.put(format_args!("</table>"));
        }
        for (kind, content) in entries(&value["requestBody"]["content"]) {
            self.put(format_args!("<h4>Body, <code>{}</code></h4>", escaped(kind)));
            self.content(content);
        }
        self.put(format_args!("<h4>Answers</h4>"));
        for (status, response) in entries(&value["responses"]) {
            let good = if status.starts_with('2') { "good" } else { "bad" };
            self.put(format_args!(
                "<p class=answer><b class={good}>{}</b> {}</p>",
                escaped(status),
                marked(&text(&response["description"]))
            ));
            for (_, content) in entries(&response["content"]) {
                if good == "good" || !content["examples"].is_null() {
                    self.content(content);
                }
            }
        }
        self.put(format_args!("</section>"));
    }

    fn content(&mut self, content: &Value) {
        self.put(format_args!("<p class=type>{}</p>", kind_of(&content["schema"])));
        for (name, example) in entries(&content["examples"]) {
            let value = &example["value"];
            let shown = value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned);
            self.put(format_args!(
                "<details><summary>Example: {}</summary><pre>{}</pre></details>",
                escaped(&name.replace('_', " ")),
                escaped(&shown)
            ));
        }
    }

    fn schema(&mut self, schema: &Value) {
        self.prose(&schema["description"]);
        let all = list(&schema["allOf"]).filter(|part| part.get("$ref").is_some());
        for part in all {
            self.put(format_args!("<p class=type>all of {}, and</p>", kind_of(part)));
        }
        let parts =
            list(&schema["allOf"]).chain([schema]).filter(|part| part["properties"].is_object());
        let parts: Vec<&Value> = parts.collect();
        if parts.is_empty() {
            self.put(format_args!("<p class=type>{}</p>", kind_of(schema)));
            return;
        }
        self.put(format_args!("<table>"));
        for part in parts {
            for (name, property) in entries(&part["properties"]) {
                let needed = list(&part["required"]).any(|required| *required == *name);
                self.row(name, needed, property, "", &property["description"]);
            }
        }
        self.put(format_args!("</table>"));
    }

    fn row(&mut self, name: &str, needed: bool, schema: &Value, place: &str, says: &Value) {
        let needed = if needed { " <b title=\"always there\">*</b>" } else { "" };
        self.put(format_args!(
            "<tr><td><code>{}</code>{needed}<td class=type>{}<br>{}<td>{}",
            escaped(name),
            kind_of(schema),
            escaped(place),
            marked(&text(says))
        ));
    }
}

/// A schema in a few words, as HTML.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name));
    }
    let choices = list(&schema["oneOf"]).chain(list(&schema["anyOf"]));
    let choices: Vec<String> =
        choices.filter(|choice| !choice["properties"].is_object()).map(kind_of).collect();
    if !choices.is_empty() {
        return choices.join(" or ");
    }
    if schema["type"] == "array" {
        return format!("list of {}", kind_of(&schema["items"]));
    }
    let words: Vec<String> = list(&schema["enum"]).map(|word| escaped(&text(word))).collect();
    if !words.is_empty() {
        return format!("<code>{}</code>", words.join("</code> <code>"));
    }
    let mut kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        Value::String(kind) => kind.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "any JSON".to_owned(),
    };
    for (name, says) in [
        ("format", ""),
        ("minimum", "from "),
        ("maximum", "to "),
        ("maxLength", "at most "),
        ("pattern", ""),
    ] {
        if let Some(bound) = schema.get(name) {
            let _a_text_takes_all = write!(kind, ", {says}{}", text(bound));
        }
    }
    escaped(&kind)
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn marked(prose: &str) -> String {
    let mut html = escaped(prose);
    for (mark, tag) in [("**", "b"), ("`", "code")] {
        let parts: Vec<&str> = html.split(mark).collect();
        let pieces = parts.iter().enumerate().map(|(n, part)| match n % 2 {
            1 => format!("<{tag}>{part}</{tag}>"),
            _ => (*part).to_owned(),
        });
        html = pieces.collect();
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// RFC 4648, for the hash of the style alone.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for n in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * n) & 63) as usize] as char;
            text.push(if n <= group.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_description_says_is_never_markup() {
        let document = json!({
            "info": {"title": "<script>alert(1)</script>", "description": "a `<b>` & **\"c\"**"},
        });

        let page = page(&document);

        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("a <code>&lt;b&gt;</code> &amp; <b>&quot;c&quot;</b>"), "{page}");
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (bytes, text) in vectors {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
