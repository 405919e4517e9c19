"""An OpenAI-compatible endpoint on loopback whose faults are scripted, and which counts what it would bill."""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "<think>It begins at two.</think><time>[2, 6]</time>"


class Endpoint:
    """faults: key of a request -> list of what its attempts meet, in order; afterwards they are answered.

    A fault is (status, headers, body), "hang" (no answer for a second), "cut" (the connection is closed in the middle),
    or a text that is sent with status 200 instead of JSON. honours_keys: a repeated Idempotency-Key gets the stored
    answer and is not billed again. delay: seconds an answer takes.
    """

    def __init__(self, faults=(), delay=0.0, honours_keys=True, message=None):
        self.faults, self.delay, self.honours_keys = list(faults), delay, honours_keys
        self.message = message or {"content": TEXT}
        self.requests, self.times, self.keys, self.stored = [], [], Counter(), {}
        self.billed = Counter()
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, key):
        usage = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
        choice = {"index": 0, "message": {"role": "assistant", **self.message}, "finish_reason": "stop"}
        with self.lock:
            if not (self.honours_keys and key in self.stored):
                self.billed[key] += 1
            self.stored[key] = {"id": "x", "model": "served", "choices": [choice], "usage": usage}
            return self.stored[key]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        endpoint = self.endpoint
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers["Idempotency-Key"]
        with endpoint.lock:
            endpoint.requests.append((self.path, dict(self.headers), json.loads(body)))
            endpoint.times.append(time.monotonic())
            endpoint.keys[key] += 1
            fault = endpoint.faults.pop(0) if endpoint.faults else None
        if fault == "hang":
            time.sleep(1.0)
            self.close_connection = True
        elif fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
        elif fault is None:
            time.sleep(endpoint.delay)
            self.reply(200, {}, json.dumps(endpoint.answer(key)))
        elif isinstance(fault, str):
            endpoint.answer(key)
            self.reply(200, {}, fault)
        else:
            self.reply(*fault)

    def reply(self, status, headers, body):
        data = body.encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # the client was killed

    def log_message(self, *args):
        pass
