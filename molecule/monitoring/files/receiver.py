#!/usr/bin/python3
"""Receives Alertmanager's messages, and writes each alert in them to a file, as a line of JSON."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with Path("/var/lib/alerts.jsonl").open("a") as file:
            file.writelines(json.dumps(alert) + "\n" for alert in message["alerts"])
        self.send_response(200)
        self.end_headers()


HTTPServer(("127.0.0.1", 9099), Receiver).serve_forever()
