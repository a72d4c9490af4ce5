"""Authenticate a signed or an HTTP Basic request: return the caller, or raise Unauthorized."""

import hashlib
import hmac
from collections.abc import Callable

from chalicelib.domain import signing
from chalicelib.domain.account import Caller
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.signing import SignedRequest
from chalicelib.errors import KeyRevoked, RequestStale, Unauthorized
from chalicelib.operations.ports import Clock, KeyStore

#: How many secrets every proof is compared with, even if a key has fewer or does not exist, so that
#: the time taken reveals nothing.
SECRETS_COMPARED = 4
#: Compared in place of the secrets a key does not have. The result is ignored.
_NOBODYS_SECRET = "nobody's" * 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Proves who is calling. An unknown key and a wrong signature take the same number of the same
    steps and get the same answer. Only a caller who has the secret learns that a key is revoked."""

    keys: KeyStore
    clock: Clock
    allow_basic: bool

    def authenticate(self, request: SignedRequest) -> Caller:
        signed_as = signing.iws_credentials(request.headers.get("x-api-authorization", ""))
        if signed_as:
            return self._signed(request, *signed_as)
        named = signing.basic_credentials(request.headers.get("authorization", ""))
        if named and self.allow_basic:
            return self._named(*named)
        raise Unauthorized

    def _signed(self, request: SignedRequest, key: str, signature: str) -> Caller:
        if not signing.is_fresh(request, self.clock.now()):
            raise RequestStale
        return self._proved(key, signing.iws_verifier(request, signature))

    def _named(self, key: str, secret: str) -> Caller:
        given = _digest(secret)
        return self._proved(key, lambda known: hmac.compare_digest(_digest(known), given))

    def _proved(self, key: str, proves: Callable[[str], bool]) -> Caller:
        known = self.keys.find_key(key)
        secrets = known.live_secrets(self.clock.now()) if known else []
        proofs = [proves(secret) for secret in secrets]
        for _ in range(SECRETS_COMPARED - len(secrets)):
            proves(_NOBODYS_SECRET)
        if known is None or not any(proofs):
            raise Unauthorized
        if known.is_revoked:
            raise KeyRevoked
        return Caller(account=known.account, key=known.key)


def _digest(secret: str) -> bytes:
    """Hash a secret for comparing, so that the time taken does not reveal even its length."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
