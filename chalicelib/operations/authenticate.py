"""Who calls: a signed request or HTTP Basic in, the caller out, or Unauthorized."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain import signing
from chalicelib.domain.account import Caller, Key
from chalicelib.domain.signing import SignedRequest
from chalicelib.errors import KeyRevoked, RequestStale, Unauthorized
from chalicelib.operations.ports import Clock, KeyStore

#: What an unknown key is compared with, so that it takes as long as a known one.
_NOBODYS_SECRET = "nobody's secret"  # noqa: S105 - it opens nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Proves who calls. An unknown key and a wrong signature take the same steps and get the same
    answer; that a key is revoked is said only to who holds its secret."""

    keys: KeyStore
    clock: Clock
    allow_basic: bool

    def __call__(self, request: SignedRequest) -> Caller:
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
        return self._proved(key, lambda secret: signing.iws_verifies(request, secret, signature))

    def _named(self, key: str, secret: str) -> Caller:
        given = secret.encode()
        return self._proved(key, lambda known: hmac.compare_digest(known.encode(), given))

    def _proved(self, key: str, proves: Callable[[str], bool]) -> Caller:
        known = self.keys.find_key(key)
        secrets = self._secrets_of(known)
        is_proved = any([proves(secret) for secret in secrets])  # noqa: C419 - all are compared
        if known is None or not is_proved:
            raise Unauthorized
        if known.is_revoked:
            raise KeyRevoked
        return Caller(account=known.account, key=known.key)

    def _secrets_of(self, known: Key | None) -> list[str]:
        live = known.live_secrets(self.clock.now()) if known else []
        return live or [_NOBODYS_SECRET]
