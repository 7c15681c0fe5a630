"""Field checks: every bad field is reported, with its rule and what was received."""

import pytest

from common.errors import AceError, Kind
from common.fields import FieldChecker


def refused(check: FieldChecker) -> list[str]:
    with pytest.raises(AceError) as caught:
        check.done()
    assert caught.value.kind is Kind.INVALID
    return [str(violation) for violation in caught.value.violations]


def test_all_bad_fields_are_reported_at_once() -> None:
    check = FieldChecker()

    check.bpm("bpm", 29)
    check.duration("duration_seconds", 601.0)
    check.text("caption", "x" * 513, 512)

    assert refused(check) == [
        "bpm must be within [30, 300]; received 29",
        "duration_seconds must be within [10, 600]; received 601",
        "caption must have at most 512 characters; received 513 characters",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.99, 5.01])
def test_a_number_that_is_not_in_its_range_is_refused(value: float) -> None:
    check = FieldChecker()

    check.within("shift", value, 1, 5)

    assert refused(check)[0].startswith("shift must be within [1, 5]; received ")


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("F# minor", "F# minor"),
        ("c major", "C major"),
        ("C Major", "C major"),
        ("Am", "A minor"),
        ("CM", "C major"),
        ("G", "G major"),
        ("B♭ minor", "B♭ minor"),
        ("Ebm", "Eb minor"),
    ],
)
def test_keys_are_brought_to_their_normal_form(given: str, normal: str) -> None:
    check = FieldChecker()

    assert check.keyscale("keyscale", given) == normal
    check.done()


@pytest.mark.parametrize("given", ["", "H major", "C dorian", "F## minor", "major", "C major\n- bpm: 5"])
def test_a_text_that_is_no_key_is_refused(given: str) -> None:
    check = FieldChecker()

    check.keyscale("keyscale", given)

    assert len(refused(check)) == 1


def test_a_time_signature_is_its_upper_number() -> None:
    check = FieldChecker()

    assert check.timesignature("timesignature", "6/8") == "6"
    check.timesignature("timesignature", "5/4")

    assert refused(check) == ["timesignature must be one of 2, 3, 4, 6; received '5/4'"]


@pytest.mark.parametrize("given", ["4/banana", "4/8", "", "/4", "44"])
def test_a_text_that_is_no_time_signature_is_refused(given: str) -> None:
    check = FieldChecker()

    check.timesignature("timesignature", given)

    assert len(refused(check)) == 1


def test_violations_are_no_more_than_fit_a_status() -> None:
    check = FieldChecker()
    for place in range(300):
        check.refuse(f"tracks[{place}]", "must be known", 99)

    assert len(refused(check)) == 16


def test_one_code_beyond_the_book_is_named_by_its_place() -> None:
    check = FieldChecker()

    check.codes("audio_codes", [0, 999, 1000, 2000], code_count=1000, max_codes=3000)

    assert refused(check) == ["audio_codes[2] must be within [0, 999]; received 1000"]
