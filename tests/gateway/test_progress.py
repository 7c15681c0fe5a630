"""The share of a request that is done."""

import pytest

from acestep.gateway.v1 import music_service_pb2 as pb
from gateway.progress import Fraction


def test_the_share_never_falls_though_a_later_report_says_less() -> None:
    fraction = Fraction(song_count=2)

    high = fraction.reached(pb.PHASE_CODES, 0, 0.9)

    assert fraction.reached(pb.PHASE_CODES, 0, 0.1) == high
    assert fraction.reached(pb.PHASE_PLAN, None, 0.0) == high


def test_a_phase_completes_those_before_it() -> None:
    fraction = Fraction(song_count=1)

    assert fraction.reached(pb.PHASE_ENCODING, 0, 1.0) == pytest.approx(1.0)
