"""`dataclass` of the standard library, made faster for the cold starts of workers.

A frozen class is frozen for type checkers, and can be hashed. At run time nothing prevents that an
attribute is set: the two methods for this take half of the time that it takes to make the class,
and slow down making its objects. See docs/decisions/0030-cheaper-cold-starts.md.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses

    def dataclass(*, frozen=False, **options):
        return dataclasses.dataclass(unsafe_hash=frozen, **options)
