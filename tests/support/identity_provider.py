"""An issuer of tokens with keys of its own, which it publishes on 127.0.0.1 as OpenID Connect has it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "oms-es"


class IdentityProvider:
    """`published`: what it says of its keys; `is_down`: then it says nothing; `asked`: how often it was."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rsa = rsa.generate_private_key(65_537, 2_048)
        self.other_rsa = rsa.generate_private_key(65_537, 2_048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.published = [self.public("r1", self.rsa), self.public("e1", self.ec)]
        self.is_down = False
        self.asked = 0

    def public(self, kid: str, key: Any) -> dict[str, Any]:
        algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}

    def token(
        self, scope: Any = "", *, key: Any = None, alg: str = "RS256", kid: str | None = "r1", **claims: Any
    ) -> str:
        """A claim that is None is left out."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "exp": now + 3_600, "scope": scope, **claims}
        headers = {} if kid is None else {"kid": kid}
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(kept, self.rsa if key is None else key, alg, headers)

    def answer(self, path: str) -> Any:
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} if "well-known" in path else self.keys()

    def keys(self) -> Any:
        self.asked += 1
        return {"keys": self.published}


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500 if provider.is_down else 200)
            self.end_headers()
            self.wfile.write(json.dumps(provider.answer(self.path)).encode())

        def log_message(self, *_: Any) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = IdentityProvider(f"http://127.0.0.1:{server.server_address[1]}")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
