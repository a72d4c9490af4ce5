"""Who calls: a signed request or HTTP Basic in, the caller out, or Unauthorized."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain import signing
from chalicelib.domain.account import Caller
from chalicelib.domain.signing import SignedRequest
from chalicelib.errors import KeyRevoked, RequestStale, Unauthorized
from chalicelib.operations.ports import Clock, KeyStore

#: With how many secrets every proof is compared, however few a key has live, and where there is
#: no such key: then how long it takes tells nothing.
SECRETS_COMPARED = 4
#: What stands in for those a key does not have; what comes of comparing it counts for nothing.
_NOBODYS_SECRET = "nobody's" * 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Proves who calls. An unknown key and a wrong signature take the same steps, as many of each,
    and get the same answer; that a key is revoked is said only to who holds its secret."""

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
    """A secret as it is compared: how long it takes tells not even how long the secret is."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
