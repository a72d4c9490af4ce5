"""The names that callers give to a batch: its label, its metadata and the ids of its jobs. Which
ones are accepted, and why the others are not.

No reason repeats a value, because values may be personal data.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeGuard

MAX_LABEL_CHARACTERS = 64
MAX_VALUES = 16
MAX_NAME_CHARACTERS = 64
MAX_VALUE_CHARACTERS = 512

_JOB_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def is_job_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


def why_not_label(label: object) -> list[str]:
    if _is_text(label, 1, MAX_LABEL_CHARACTERS):
        return []
    return [f"must be 1 to {MAX_LABEL_CHARACTERS} printable characters"]


def why_not_metadata(metadata: object) -> list[str]:
    if not isinstance(metadata, dict):
        return ["must be an object"]
    if len(metadata) > MAX_VALUES:
        return [f"holds {len(metadata)} values, over the limit of {MAX_VALUES}"]
    return [*_why_not_values(metadata)]


def _why_not_values(metadata: Mapping[str, object]) -> Iterator[str]:
    for place, (name, value) in enumerate(metadata.items(), start=1):
        if not _is_text(name, 1, MAX_NAME_CHARACTERS):
            rule = f"must be 1 to {MAX_NAME_CHARACTERS} printable characters"
            yield f"the name of value {place} {rule}"
        if not _is_text(value, 0, MAX_VALUE_CHARACTERS):
            rule = f"must be a string of at most {MAX_VALUE_CHARACTERS} printable characters"
            yield f"value {place} {rule}"


def _is_text(value: object, least: int, most: int) -> bool:
    """Whether it is a printable string of this length. Not printable are control and format
    characters, line breaks, spaces other than the ASCII one, and lone surrogates."""
    return isinstance(value, str) and least <= len(value) <= most and value.isprintable()
