"""What can be found by parts of words: the tokens never lose a match, and the words decide."""

from hypothesis import given
from hypothesis import strategies as st

from services.console.contacts import masked
from services.console.search.terms import contains, personal_words, tokens, wanted, words_of

KEY = b"k" * 32


def found(text: str, query: str) -> bool:
    """As the database does it, then the exact rule."""
    asked = wanted(query, "acme", None)
    by_tokens = bool(asked.words) and set(asked.open_tokens) <= set(tokens(words_of(text), "acme"))
    return by_tokens and contains(words_of(text), asked.words)


def test_case_accents_and_punctuation_do_not_matter() -> None:
    assert found("Zoë Müller-Ostow", "MULL ostow")
    assert found("李小龙", "李")
    assert found("INV-2024/001", "inv 2024")
    assert not found("Zoë Müller", "mullet")


@given(st.text(max_size=60), st.data())
def test_every_part_of_three_letters_is_found(text: str, data: st.DataObject) -> None:
    words = [word for word in words_of(text) if len(word) >= 3]
    if words:
        word = data.draw(st.sampled_from(words))
        begin = data.draw(st.integers(0, len(word) - 3))
        part = word[begin : data.draw(st.integers(begin + 3, len(word)))]
        if words_of(part) == [part]:  # a letter whose folded form folds once more is another word
            assert found(text, part)


@given(st.text(max_size=5000))
def test_any_text_has_words_and_tokens(text: str) -> None:
    assert len(tokens(words_of(text), "acme")) <= 32 * 66
    assert len(wanted(text, "acme", KEY).open_tokens) <= 200
    assert "\x00" not in "".join(words_of(text))


def test_tokens_differ_by_tenant_and_by_key() -> None:
    assert not set(tokens(["lantern"], "acme")) & set(tokens(["lantern"], "other"))
    assert not set(tokens(["lantern"], "acme")) & set(tokens(["lantern"], "acme", KEY))


def test_only_named_fields_of_personal_data_are_found() -> None:
    personal = {"name": "Ann Lee", "phone": "+44 20 7946-0958", "address_lines": ["1 High St"], "city": "Ely"}
    assert personal_words(personal) == ["ann", "lee", "442079460958"]


def test_a_mask_tells_two_customers_apart_and_no_more() -> None:
    shown = masked({"name": "Zoë Müller", "email": "zoe@example.org", "phone": "1", "address_lines": ["x"]})
    assert shown == {"name": "Z••• M•••", "email": "•••", "phone": "•••"}
