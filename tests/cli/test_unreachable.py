"""What people are told if no gateway answers."""

import socket

import pytest

from acestep_serve import unreachable

REFUSED = (
    "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote"
    " host: Connection refused"
)
NO_NAME = (
    "errors resolving a.invalid:1: [field:hostname lookup error:address lookup failed for a.invalid:1]"
)
HANDSHAKE = "failed to connect to all addresses; last error: UNKNOWN: Tls handshake failed: "
PLAIN = HANDSHAKE + "SSL_ERROR_SSL: error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER"
STRANGE = (
    HANDSHAKE + "SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED"
)


@pytest.mark.parametrize(
    ("message", "address", "why", "advice"),
    [
        (REFUSED, "localhost:1", "nothing listens there", "start one with: "),
        (REFUSED, "[::1]:1", "nothing listens there", "start one with: "),
        (REFUSED, "music.example:50050", "nothing listens there", "is the address right?"),
        (REFUSED, "localhost", "nothing listens there", "an address has a port: --address localhost:50050"),
        (NO_NAME, "a.invalid:1", "the name is not known", "is the address right?"),
        (NO_NAME, "dns:///a.invalid", "the name is not known", "is the address right?"),
        (PLAIN, "localhost:50050", "it speaks no TLS", "leave out --tls"),
        (STRANGE, "localhost:50050", "its certificate is of no authority that we trust", "trust another: "),
        ("ipv4:1.2.3.4:5: Socket closed", "a.example:5", "it ends the connection", "if it asks for TLS: "),
    ],
)
def test_the_reason_decides_what_to_try(message: str, address: str, why: str, advice: str) -> None:
    assert unreachable.why(message, address) == why
    assert unreachable.advice(why, address).startswith(advice)


def test_who_listens_at_one_of_two_addresses_is_not_said_to_be_nobody() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"localhost:{listener.getsockname()[1]}"

        why = unreachable.why(REFUSED, address)

    assert why == "what listens there takes no such connection"
    assert unreachable.advice(why, address).startswith("with TLS or without?")
