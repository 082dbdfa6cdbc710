#!/usr/bin/env python3
"""receive-callbacks.py PORT

Receives Rotary's callbacks, believes those whose signature holds, and prints each as one line of JSON.

    ROTARY_WEBHOOK_SECRET=whsec_... examples/receive-callbacks.py 9000
    curl --unix-socket ... http://rotary/api/calls --json '{"to": "+14155550123", "callbackUrl": "http://127.0.0.1:9000/"}'

The secret is the tenant's `webhookSecret`. Rotary sends to addresses of our own network only where rotary.toml says
`[webhooks] allow_private_targets = true`. Needs Python 3.9 and nothing else. Port 0 takes any free one; the first line
on standard error says which.

The signature is that of https://www.standardwebhooks.com, whose libraries verify it too: base64 of HMAC-SHA256 over
`webhook-id.webhook-timestamp.body`.
"""

import base64
import hashlib
import hmac
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["ROTARY_WEBHOOK_SECRET"].removeprefix("whsec_"))

# Older messages are refused, so that nobody who recorded one can send it again much later.
TOLERANCE_SECONDS = 5 * 60

# A callback whose answer got lost comes again under the same id. A real receiver keeps the ids where it keeps its data.
seen = set()


def verified(headers, body):
    """Whether the body is Rotary's, and not an old one."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    # There may be several, while a secret is being changed: "v1,AAAA v1,BBBB".
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(f"v1,{expected}".encode(), one.encode()) for one in given)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not verified(self.headers, body):
            self.answer(401)
        else:
            if self.headers["webhook-id"] not in seen:
                print(body.decode(), flush=True)
                seen.add(self.headers["webhook-id"])
            # Any 2xx takes it. All else has it sent again, later and later, for a day; 410 asks for no more.
            self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print(f"listening on http://127.0.0.1:{server.server_port}/", file=sys.stderr, flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    pass
