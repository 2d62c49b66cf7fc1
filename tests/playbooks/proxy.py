"""What a cluster's proxy tells everyone, for tests."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from pathlib import Path

import trustme


class Proxy:
    """Answers what a cluster's proxy tells everyone, over TLS, on a free port of the loopback until this ends."""

    def __init__(self, ca_file: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file))
        self.ca_file, self.found, self.asked = ca_file, {}, 0
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proxy.asked += 1
                body = json.dumps({"cluster_name": "test"} | proxy.found).encode()
                self.send_response(200 if self.path == "/v1/webapi/find" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{server.server_port}"
