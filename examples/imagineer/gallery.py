#!/usr/bin/env python3
"""A stand-in for a gallery on the web: a page with sixteen pictures, one colour each."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NUMBER, SIDE = 16, 64
COLOURS = [(200, 20, 20), (20, 180, 20), (30, 30, 190), (240, 240, 240)]
PAGE = "".join(f'<p><img src="/{number}.ppm" alt="a kite number{number % 3}"></p>\n' for number in range(NUMBER))


class Gallery(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/").partition(".")[0]
        if not name:
            return self._answer("text/html", PAGE.encode())
        if not name.isdigit() or int(name) >= NUMBER:
            return self.send_error(404)
        picture = bytes(COLOURS[int(name) % len(COLOURS)]) * SIDE * SIDE
        return self._answer("image/x-portable-pixmap", b"P6\n%d %d\n255\n" % (SIDE, SIDE) + picture)

    def _answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", 8090), Gallery).serve_forever()
