"""What the document cannot say of valid requests, told to schemathesis by SCHEMATHESIS_HOOKS."""

import os

import schemathesis
from hypothesis import strategies as st


def plain(pattern):
    return st.from_regex(rf"\A{pattern}\Z", alphabet="+0123456789")


# Each country has numbers of its own lengths; these are of three countries.
numbers = st.one_of(plain(r"\+1[2-9][0-9]{9}"), plain(r"\+4420[0-9]{8}"), plain(r"\+61[2-4][0-9]{8}"))
schemathesis.openapi.format("phone-number", numbers)

rows = st.tuples(numbers, st.sampled_from(["active", "available", "", "no status"])).map(",".join)
files = st.lists(rows, max_size=5).map(lambda rows: "\n".join(["number,status", *rows, ""]).encode())
schemathesis.openapi.media_type("text/csv", files)


# An example of a type that is generated above cannot be sent; tests/it/openapi.rs sends it.
@schemathesis.hook
def before_load_schema(context, schema):
    content = schema["paths"]["/api/asterisk-dids/import"]["post"]["requestBody"]["content"]
    for kind in content.values():
        kind.pop("examples", None)


# A cursor is opaque: only what a list has given is one. And whoever revokes the key in hand asks nothing more.
@schemathesis.hook
def filter_case(context, case):
    revokes = case.method == "DELETE" and os.environ["ROTARY_KEY_ID"] in str((case.path_parameters or {}).get("id"))
    return not revokes and "cursor" not in (case.query or {})
