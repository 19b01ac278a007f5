"""A web server on this machine that serves files well or badly, as the address asks.

The path is /MANNER/FILE. Manners: `right`; `absent`, 404; `truncated`, half the file and then
the end of the connection; `understated`, a length that is half the truth; `endless`, no length
and no end in reason; `garbled`, a length that is no number; `wrong`, as many other bytes;
`reset`, half the file and then a reset; `paused`, half the file and the rest on `release`.
"""

import contextlib
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MISBEHAVIOURS = ["absent", "truncated", "understated", "endless", "garbled", "wrong", "reset"]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        manner, name = self.path.lstrip("/").split("/")
        content = self.server.files[name]
        self.server.asked.append(manner)
        if manner == "absent":
            return self.send_error(404)
        length = {"understated": len(content) // 2, "garbled": "many"}.get(manner, len(content))
        self.send_response(200)
        if manner != "endless":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        half = len(content) // 2
        if manner == "endless":
            for _ in range(50):
                self.wfile.write(content)
        elif manner == "wrong":
            self.wfile.write(bytes(byte ^ 255 for byte in content))
        elif manner in ("truncated", "reset", "paused"):
            self.wfile.write(content[:half])
            if manner == "reset":
                at_once = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            if manner == "paused":
                self.server.pausing.set()
                self.server.release.wait()
                self.wfile.write(content[half:])
        else:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.asked = files, []
        self.pausing, self.release = threading.Event(), threading.Event()

    def address(self, manner, name):
        return f"http://127.0.0.1:{self.server_port}/{manner}/{name}"

    def shutdown_request(self, request):
        self.close_request(request)  # without the polite end that would come before a reset

    def handle_error(self, request, client_address):
        pass  # a client that hangs up, or is killed, is what these tests are about


@contextlib.contextmanager
def serving(files):
    """Serve `files`, name -> bytes (may be added to later), and yield the server."""
    with _Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()
