"""A payment provider to test against: an ASGI application that keeps its charges in SQLite, in its working folder.

- ``POST /charges`` with a JSON object of `customer`, `invoice`, `amount_minor` and `currency` makes a charge: 201.
  The header `Idempotency-Key` makes it repeatable: the same key with the same body gets the first answer again, with
  another body 409.
- ``GET /charges`` lists all charges.

The laboratory plays it as the simulator of the resource `payments`. By hand: ``python upstream.py 8080``.
"""

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATABASE = "provider.sqlite3"
SCHEMA = """
CREATE TABLE IF NOT EXISTS charges (
    number INTEGER PRIMARY KEY, customer TEXT, invoice TEXT, amount_minor INTEGER, currency TEXT
);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, body TEXT, answer TEXT);
"""
FIELDS = {"customer": str, "invoice": str, "amount_minor": int, "currency": str}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = await whole_body(receive)
    key = dict(scope["headers"]).get(b"idempotency-key", b"").decode("latin-1")
    status, answer = respond(scope["method"], scope["path"], key, body)
    content = json.dumps(answer, sort_keys=True).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def whole_body(receive):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def respond(method, path, key, body):
    if path != "/charges":
        return 404, {"error": "there is nothing here"}
    with closing(sqlite3.connect(DATABASE, isolation_level=None)) as database:
        database.executescript(SCHEMA)
        if method == "GET":
            return 200, {"charges": charges(database)}
        if method == "POST":
            return charge(database, key, body)
    return 405, {"error": "use GET or POST"}


def charges(database):
    rows = database.execute("SELECT customer, invoice, amount_minor, currency FROM charges ORDER BY number")
    return [dict(zip(FIELDS, row, strict=True)) for row in rows]


def charge(database, key, body):
    try:
        order = json.loads(body)
    except ValueError:
        return 400, {"error": "the body is no JSON"}
    if not isinstance(order, dict) or any(type(order.get(name)) is not kind for name, kind in FIELDS.items()):
        return 422, {"error": "a charge has customer, invoice, amount_minor and currency"}
    if not 0 < order["amount_minor"] < 2**53:
        return 422, {"error": "amount_minor is not positive"}
    text = json.dumps(order, sort_keys=True)
    database.execute("BEGIN IMMEDIATE")
    try:
        status, answer = charge_once(database, key, text, order)
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    return status, answer


def charge_once(database, key, text, order):
    known = database.execute("SELECT body, answer FROM answers WHERE key = ?", (key,)).fetchone() if key else None
    if known and known[0] != text:
        return 409, {"error": "this key was used for another charge"}
    if known:
        return 201, json.loads(known[1])
    number = database.execute(
        "INSERT INTO charges (customer, invoice, amount_minor, currency) VALUES (?, ?, ?, ?)",
        [order[name] for name in FIELDS],
    ).lastrowid
    answer = {"id": f"ch_{number:06}", "amount_minor": order["amount_minor"], "currency": order["currency"]}
    if key:
        database.execute("INSERT INTO answers VALUES (?, ?, ?)", (key, text, json.dumps(answer)))
    return 201, answer


class Handler(BaseHTTPRequestHandler):
    """Just enough of an ASGI server to start the application by hand."""

    protocol_version = "HTTP/1.1"

    def serve(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        scope = {
            "type": "http",
            "method": self.command,
            "path": self.path.partition("?")[0],
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()
            ],
        }

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            if message["type"] == "http.response.start":
                self.send_response(message["status"])
                for name, value in message["headers"]:
                    self.send_header(name.decode(), value.decode())
                self.end_headers()
            else:
                self.wfile.write(message["body"])

        asyncio.run(app(scope, receive, send))

    do_GET = do_POST = serve

    def log_message(self, *details):
        pass


def server(port):
    """A server on loopback; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    listening = server(int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    print(f"http://127.0.0.1:{listening.server_port} plays the payment provider; Ctrl-C ends it")
    try:
        listening.serve_forever()
    except KeyboardInterrupt:
        listening.server_close()
