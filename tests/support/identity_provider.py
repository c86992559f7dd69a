"""An OpenID provider on 127.0.0.1 with keys of its own, which it publishes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "oms-es"
CLIENT, CLIENT_SECRET = "console", "a secret of the console"


class IdentityProvider:
    """The provider. `published`: its keys; `is_down`: it does not answer; `asked`: how often it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rsa = rsa.generate_private_key(65_537, 2_048)
        self.other_rsa = rsa.generate_private_key(65_537, 2_048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.published = [self.public("r1", self.rsa), self.public("e1", self.ec)]
        self.is_down = False
        self.codes: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self.asked = 0

    def public(self, kid: str, key: Any) -> dict[str, Any]:
        algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}

    def token(
        self, scope: Any = "", *, key: Any = None, alg: str = "RS256", kid: str | None = "r1", **claims: Any
    ) -> str:
        """Return a token; a claim that is None is left out."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "exp": now + 3_600, "scope": scope, **claims}
        headers = {} if kid is None else {"kid": kid}
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(kept, self.rsa if key is None else key, alg, headers)

    def answer(self, path: str) -> Any:
        if "well-known" not in path:
            return self.keys()
        places = {"authorization_endpoint": f"{self.url}/authorize?tenant=1", "token_endpoint": f"{self.url}/token"}
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **places}

    def agree(self, url: str, scope: str, **claims: Any) -> str:
        """Sign a person in at the address to which the browser was sent; return the address to which it is
        redirected."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = (asked, {"scope": scope, "aud": CLIENT, "nonce": asked["nonce"], **claims})
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'session_state': 'x'})}"

    def exchange(self, form: Mapping[str, str], authorization: str) -> dict[str, str] | None:
        """Return tokens for a code, or None if the client's secret is wrong, or the code is another client's or was
        used before."""
        asked, claims = self.codes.pop(form.get("code", ""), ({}, {}))
        challenge = base64.urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        pair = base64.b64encode(f"{CLIENT}:{quote_plus(CLIENT_SECRET)}".encode()).decode()
        is_good = (
            authorization == f"Basic {pair}"
            and form.get("grant_type") == "authorization_code"
            and asked.get("code_challenge") == challenge.decode()
            and asked.get("redirect_uri") == form.get("redirect_uri")
        )
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(**claims)} if is_good else None

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

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found = provider.exchange(dict(parse_qsl(raw)), self.headers.get("Authorization", ""))
            self.send_response(400 if found is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(found or {"error": "invalid_grant"}).encode())

        def log_message(self, *_: Any) -> None:
            """Log nothing: tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = IdentityProvider(f"http://127.0.0.1:{server.server_address[1]}")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
