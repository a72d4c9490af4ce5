"""What is packed comes back as it was, fits an item, and when broken says so."""

import random
import zlib
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.batch import Answer, Job, Verdict
from chalicelib.domain.outcome import MAX_ANSWER_BYTES
from chalicelib.domain.packing import (
    MAX_ITEM_BYTES,
    Unreadable,
    fitting,
    pack_answers,
    pack_jobs,
    unpack_answers,
    unpack_jobs,
)
from tests.samples import some_jobs, succeeded

#: DynamoDB's 400 KB are 409,600 bytes; what is left is for keys and names.
ITEM_LESS_KEYS = 400_000

texts = st.text()  # every text that UTF-8 can write, as all that is stored can be
jobs_lists = st.lists(st.tuples(texts, texts, texts), max_size=6).map(
    lambda rows: [Job(index, *row) for index, row in enumerate(rows)]
)
answers_maps = st.dictionaries(
    st.integers(0, 9_999), st.builds(Answer, st.sampled_from(Verdict), texts), max_size=9
)


def noise(characters: str, size_bytes: int) -> str:
    """JSON text of about a size, as hard to compress as its characters allow."""
    chance = random.Random(size_bytes)
    text = "".join(chance.choices(characters, k=size_bytes // len(characters[0].encode())))
    return f'"{text}"'


def escapes(units: list[str], size_bytes: int) -> str:
    """JSON text of a size, all of it escapes, that packing has to escape again."""
    chance = random.Random(size_bytes)
    return '"' + "".join(chance.choices(units, k=size_bytes // len(units[0]))) + '"'


PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\')
WORST = {
    "printable": noise(PRINTABLE, MAX_ANSWER_BYTES - 2),
    "two bytes each": noise("".join(map(chr, range(0x80, 0x800))), MAX_ANSWER_BYTES - 2),
    "three bytes each": noise("".join(map(chr, range(0x4E00, 0xA000))), MAX_ANSWER_BYTES - 2),
    "quotation marks": escapes(['\\"'], MAX_ANSWER_BYTES - 2),
    "quotation marks and backslashes": escapes(['\\"', "\\\\", "\\n", "\\t"], MAX_ANSWER_BYTES - 2),
    "control characters": escapes([f"\\u{code:04x}" for code in range(32)], MAX_ANSWER_BYTES - 2),
    "surrogates": escapes([f"\\u{code:04x}" for code in range(0xD800, 0xE000)], MAX_ANSWER_BYTES),
    "numbers": "[" + ",".join(str(n * 7919**9 % 10**9) for n in range(31_000)) + "]",
}


class TestJobs:
    @given(jobs=jobs_lists)
    def test_jobs_come_back_as_they_were(self, jobs: list[Job]) -> None:
        assert unpack_jobs(pack_jobs(jobs), range(len(jobs))) == tuple(jobs)

    def test_jobs_are_numbered_through_the_whole_batch(self) -> None:
        unpacked = unpack_jobs(pack_jobs(some_jobs(3)), range(40, 43))
        assert [job.index for job in unpacked] == [40, 41, 42]

    def test_jobs_larger_than_an_item_take_more_pieces_that_each_fit(self) -> None:
        jobs = [Job(n, "event", "a", WORST["two bytes each"]) for n in range(2)]
        pieces = pack_jobs([*jobs, Job(2, "event", "a", WORST["printable"])])
        assert len(pieces) > 1
        assert all(len(piece) <= MAX_ITEM_BYTES < ITEM_LESS_KEYS for piece in pieces)
        assert unpack_jobs(pieces, range(3))[:2] == tuple(jobs)

    def test_what_was_stored_by_this_version_can_be_read(self) -> None:
        stored = bytes.fromhex(
            "789c8b8e564a2d4bcd2b51d251cacc2bcb2c4975cecf2b494c2e29060a54c728e5c5285919ea19e8"
            "c4281d5e0964c628c5c494a65818a7c428d52ac5ea442b95a41683b41664e6a58334000563015e5b1a48"
        )
        assert unpack_jobs([stored], range(2)) == (
            Job(0, "event", "inviteContacts", '{"n":1.0,"é":"\\ud83d"}'),
            Job(1, "test", "ping", "{}"),
        )


class TestAnswers:
    @given(answers=answers_maps)
    def test_answers_come_back_as_they_were(self, answers: dict[int, Answer]) -> None:
        unpacked = unpack_answers(pack_answers(answers))
        assert unpacked == answers
        assert [*unpacked] == [*answers]

    def test_what_was_stored_by_this_version_can_be_read(self) -> None:
        stored = bytes.fromhex(
            "789cab563257b28a562a56d251aa8e51cacf8e51b22a292a4dad558ad551b200c9a44164528b8af2"
            "8b9cf35352810a4c0c0cc0f29620f9742cf2668640f95a00b0f01a94"
        )
        assert unpack_answers(stored) == {
            7: Answer(Verdict.SUCCEEDED, '{"ok":true}'),
            8: Answer(Verdict.FAILED, '{"errorCode":400}'),
            9: Answer(Verdict.UNANSWERED, '{"errorCode":461}'),
        }


class TestFitting:
    @pytest.mark.parametrize("kind", WORST)
    def test_a_group_of_the_worst_answers_fits_an_item(self, kind: str) -> None:
        text = WORST[kind]
        assert MAX_ANSWER_BYTES * 0.8 < len(text.encode()) <= MAX_ANSWER_BYTES + 2
        small = text[: MAX_ITEM_BYTES - len(text.encode())]
        answers = {0: succeeded(text), 1: succeeded(small[:1_000]), 2: succeeded(text)}
        groups = [*fitting(answers)]
        assert [[*group] for group in groups] == [[0, 1], [2]]
        assert all(len(pack_answers(group)) < ITEM_LESS_KEYS for group in groups)

    def test_a_full_group_of_small_answers_fits_an_item(self) -> None:
        """A hundred jobs a message, their frames not counted in the weight."""
        text = WORST["two bytes each"]
        answers = {n: succeeded(text[n * 1_900 : (n + 1) * 1_900]) for n in range(100)}
        groups = [*fitting(answers)]
        assert len(groups) < len(answers)
        assert all(len(pack_answers(group)) < ITEM_LESS_KEYS for group in groups)

    @given(sizes=st.lists(st.integers(0, MAX_ITEM_BYTES + 10), max_size=12))
    def test_every_answer_is_in_one_group_and_in_order(self, sizes: list[int]) -> None:
        answers = {
            n: succeeded("é" * (size // 2) + "e" * (size % 2)) for n, size in enumerate(sizes)
        }
        groups = [*fitting(answers)]
        assert [*chain.from_iterable(group.items() for group in groups)] == [*answers.items()]
        weights = [sum(sizes[index] for index in group) for group in groups]
        assert all(
            weight <= MAX_ITEM_BYTES or len(group) == 1
            for weight, group in zip(weights, groups, strict=True)
        )
        assert all(
            weight + sizes[min(following)] > MAX_ITEM_BYTES
            for weight, following in zip(weights[:-1], groups[1:], strict=True)
        )

    def test_nothing_needs_no_item(self) -> None:
        assert [*fitting({})] == []


def packed(text: str) -> bytes:
    return zlib.compress(text.encode())


class TestBroken:
    """Whatever is stored that is not what was packed is Unreadable, and nothing else."""

    @given(stored=st.binary())
    def test_any_bytes(self, stored: bytes) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs([stored], range(1))
        with pytest.raises(Unreadable):
            unpack_answers(stored)

    @pytest.mark.parametrize("missing", [0, 1, -1])
    def test_a_missing_piece(self, missing: int) -> None:
        jobs = [Job(n, "event", "a", noise(PRINTABLE, 300_000 + n)) for n in range(4)]
        pieces = pack_jobs(jobs)
        assert len(pieces) > 2
        del pieces[missing]
        with pytest.raises(Unreadable):
            unpack_jobs(pieces, range(4))

    def test_no_piece(self) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs([], range(1))

    @given(data=st.data())
    def test_a_changed_byte(self, data: st.DataObject) -> None:
        """Of the two bytes of zlib's own header some bits mean nothing; all others are checked."""
        whole = pack_answers({0: succeeded(), 1: succeeded('{"n":1}')})
        place = data.draw(st.integers(2, len(whole) - 1))
        flipped = whole[place] ^ data.draw(st.integers(1, 255))
        with pytest.raises(Unreadable):
            unpack_answers(whole[:place] + bytes([flipped]) + whole[place + 1 :])

    @pytest.mark.parametrize("wanted", [range(2), range(4)])
    def test_another_number_of_jobs(self, wanted: range) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs(pack_jobs(some_jobs(3)), wanted)

    @pytest.mark.parametrize(
        "text",
        ["", "3", "null", "{}", "[3]", '[["event"]]', '[["a","b","c","d","e"]]', "[", "[{}]"],
    )
    def test_jobs_of_another_shape(self, text: str) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs([packed(text)], range(1))

    @pytest.mark.parametrize(
        "text",
        ["", "3", "null", "[]", '{"a":["s",""]}', '{"0":["x",""]}', '{"0":3}', '{"0":["s"]}', "{"],
    )
    def test_answers_of_another_shape(self, text: str) -> None:
        with pytest.raises(Unreadable):
            unpack_answers(packed(text))
