"""Links for customers: nobody else can make one, each is over some day; and what their page tells."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.links import Link, NotALink, read_link, write_link
from services.console.customer_view import customer_view
from services.console.customer_words import LANGUAGES, STANDINGS, WORDS, language
from services.console.facts import INITIAL
from services.console.orders import evolve
from services.console.standing import STATUSES
from tests.console_database import by_stage
from tests.console_lives import LIVES

KEY = b"k" * 32
NOW = datetime(2026, 3, 2, tzinfo=UTC)
LINK = Link("acme", "o-1", NOW + timedelta(days=30))


def test_a_link_says_what_was_signed_until_it_is_over() -> None:
    token = write_link(KEY, LINK)
    assert read_link(KEY, token, NOW) == LINK
    with pytest.raises(NotALink) as over:
        read_link(KEY, token, NOW + timedelta(days=30))
    assert over.value.expired
    with pytest.raises(NotALink) as other:
        read_link(b"x" * 32, token, NOW)
    assert not other.value.expired


@given(st.text(max_size=200))
def test_any_text_is_no_link(text: str) -> None:
    with pytest.raises(NotALink):
        read_link(KEY, text, NOW)


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_link_that_was_changed_is_none(place: int, letter: str) -> None:
    token = write_link(KEY, LINK)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        try:
            found = read_link(KEY, changed, NOW)
        except NotALink:
            return
        assert found == LINK, "only spare bits of the last letter may differ"


@pytest.mark.parametrize("life", LIVES)
def test_the_page_tells_no_actor_no_reason_and_only_known_words(life: str) -> None:
    state = INITIAL
    for events in by_stage(LIVES[life]("o-1")).values():
        for event in events:
            state = evolve(state, event)
            view = customer_view(state)
            assert view.standing in STANDINGS["en"]
            assert all(line.units.keys() <= STANDINGS["en"].keys() for line in view.lines)
            assert all(0 <= line.returnable <= line.ordered for line in view.lines)
            assert "ann" not in repr(view)
    assert customer_view(INITIAL).standing == "received"
    assert STATUSES


def test_every_language_has_every_word() -> None:
    assert WORDS.keys() == STANDINGS.keys() == LANGUAGES.keys()
    assert len({frozenset(words) for words in WORDS.values()}) == 1
    assert len({frozenset(words) for words in STANDINGS.values()}) == 1


@pytest.mark.parametrize(
    ("wished", "accepted", "spoken"),
    [
        (None, "de-CH,de;q=0.9,en;q=0.8", "de"),
        (None, "es, fr;q=0.4, en;q=0.3", "fr"),
        ("fr", "de", "fr"),
        ("xx", "de", "de"),
        (None, "tlh;q=1, *", "en"),
        (None, "de;q=0", "en"),
        (None, "q=;;,," * 100, "en"),
    ],
)
def test_the_readers_language_is_spoken(wished: str | None, accepted: str, spoken: str) -> None:
    assert language(wished, accepted) == spoken
