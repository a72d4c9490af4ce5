"""Packed data comes back unchanged, fits in an item, and is reported if it is broken."""

import random
import zlib
from collections.abc import Callable
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.batch import Answer, Job, LastCall, Verdict
from chalicelib.domain.outcome import MAX_ANSWER_BYTES
from chalicelib.domain.packing import (
    MAX_ITEM_BYTES,
    Unreadable,
    fitting,
    pack_answers,
    pack_jobs,
    unpack_answers,
    unpack_history,
    unpack_jobs,
)
from tests.samples import some_jobs, succeeded

#: DynamoDB's 400 KB are 409,600 bytes; the rest is for keys and names.
ITEM_LESS_KEYS = 400_000

Pieces = Callable[[int], str]

texts = st.text()  # every text that UTF-8 can encode, because everything stored is encoded
jobs_lists = st.lists(st.tuples(texts, texts, texts, st.none() | texts), max_size=6).map(
    lambda rows: [Job(index, *row) for index, row in enumerate(rows)]
)
calls = st.builds(
    LastCall,
    http_status=st.none() | st.integers(100, 599),
    attempts=st.integers(1, 9),
    took_ms=st.integers(0, 10**9),
)
answers_maps = st.dictionaries(
    st.integers(0, 9_999),
    st.builds(Answer, st.sampled_from(Verdict), texts, st.none() | calls),
    max_size=9,
)


def a_call(http_status: int | None, attempts: int, took_ms: int) -> LastCall:
    return LastCall(http_status=http_status, attempts=attempts, took_ms=took_ms)


def noise(characters: str, size_bytes: int) -> str:
    """JSON text of about this size, as hard to compress as its characters allow."""
    chance = random.Random(size_bytes)
    text = "".join(chance.choices(characters, k=size_bytes // len(characters[0].encode())))
    return f'"{text}"'


def escapes(units: list[str], size_bytes: int) -> str:
    """JSON text of this size that consists of escapes, which packing has to escape again."""
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


def pieces(characters: str, many: Callable[[random.Random, Callable[[], str]], str]) -> Pieces:
    """Answers of 3,900 characters, from random words of up to four characters."""

    def text(seed: int) -> str:
        chance = random.Random(seed)

        def word() -> str:
            return "".join(chance.choices(characters, k=chance.randint(1, 4)))

        whole = ""
        while len(whole) < 3_890:
            whole += many(chance, word)
        return whole

    return text


THREE_BYTES_EACH = "".join(map(chr, range(0x4E00, 0xA000)))
CUT_TO_PIECES: dict[str, Pieces] = {
    "strings": pieces(THREE_BYTES_EACH, lambda _, word: f'"{word()}",'),
    "names and strings": pieces(THREE_BYTES_EACH, lambda _, word: f'"{word()}":"{word()}",'),
    "names and digits": pieces(
        THREE_BYTES_EACH, lambda chance, word: f'"{word()}":{chance.randrange(10)},'
    ),
    "digits behind anything": pieces(
        THREE_BYTES_EACH, lambda chance, word: f"{word()},{chance.randrange(10)}"
    ),
}


class TestJobs:
    @given(jobs=jobs_lists)
    def test_jobs_come_back_unchanged(self, jobs: list[Job]) -> None:
        assert unpack_jobs(pack_jobs(jobs), range(len(jobs))) == tuple(jobs)

    def test_jobs_are_numbered_throughout_the_batch(self) -> None:
        unpacked = unpack_jobs(pack_jobs(some_jobs(3)), range(40, 43))
        assert [job.index for job in unpacked] == [40, 41, 42]

    def test_jobs_larger_than_an_item_are_split_into_pieces_that_fit(self) -> None:
        jobs = [Job(n, "event", "a", WORST["two bytes each"]) for n in range(2)]
        pieces = pack_jobs([*jobs, Job(2, "event", "a", WORST["printable"])])
        assert len(pieces) > 1
        assert all(len(piece) <= MAX_ITEM_BYTES < ITEM_LESS_KEYS for piece in pieces)
        assert unpack_jobs(pieces, range(3))[:2] == tuple(jobs)

    def test_stored_data_of_this_version_can_be_read(self) -> None:
        stored = bytes.fromhex(
            "789c1d8c310ec23010046bfb195b9f901d0a505a1ec003ce2e02b690a5e840c9250de241bc838f7149b31acd"
            "ae961975ada220689d1599184dd6a6f5f2141dee3a5bf36af2d89beb54ead4c713489671ccd93333de0992d0"
            "dbee10f61525fcbe6612cc596cee63886cc48122751b050af6105de7d352cec7e286a437effeeff329cc"
        )
        assert unpack_jobs([stored], range(2)) == (
            Job(0, "event", "inviteContacts", '{"n":1.0,"é":"\\ud83d"}', "Order:17"),
            Job(1, "test", "ping", '{"n":2.0,"é":"a\\tb"}'),
        )


class TestAnswers:
    @given(answers=answers_maps)
    def test_answers_come_back_unchanged(self, answers: dict[int, Answer]) -> None:
        unpacked = unpack_answers(pack_answers(answers))
        assert unpacked == answers
        assert [*unpacked] == sorted(answers)

    def test_stored_data_of_this_version_can_be_read(self) -> None:
        stored = bytes.fromhex(
            "789c358eb10ec2300c44e7e4333c7b70424a102b9fe1646b8a101591029d2afe9d4b5007eb7ccfd6e954233b"
            "f6ec322bbd8969c174bd138817e180e9fadad615683c1f265cf8e438fe6db6aa4a7ba2fa4c74fdb4ad70a2c7"
            "8c1d713d8dbec782a7d25a6db73a17dcc3e038a88c22bd0e04863bc8d645e365b2c6182b62ceee0709a92e15"
        )
        assert unpack_answers(stored) == {
            7: Answer(Verdict.SUCCEEDED, '{"ok":true,"id":17}', a_call(200, 1, 48)),
            8: Answer(Verdict.FAILED, '{"errorCode":400}', a_call(400, 2, 31)),
            10: Answer(Verdict.SUCCEEDED, '{"ok":true,"id":205}', a_call(200, 1, 7)),
            11: Answer(Verdict.UNANSWERED, '{"errorCode":461}'),
        }

    def test_usual_answers_take_a_few_bytes_per_job(self) -> None:
        """All succeeded with 200 at the first call, so only the durations differ."""
        usual = {n: Answer(Verdict.SUCCEEDED, "1", a_call(200, 1, n**2)) for n in range(50)}
        without = {n: Answer(Verdict.SUCCEEDED, "1") for n in range(50)}
        assert len(pack_answers(usual)) - len(pack_answers(without)) < 2.5 * 50


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
        """The message has a hundred jobs, whose frames are not counted in the weight."""
        text = WORST["two bytes each"]
        answers = {n: succeeded(text[n * 1_900 : (n + 1) * 1_900]) for n in range(100)}
        groups = [*fitting(answers)]
        assert len(groups) < len(answers)
        assert all(len(pack_answers(group)) < ITEM_LESS_KEYS for group in groups)

    @pytest.mark.parametrize("kind", CUT_TO_PIECES)
    def test_a_full_group_of_answers_of_many_pieces_fits_an_item(self, kind: str) -> None:
        """No two are similar, so that their columns save nothing."""
        answers = {n: succeeded(CUT_TO_PIECES[kind](n)) for n in range(90)}
        groups = [*fitting(answers)]
        assert 1 < len(groups) < len(answers)
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

    def test_no_answers_need_no_item(self) -> None:
        assert [*fitting({})] == []


ONE_TEXT = '[[["{}",""]],[[0]],[0]]\n'
#: Too few or too many values, or of another type.
OF_JOBS = [
    '["e","a",null,null]',
    '["e",["a","b"],null]',
    '["e",[],null]',
    '[3,"a",null]',
    '["e",null,null]',
    '["e","a",7]',
    '["e","a",{}]',
]
OF_ANSWERS = [
    '[0,"s",200,1]',
    '[0,"s",200,1,5,5]',
    '[0,"x",200,1,5]',
    "[0,3,200,1,5]",
    '["0","s",200,1,5]',
    '[[0,1],"s",200,1,5]',
    '[0,"s","200",1,5]',
    '[0,"s",200,1.5,5]',
    '[0,"s",200,1,{}]',
]


def packed(text: str) -> bytes:
    return zlib.compress(text.encode())


class TestBroken:
    """Stored bytes that were not packed raise Unreadable, and no other exception."""

    @given(stored=st.binary())
    def test_any_other_bytes_are_unreadable(self, stored: bytes) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs([stored], range(1))
        with pytest.raises(Unreadable):
            unpack_answers(stored)
        with pytest.raises(Unreadable):
            unpack_history(stored)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "3",
            "null",
            "[",
            "[1]",
            "[[]]",
            '[["1",2,3,4]]',
            "[[1,2,3]]",
            f"[[{'9' * 30},1,1,1]]",
        ],
    )
    def test_a_history_of_another_shape_is_unreadable(self, text: str) -> None:
        with pytest.raises(Unreadable):
            unpack_history(packed(text))

    @pytest.mark.parametrize("missing", [0, 1, -1])
    def test_a_missing_piece_is_unreadable(self, missing: int) -> None:
        jobs = [Job(n, "event", "a", noise(PRINTABLE, 300_000 + n)) for n in range(4)]
        pieces = pack_jobs(jobs)
        assert len(pieces) > 2
        del pieces[missing]
        with pytest.raises(Unreadable):
            unpack_jobs(pieces, range(4))

    def test_no_piece_is_unreadable(self) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs([], range(1))

    @given(data=st.data())
    def test_a_changed_byte_is_unreadable(self, data: st.DataObject) -> None:
        """Some bits in the two bytes of zlib's header mean nothing; all other bytes are checked."""
        whole = pack_answers({0: succeeded(), 1: succeeded('{"n":1}')})
        place = data.draw(st.integers(2, len(whole) - 1))
        flipped = whole[place] ^ data.draw(st.integers(1, 255))
        with pytest.raises(Unreadable):
            unpack_answers(whole[:place] + bytes([flipped]) + whole[place + 1 :])

    @pytest.mark.parametrize("wanted", [range(2), range(4)])
    def test_another_number_of_jobs_is_unreadable(self, wanted: range) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs(pack_jobs(some_jobs(3)), wanted)

    @pytest.mark.parametrize("short", ["", "3", "null", "{}", "[]", "[", '["e","a"]', *OF_JOBS])
    def test_jobs_of_another_shape_are_unreadable(self, short: str) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs([packed(f"{short}\n{ONE_TEXT}")], range(1))

    @pytest.mark.parametrize("short", ["", "3", "null", "{}", "[]", "[", *OF_ANSWERS])
    def test_answers_of_another_shape_are_unreadable(self, short: str) -> None:
        with pytest.raises(Unreadable):
            unpack_answers(packed(f"{short}\n{ONE_TEXT}"))

    @pytest.mark.parametrize("rest", ["", "3", "[]", "{}", "[[],[],[0]]", ONE_TEXT[:-1]])
    def test_texts_of_another_shape_are_unreadable(self, rest: str) -> None:
        with pytest.raises(Unreadable):
            unpack_jobs([packed(f'["e","a",null]\n{rest}')], range(1))
        with pytest.raises(Unreadable):
            unpack_answers(packed(f'[0,"s",200,1,5]\n{rest}'))

    def test_the_unbroken_versions_are_readable(self) -> None:
        """This proves that only the shape fails above."""
        jobs = unpack_jobs([packed(f'["e","a",null]\n{ONE_TEXT}')], range(1))
        assert jobs == (Job(0, "e", "a", "{}"),)
        answers = unpack_answers(packed(f'[4,"s",200,1,5]\n{ONE_TEXT}'))
        assert answers == {4: Answer(Verdict.SUCCEEDED, "{}", a_call(200, 1, 5))}
