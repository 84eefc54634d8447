"""Records: a copy with other values is what `dataclasses.replace` makes."""

from dataclasses import field, replace

import pytest

from libs.events.record import changed, record


@record
class Parcel:
    weight_grams: int
    numbers: tuple[str, ...] = ()
    lines: dict[int, int] = field(default_factory=dict)


def test_a_changed_copy_is_what_replace_makes() -> None:
    parcel = Parcel(7, ("a",), {1: 2})
    copy = changed(parcel, numbers=("b",))
    assert copy == replace(parcel, numbers=("b",))
    assert (parcel.numbers, copy.lines is parcel.lines) == (("a",), True)
    assert changed(parcel) == parcel


def test_there_is_no_field_of_that_name() -> None:
    with pytest.raises(AttributeError):
        changed(Parcel(7), weight=8)
