"""What the document cannot say of valid requests, told to schemathesis by SCHEMATHESIS_HOOKS."""

import json
import os
import re
import uuid
from collections.abc import Mapping

import schemathesis
from hypothesis import strategies as st


def plain(pattern):
    return st.from_regex(rf"\A{pattern}\Z", alphabet="+0123456789")


# Each country has numbers of its own lengths; these are of three countries.
numbers = st.one_of(plain(r"\+1[2-9][0-9]{9}"), plain(r"\+4420[0-9]{8}"), plain(r"\+61[2-4][0-9]{8}"))
schemathesis.openapi.format("phone-number", numbers)

# Rotary does post to them: to a port where nobody listens, on this machine.
CALLBACKS = "http://127.0.0.1:9/"
urls = st.from_regex(r"\A[Hh]ttps?://(127\.0\.0\.1|localhost|\[::1\]):9([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%-]{0,40})?\Z")
schemathesis.openapi.format("callback-url", urls)

rows = st.tuples(numbers, st.sampled_from(["active", "available", "", "no status"])).map(",".join)
files = st.lists(rows, max_size=5).map(lambda rows: "\n".join(["number,status", *rows, ""]).encode())
schemathesis.openapi.media_type("text/csv", files)


calls = st.builds(lambda to: json.dumps({"to": to}), numbers)
lines = st.lists(st.one_of(calls, st.sampled_from(["", "{}", "no JSON"])), max_size=5).map(lambda lines: "\n".join(lines).encode())
schemathesis.openapi.media_type("application/x-ndjson", lines)


# An example of a type that is generated above cannot be sent; tests/it/openapi.rs sends it.
@schemathesis.hook
def before_load_schema(context, schema):
    for path in ("/api/asterisk-dids/import", "/api/calls/batch"):
        for kind in schema["paths"][path]["post"]["requestBody"]["content"].values():
            kind.pop("examples", None)


# A cursor is opaque: only what a list has given is one. Whoever revokes the key in hand asks nothing more. A header
# that nobody described is no fault: every proxy adds some. And where Asterisk's buffers bound a text by bytes, JSON
# Schema can only bound its characters.
@schemathesis.hook
def filter_case(context, case):
    revokes = case.method == "DELETE" and os.environ["ROTARY_KEY_ID"] in str((case.path_parameters or {}).get("id"))
    if any(name.lower().startswith("x-schemathesis") for name in mapping(case.headers)):
        return False
    return not revokes and "cursor" not in (case.query or {}) and fits(mapping(case.body))


BYTES_MAX = {"context": 79, "exten": 79, "application": 79, "callerName": 79, "data": 900}


def fits(body):
    texts = [(body.get(name), most) for name, most in BYTES_MAX.items()]
    texts += [(value, 900) for value in mapping(body.get("variables")).values()]
    return not any(isinstance(text, str) and len(text) <= most < len(text.encode(errors="surrogatepass")) for text, most in texts)


# OpenAPI has no word for two fields of a request that must say the same. Where both are what their schemas say, they
# are made to: the fields that a change of a DID may send back are that DID's own, and who lists keys names one tenant.
# Calls are placed for the tenant that has numbers.
@schemathesis.hook
def before_call(context, case, kwargs):
    fixed, given, query, body = map(mapping, (kwargs.get("headers"), case.headers, case.query, case.body))
    tenant = fixed.get("X-Tenant-Id") or given.get("X-Tenant-Id")
    if case.operation.label == "PUT /api/asterisk-dids/{id}":
        own = (case.path_parameters or {}).get("id")
        if is_uuid(body.get("id")) and is_uuid(own):
            body["id"] = own
        if is_tenant(body.get("tenantId")) and (tenant is None or is_tenant(tenant)):
            body["tenantId"] = tenant or "default"
    if case.operation.label in ("POST /api/calls", "POST /api/journeys/make-call", "POST /api/picks"):
        if is_tenant(given.get("X-Tenant-Id")):
            case.headers["X-Tenant-Id"] = "default"
        if is_tenant(body.get("tenantId")):
            body["tenantId"] = "default"
        if str(body.get("callbackUrl")).startswith("https://journeys.example.com/"):
            body["callbackUrl"] = CALLBACKS
    # A stream of events has no end, unless it is asked for one.
    if case.operation.label in ("GET /api/events", "GET /api/calls/{id}/events"):
        follow = query.get("follow")
        # An empty list or object is not sent at all.
        if not isinstance(follow, (str, int, float)) or follow in (True, "true"):
            case.query = {**query, "follow": "false"}
    if case.operation.label == "GET /api/keys" and is_tenant(tenant) and is_tenant(query.get("tenantId")):
        query["tenantId"] = tenant


def mapping(value):
    return value if isinstance(value, Mapping) else {}


def is_uuid(value):
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def is_tenant(value):
    return isinstance(value, str) and re.fullmatch("[A-Za-z0-9_.:-]{1,64}", value) is not None


# Otherwise it does not look at an answer that is no JSON.
@schemathesis.deserializer("text/csv", "text/event-stream", "application/x-ndjson")
def text(context, response):
    return response.content.decode()
