"""Paths and queries in every form that a caller may have sent and signed.

API Gateway passes on the decoded query, so its spelling is lost: `trace=a%20b` and `trace=a+b` are
the same parameter. A signature is therefore compared with every spelling that clients are likely to
use and that decodes to exactly these parameters.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice, permutations, product
from urllib.parse import parse_qsl, quote, quote_plus

#: A query with more parameters or characters never verifies.
MAX_PARAMETERS = 20
MAX_CHARACTERS = 2_000
#: Up to this many different names are tried in every order; more only in the order received.
MAX_NAMES_IN_ANY_ORDER = 3
#: Limits the work, because each spelling takes an HMAC for each secret of the key.
_MAX_SPELLINGS = 60

_Pairs = list[tuple[str, str]]


def as_sent(paths: Iterable[str], query: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each path with each spelling of the query."""
    spellings = _spellings(query)
    return [path + each for path in sorted(paths) if "?" not in path for each in spellings]


def _spellings(query: Mapping[str, Sequence[str]]) -> list[str]:
    if not query:
        return ["", "?"]
    if _is_long(query):
        return []
    found = chain.from_iterable(dict.fromkeys(_texts(order)) for order in _orders(query))
    return [f"?{text}" for text in islice(found, _MAX_SPELLINGS)]


def _is_long(query: Mapping[str, Sequence[str]]) -> bool:
    values = [*chain.from_iterable(query.values())]
    return len(values) > MAX_PARAMETERS or sum(map(len, [*query, *values])) > MAX_CHARACTERS


def _orders(query: Mapping[str, Sequence[str]]) -> Iterator[_Pairs]:
    """Yield the orders of the parameters. Those with the same name stay together, as API Gateway
    gives them."""
    names = tuple(query)
    for order in permutations(names) if len(names) <= MAX_NAMES_IN_ANY_ORDER else [names]:
        yield [(name, value) for name in order for value in query[name]]


def _texts(pairs: _Pairs) -> Iterator[str]:
    written = dict.fromkeys(_written(pairs, style) for style in _STYLES)
    for each, equals, end in product(written, ("=", ""), ("", "&")):
        text = "&".join(f"{name}={value}" if value else name + equals for name, value in each) + end
        if parse_qsl(text, keep_blank_values=True) == pairs:
            yield text


def _written(pairs: _Pairs, style: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    return tuple((style(name), style(value)) for name, value in pairs)


def _as_forms_do(text: str) -> str:
    """Encode as HTML forms, `URLSearchParams` and Java's `URLEncoder` do."""
    return quote_plus(text, safe="*", errors=_ANY_TEXT).replace("~", "%7E")


#: A lone surrogate is encoded too; it then does not decode to itself.
_ANY_TEXT = "surrogatepass"
#: What a query may contain unencoded (RFC 3986, 3.4), except what separates parameters.
_OF_A_QUERY = "!$'()*,:;=@/?"
#: What is left unencoded in a whole URL by the `URI` of Java and .NET, and by JavaScript's `URL`
#: (https://url.spec.whatwg.org/#special-query-percent-encode-set).
_OF_A_LIBRARY = _OF_A_QUERY + "[]"
_OF_A_BROWSER = _OF_A_LIBRARY.replace("'", "") + "\\^`{|}"
_STYLES: Sequence[Callable[[str], str]] = (
    str,
    partial(quote, safe="", errors=_ANY_TEXT),
    partial(quote, safe="!'()*", errors=_ANY_TEXT),  # JavaScript's encodeURIComponent
    partial(quote, safe=_OF_A_QUERY, errors=_ANY_TEXT),
    partial(quote, safe=_OF_A_LIBRARY, errors=_ANY_TEXT),
    partial(quote, safe=_OF_A_BROWSER, errors=_ANY_TEXT),
    partial(quote_plus, safe="", errors=_ANY_TEXT),
    partial(quote_plus, safe=_OF_A_QUERY, errors=_ANY_TEXT),
    _as_forms_do,
)
