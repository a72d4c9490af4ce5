"""The places that the suite runs in. Zone, user, order and folder have two values each, and any two
of them meet in all four combinations; each Python meets both values of each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    python: str
    #: What the clock shows when the tests begin, in UTC.
    clock: str
    zone: str
    locale: str
    hash_seed: str
    umask: int
    is_ordinary_user: bool
    is_backwards: bool
    folder: str

    def __str__(self) -> str:
        parts = [
            f"Python {self.python}",
            f"{self.clock} UTC",
            self.zone,
            self.locale,
            f"umask {self.umask:03o}",
            "an ordinary user" if self.is_ordinary_user else "the current user",
            "backwards" if self.is_backwards else "forwards",
            f"'{self.folder}'",
        ]
        return ", ".join(parts)


#: UTC+14, and UTC-3:30 with daylight saving time.
_KIRITIMATI, _ST_JOHNS = "Pacific/Kiritimati", "America/St_Johns"
_PLAIN, _SPACES = "plain", "a path with spaces"

PLACES = (
    Place(
        python="3.11",
        clock="2027-03-28 00:59:50",  # daylight saving time begins in Europe
        zone=_KIRITIMATI,
        locale="C",
        hash_seed="0",
        umask=0o022,
        is_ordinary_user=False,
        is_backwards=False,
        folder=_SPACES,
    ),
    Place(
        python="3.11",
        clock="2038-01-20 00:00:00",  # past 2**31 seconds
        zone=_ST_JOHNS,
        locale="C.UTF-8",
        hash_seed="1",
        umask=0o077,
        is_ordinary_user=True,
        is_backwards=True,
        folder=_PLAIN,
    ),
    Place(
        python="3.12",
        clock="2031-01-01 00:00:00",
        zone=_KIRITIMATI,
        locale="tr_TR.UTF-8",
        hash_seed="2",
        umask=0o002,
        is_ordinary_user=False,
        is_backwards=True,
        folder=_PLAIN,
    ),
    Place(
        python="3.12",
        clock="2028-02-29 23:59:30",
        zone=_ST_JOHNS,
        locale="C",
        hash_seed="3",
        umask=0o022,
        is_ordinary_user=True,
        is_backwards=False,
        folder=_SPACES,
    ),
    Place(
        python="3.13",
        clock="2038-01-20 00:00:00",
        zone=_KIRITIMATI,
        locale="de_DE.ISO-8859-1",
        hash_seed="4",
        umask=0o077,
        is_ordinary_user=True,
        is_backwards=False,
        folder=_PLAIN,
    ),
    Place(
        python="3.13",
        clock="2027-03-28 00:59:50",
        zone=_ST_JOHNS,
        locale="C.UTF-8",
        hash_seed="5",
        umask=0o022,
        is_ordinary_user=False,
        is_backwards=True,
        folder=_SPACES,
    ),
)

#: What somebody may have set for their own work, in every place.
ENVIRONMENT: Mapping[str, str] = {
    "AWS_PROFILE": "nobody",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_REGION": "eu-nowhere-1",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "BATCHBACK_ADDRESS": "http://127.0.0.1:1",
    "BATCHBACK_KEY": "somebody",
    "BATCHBACK_SECRET": "somebody's",
    "COLUMNS": "40",
    "FORCE_COLOR": "1",
    "HOME": "/nonexistent/a home",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "JOBS_PER_MESSAGE": "1",
    "LOGNAME": "somebody",
    "NO_COLOR": "1",
    "NO_PROXY": "",
    "PIP_INDEX_URL": "http://127.0.0.1:1",
    "PLATFORM_AUTH": "none",
    "PYTHONWARNINGS": "error",
    "REQUESTS_CA_BUNDLE": "/nonexistent/bundle",
    "SSL_CERT_FILE": "/nonexistent/bundle",
    "STAGE": "prod",
    "TERM": "dumb",
    "USER": "somebody",
    "all_proxy": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
    "no_proxy": "",
}
