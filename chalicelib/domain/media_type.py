"""Media types, as a Content-Type header names them (RFC 9110, 8.3.1)."""

import re

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = r'"(?:[^"\\\r\n]|\\[^\r\n])*+"'
_PARAMETER = rf"({_NAME})=({_NAME}|{_QUOTED})"
#: RFC 9110 allows a semicolon with no parameter after it.
_MEDIA_TYPE = rf"({_NAME}/{_NAME})((?:[ \t]*+;[ \t]*+(?:{_PARAMETER})?+)*+)"
_UTF_8 = (["utf-8"], ["utf8"])


def is_media_type(text: str) -> bool:
    """Whether the text has the form of a media type."""
    return _match(text) is not None


def is_json(text: str) -> bool:
    """Whether the media type is JSON in UTF-8, whatever its other parameters say."""
    match = _match(text)
    if not match or match[1].lower() != "application/json":
        return False
    parameters = re.findall(_PARAMETER, match[2])
    charsets = [value.strip('"').lower() for name, value in parameters if name.lower() == "charset"]
    return not charsets or charsets in _UTF_8


def _match(text: str) -> re.Match[str] | None:
    return re.fullmatch(_MEDIA_TYPE, text.strip(" \t"))
