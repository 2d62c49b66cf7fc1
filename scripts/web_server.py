"""A web server on the loopback for the demo and the tests: it serves a folder, and notes what is asked for."""

from __future__ import annotations

import http.server
import ssl
import threading
from pathlib import Path


class WebServer:
    """Serves FOLDER over HTTP, on a free port of 127.0.0.1 or at ADDRESS, until the `with` block or the program ends. With TLS
    it is HTTPS."""

    def __init__(
        self, folder: Path, address: tuple[str, int] = ("127.0.0.1", 0), tls: ssl.SSLContext | None = None
    ) -> None:
        requests: list[str] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))

            def do_GET(self) -> None:
                requests.append(self.path)
                super().do_GET()

            def log_message(self, *_words: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(address, Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        # The paths that were asked for, in order.
        self.requests = requests
        self.address = f"{address[0]}:{self._server.server_port}"
        self.url = f"{'https' if tls else 'http'}://{self.address}"

    def __enter__(self) -> WebServer:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
