"""Sealing: what opens where, what is the same, what is refused."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.ids import subject_of
from libs.events.order import Sealed
from libs.runtime.privacy import (
    KEY_BYTES,
    PLAINTEXT_BYTES_MAX,
    PersonalDataRefused,
    SubjectKey,
    Unopenable,
    canonical,
    digest,
    seal,
    unseal,
    unwrap,
    wrap,
)

KEY = SubjectKey(b"k" * KEY_BYTES)
ANNA = {"name": "Anna Lindqvist", "address_lines": ["Storgatan 1", "2 tr"], "email": "anna@shop.example"}


def sealed(personal: Mapping[str, object] = ANNA, order_id: str = "O-1", tenant: str = "shop") -> Sealed:
    return seal(KEY, tenant, order_id, "c:17", 1, personal)


def test_opens_to_what_was_sealed_and_hides_it() -> None:
    assert unseal(KEY, "shop", "O-1", sealed()) == ANNA
    assert "Anna" not in sealed().model_dump_json()


def test_same_data_in_the_same_order_is_the_same_seal_whatever_the_field_order() -> None:
    again = sealed(dict(reversed([*ANNA.items(), ("phone", None), ("city", "")])))
    assert again == sealed()
    assert digest(again) == digest(sealed())


def test_other_order_subject_tenant_or_generation_is_another_seal_with_another_nonce() -> None:
    seals = [
        sealed(),
        sealed(order_id="O-2"),
        sealed(tenant="other"),
        seal(KEY, "shop", "O-1", "c:18", 1, ANNA),
        seal(KEY, "shop", "O-1", "c:17", 2, ANNA),
        sealed({**ANNA, "phone": "1"}),
    ]
    assert len({one.nonce for one in seals}) == len({digest(one) for one in seals}) == len(seals)


@pytest.mark.parametrize(
    ("tenant", "order_id", "changed"),
    [
        ("other", "O-1", {}),
        ("shop", "O-2", {}),
        ("shop", "O-1", {"subject": "c:18"}),
        ("shop", "O-1", {"generation": 2}),
        ("shop", "O-1", {"nonce": "A" * 16}),
        ("shop", "O-1", {"ciphertext": "A" * 64}),
        ("shop", "O-1", {"ciphertext": "A" * 25}),
        ("shop", "O-1", {"ciphertext": "=" * 24}),
    ],
)
def test_opens_nowhere_else(tenant: str, order_id: str, changed: dict[str, object]) -> None:
    with pytest.raises(Unopenable) as refusal:
        unseal(KEY, tenant, order_id, sealed().model_copy(update=changed))
    assert "Anna" not in str(refusal.value)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(Unopenable):
        unseal(SubjectKey(b"x" * KEY_BYTES), "shop", "O-1", sealed())


def test_a_wrapped_key_is_bound_to_its_owner_and_its_master() -> None:
    master, key = b"m" * KEY_BYTES, b"s" * KEY_BYTES
    wrapped = wrap(master, key, "shop", "c:17", 1)
    assert unwrap(master, wrapped, "shop", "c:17", 1) == key
    assert wrap(master, key, "shop", "c:17", 1) != wrapped
    for other in (("other", "c:17", 1), ("shop", "c:18", 1), ("shop", "c:17", 2)):
        with pytest.raises(Unopenable):
            unwrap(master, wrapped, *other)
    with pytest.raises(Unopenable):
        unwrap(b"n" * KEY_BYTES, wrapped, "shop", "c:17", 1)


@pytest.mark.parametrize(
    ("personal", "field"),
    [
        ({"name": "Anna", "age": 41}, "age"),
        ({"name": 7}, "name"),
        ({"name": ["Anna"]}, "name"),
        ({"address_lines": "Storgatan 1"}, "address_lines"),
        ({"address_lines": [1]}, "address_lines"),
        ({"name": "\ud800"}, "Unicode"),
        ({"name": "Anna" + "x" * PLAINTEXT_BYTES_MAX}, "bytes"),
    ],
)
def test_what_cannot_be_sealed_is_refused_by_field_without_its_value(
    personal: dict[str, object], field: str
) -> None:
    with pytest.raises(PersonalDataRefused, match=field) as refusal:
        canonical(personal)
    assert "Anna" not in str(refusal.value)
    assert "Storgatan" not in str(refusal.value)


def test_the_longest_personal_data_fits_the_contract() -> None:
    room = PLAINTEXT_BYTES_MAX - len(b'{"name":""}')
    assert unseal(KEY, "shop", "O-1", sealed({"name": "x" * room})) == {"name": "x" * room}


@pytest.mark.parametrize(
    ("order_id", "subject"), [("O|1", "c:17"), ("", "c:17"), ("O-1", "c|17"), ("O-1", "")]
)
def test_a_place_that_would_blur_the_associated_data_is_refused(order_id: str, subject: str) -> None:
    with pytest.raises(PersonalDataRefused):
        seal(KEY, "shop", order_id, subject, 1, ANNA)


def test_subjects() -> None:
    assert subject_of("O-1", "12345") == "c:12345"
    assert subject_of("O-1", None) == subject_of("O-1", "") == "o:O-1"
    accented = subject_of("O-1", "José 12")
    assert accented == subject_of("O-2", "José 12")
    assert accented.startswith("c:sha256-")
    assert subject_of("O-1", accented.removeprefix("c:")) != accented


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.text(min_size=1, max_size=50),
            "address_lines": st.lists(st.text(max_size=50), min_size=1, max_size=4),
            "postcode": st.text(min_size=1, max_size=12),
        },
    )
)
def test_any_text_survives(personal: dict[str, object]) -> None:
    assert unseal(KEY, "shop", "O-1", sealed(personal)) == personal
