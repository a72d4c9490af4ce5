"""How AWS meters usage, checked with the examples in its documentation."""

from typing import Any

import pytest

from benchmarks import units


class TestItemSize:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""

    @pytest.mark.parametrize(
        ("value", "size"),
        [
            ({"S": ""}, 0),
            ({"S": "abc"}, 3),
            ({"S": "é€😀"}, 2 + 3 + 4),
            ({"B": b"\x00" * 10}, 10),
            ({"BOOL": True}, 1),
            ({"NULL": True}, 1),
            ({"L": []}, 3),
            ({"M": {}}, 3),
            ({"L": [{"S": "ab"}, {"BOOL": True}]}, 3 + (1 + 2) + (1 + 1)),
            ({"M": {"ab": {"S": "c"}}}, 3 + (1 + 2 + 1)),
            ({"SS": ["a", "bc"]}, 3),
            ({"NS": ["1", "12", "123"]}, 2 + 2 + 3),
            ({"BS": [b"12", b"3"]}, 3),
        ],
    )
    def test_each_kind_of_value_has_its_size(self, value: dict[str, Any], size: int) -> None:
        assert units.value_bytes(value) == size

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("0", 1),
            ("1", 2),
            ("12", 2),
            ("123", 3),
            ("1234", 3),
            ("100", 2),
            ("0.0012", 2),
            ("-12", 2),
            ("1.5e300", 2),
            ("1795500390.123", 8),
            ("1" * 38, 20),
        ],
    )
    def test_a_number_takes_a_byte_for_two_digits_and_one_more(self, text: str, size: int) -> None:
        assert units.number_bytes(text) == size

    def test_names_count_with_their_values(self) -> None:
        item = {"id": {"S": "x"}, "größe": {"N": "10"}, "packed": {"B": b"1234"}}
        assert units.item_bytes(item) == (2 + 1) + (7 + 2) + (6 + 4)


class TestUnits:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html"""

    @pytest.mark.parametrize(
        ("size", "expected"), [(0, 1), (1, 1), (500, 1), (1024, 1), (1025, 2), (3584, 4)]
    )
    def test_a_write_is_billed_by_the_kilobyte(self, size: int, expected: int) -> None:
        assert units.write_units(size) == expected

    @pytest.mark.parametrize(
        ("size", "expected"),
        [(0, 1), (3584, 1), (4096, 1), (4097, 2), (64 * 1500, 24), (int(40.8 * 1024), 11)],
    )
    def test_a_read_is_billed_by_four_kilobytes(self, size: int, expected: int) -> None:
        assert units.read_units(size, consistent=True) == expected
        assert units.read_units(size, consistent=False) == expected / 2

    def test_an_overwritten_item_counts_if_it_was_the_larger(self) -> None:
        small, large = {"a": {"S": "x"}}, {"a": {"S": "x" * 3000}}
        assert units.put_units(None, large) == 3
        assert units.put_units(large, small) == 3
        assert units.put_units(large, None) == 3
        assert units.put_units(None, None) == 1

    def test_an_index_pays_for_what_leaves_it_and_for_what_enters_it(self) -> None:
        one, other = {"due_at": {"N": "1"}}, {"due_at": {"N": "2"}}
        assert units.index_units(None, None) == 0
        assert units.index_units(one, one) == 0
        assert units.index_units(None, one) == 1
        assert units.index_units(one, None) == 1
        assert units.index_units(one, other) == 2

    @pytest.mark.parametrize(
        ("size", "expected"), [(0, 1), (65_536, 1), (65_537, 2), (256 * 1024, 4)]
    )
    def test_sqs_bills_a_request_for_each_64_kilobytes(self, size: int, expected: int) -> None:
        assert units.sqs_requests(size) == expected
