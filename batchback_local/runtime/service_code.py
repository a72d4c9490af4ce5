"""Loads the service's own code into this process, as Lambda loads it into a container."""

import os
import sys
from functools import cache

from chalice.app import Chalice
from chalice.config import Config

from batchback_local.clock import LocalClock
from batchback_local.errors import CannotStart
from batchback_local.log import say
from batchback_local.runtime.event_source import EventSources
from batchback_ops import project


def load_app(clock: LocalClock) -> Chalice:
    """Import the app, and have it use this clock. The environment must be prepared; CannotStart if
    it is misconfigured.

    app.py asks `wiring.service` for the service at each invocation, so it is enough to replace that
    function.

    In Lambda, the first invocation creates clients and operations lazily, because a container never
    runs two invocations concurrently. Here they run concurrently, so everything is created now."""
    from batchback_local.runtime import assembly
    from chalicelib import settings, wiring
    from chalicelib.errors import Misconfigured

    sys.path.insert(0, str(project.root()))
    try:
        from app import app

        service = assembly.service(settings.read(), clock)
        service.warm_up()
        wiring.service = cache(lambda: service)
    except Misconfigured as error:
        raise CannotStart(str(error)) from error
    return app


def event_sources(app: Chalice, clock: LocalClock) -> EventSources:
    return EventSources(app=app, timeout_seconds=_timeout_seconds, clock=clock, log=say)


def stage_configuration(function: str = "api_handler") -> Config:
    """Chalice's configuration of one function in the local stage."""
    return Config(
        chalice_stage=project.LOCAL_STAGE,
        function_name=function,
        user_provided_params={"project_dir": os.fspath(project.root())},
        config_from_disk=project.configuration(),
    )


def _timeout_seconds(function: str) -> float:
    seconds: int | None = stage_configuration(function).lambda_timeout
    return seconds or 60
