"""Puts the service together with the local clock.

What goes in and out stays on the machine's clock: requests of callers are signed with it, and so
are the calls of jobs and the callbacks. So whatever the service's clock says, every caller,
platform and receiver on this machine verifies signatures as usual.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property

from batchback_local.clock import LocalClock, machine_now
from chalicelib import wiring
from chalicelib.adapters.clock import SystemClock
from chalicelib.domain import signing
from chalicelib.domain.batch import Batch
from chalicelib.operations.authenticate import Authenticator
from chalicelib.operations.deliver_callback import CallbackDelivery
from chalicelib.operations.ports import Ports
from chalicelib.service import Service
from chalicelib.settings import Settings


def service(settings: Settings, clock: LocalClock) -> Service:
    """The service, with the embedded AWS behind its ports."""
    return MachineTimedService(settings, _ports(settings, clock))


def _ports(settings: Settings, clock: LocalClock) -> Ports:
    signs_now = wiring.connect(settings).platform
    return replace(wiring.connect(settings, clock=clock), platform=signs_now)


class MachineTimedService(Service):
    """Checks and makes signatures by the machine's clock, and does everything else by its own."""

    @cached_property
    def authenticator(self) -> Authenticator:
        return replace(super().authenticator, clock=SystemClock())

    @cached_property
    def delivery(self) -> CallbackDelivery:
        usual = super().delivery
        return _SignedNow(**{each.name: getattr(usual, each.name) for each in fields(usual)})


class _SignedNow(CallbackDelivery):
    def _headers(
        self, batch: Batch, secrets: list[str], body: Sequence[bytes]
    ) -> Mapping[str, str]:
        signed = signing.webhook_headers(
            message_id=batch.callback_id, body=body, secrets=secrets, now=machine_now()
        )
        return {**super()._headers(batch, secrets, body), **signed}
