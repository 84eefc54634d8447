"""Parts that are kept decoded: the newest, and not for longer than somebody needs them."""

from libs.runtime.kept_parts import KEPT_SECONDS, KeptParts

NOW = 1_000.0


def kept(parts: KeptParts) -> set[str]:
    return set(parts.versions(["a/1", "a/2", "a/3"]))


def test_what_nobody_touches_is_forgotten() -> None:
    parts = KeptParts(100)
    parts.remember({"a/1": (1, "one"), "a/2": (1, "two")})
    parts.age(NOW)
    parts.remember({"a/2": (2, "two"), "a/3": (1, "three")})
    parts.age(NOW + KEPT_SECONDS)
    assert kept(parts) == {"a/2", "a/3"}
    parts.age(NOW + 1.5 * KEPT_SECONDS)
    assert kept(parts) == {"a/2", "a/3"}, "it looks again only after a while"
    parts.age(NOW + 2 * KEPT_SECONDS)
    parts.age(NOW + 2 * KEPT_SECONDS)
    assert kept(parts) == set()


def test_the_newest_stay_beyond_the_limit_and_after_all_were_forgotten() -> None:
    parts = KeptParts(2)
    parts.age(NOW)
    parts.remember({"a/1": (1, "one"), "a/2": (1, "two"), "a/3": (7, "three")})
    assert kept(parts) == {"a/2", "a/3"}
    assert parts.held["a/3"] == (7, "three")
    parts.forget()
    parts.age(NOW + KEPT_SECONDS)
    parts.remember({"a/1": (1, "one")})
    assert kept(parts) == {"a/1"}
