"""Compares states: two states are the same if the same can still happen in them and the same
promises apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from chalicelib.domain.batch import AnswersPart, Batch
from tests.fakes.dynamodb import FakeBatchStore
from tests.simulation.state import State

#: Fields that only tell how the state came about, such as how often ids and numbers were drawn.
_IRRELEVANT = {"scenario", "ids", "writes"}
#: Fields that only the scenario's own promises need.
_FOR_OWN_PROMISES = {"sent", "logged"}
#: Fields that are compared in their own way.
_COMPARED_SEPARATELY = {"queue", "store"}
#: Tokens are new each time; only their presence matters.
_TOKENS = {"lease", "rerun"}


class Fingerprints:
    """The fingerprints of one scenario's states. What never changes is hashed once."""

    def __init__(self, state: State) -> None:
        ignored = _IRRELEVANT if state.scenario.insists else _IRRELEVANT | _FOR_OWN_PROMISES
        kinds: dict[type, list[str]] = {list: [], dict: [], object: []}
        for field in fields(State):
            if field.name not in ignored | _COMPARED_SEPARATELY:
                value = getattr(state, field.name)
                kinds[next(kind for kind in kinds if isinstance(value, kind))].append(field.name)
        self._lists, self._dicts, self._others = (_getter(names) for names in kinds.values())
        #: Keyed by id. The object is kept so that its id is not reused.
        self._known: dict[int, tuple[object, int]] = {}

    def of(self, state: State, *more: object) -> int:
        return hash(
            (
                *self._others(state),
                *map(tuple, self._lists(state)),
                *[tuple(each.items()) for each in self._dicts(state)],
                *[message[1:] for message in state.queue],
                *self._of_store(state.store),
                *more,
            )
        )

    def _of_store(self, store: FakeBatchStore) -> tuple[object, ...]:
        return (
            *((id, self._of_frozen(head)) for id, head in store.heads.items()),
            *((key, self._of_frozen(part)) for key, part in store.answers.items()),
            *store.markers.items(),
            *store.usages.items(),
            *((id, frozenset(voided)) for id, voided in store.voided.items()),
            *store.outages.items(),
            store.paused,
            *store.terms,
        )

    def _of_frozen(self, value: Batch | AnswersPart) -> int:
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = (value, hash(_fields(value)))
        return known[1]


def _getter(names: list[str]) -> Callable[[State], tuple[Any, ...]]:
    return attrgetter(*names)


def _fields(value: Batch | AnswersPart) -> tuple[object, ...]:
    if isinstance(value, AnswersPart):
        return (value.round, value.number, *value.answers.items())
    return (*_BUT_TOKENS(value), value.lease is None)


_BUT_TOKENS = attrgetter(*(field.name for field in fields(Batch) if field.name not in _TOKENS))
