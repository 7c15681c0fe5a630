"""What people are told if no gateway answers: why in their words, and what to do."""

import socket
from contextlib import suppress

from acestep.client.channel import on_this_machine
from acestep_serve.program import program, start

LISTENS_WITHIN_S = 1.0
LAST_ERROR = "last error: "
"""Before what gRPC says of the last address that it tried."""
NOBODY_THERE = {
    "Connection refused": "nothing listens there",
    "Domain name not found": "the name is not known",
    "address lookup failed": "the name is not known",
    "Network is unreachable": "no network leads there",
    "No route to host": "no network leads there",
    "timed out": "nothing answers there",
}
"""gRPC's words, and ours."""
NO_TLS_THERE = {"WRONG_VERSION_NUMBER": "it speaks no TLS"}
NOT_TRUSTED = {"CERTIFICATE_VERIFY_FAILED": "its certificate is of no authority that we trust"}
LISTENS = "what listens there takes no such connection"
"""Where gRPC tried two addresses of a name, of which one has nobody, and tells of that one alone."""
HUNG_UP = {"Socket closed": "it ends the connection"}
OF_TLS = {
    NO_TLS_THERE["WRONG_VERSION_NUMBER"]: "leave out --tls, --tls-ca, and ACESTEP_TLS and ACESTEP_TLS_CA"
    " in the environment",
    LISTENS: "with TLS or without? --tls and --tls-ca, or ACESTEP_TLS and ACESTEP_TLS_CA in the"
    " environment",
}
"""What to try, by why."""
WHY = NOBODY_THERE | NO_TLS_THERE | NOT_TRUSTED | HUNG_UP


def why(message: str, address: str) -> str:
    """What gRPC's `message` says; its own words if we have no better ones."""
    reason = message.rpartition(LAST_ERROR)[2]
    found = next((ours for theirs, ours in WHY.items() if theirs in reason), reason)
    return LISTENS if found == NOBODY_THERE["Connection refused"] and _listens(address) else found


def _listens(address: str) -> bool:
    """Whether somebody does, on this machine."""
    host, _, port = address.rpartition(":")
    if not (port.isdecimal() and on_this_machine(address)):
        return False
    with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), LISTENS_WITHIN_S):
        return True
    return False


def advice(found: str, address: str) -> str:
    """What to try, after what `why` has found."""
    host, colon, port = address.rpartition(":")
    if "://" not in address and not (colon and host and port.isdecimal()):
        return f"an address has a port: --address {address.strip(':')}:50050"
    if found in OF_TLS:
        return OF_TLS[found]
    if found in NOT_TRUSTED.values():
        return f"trust another: {program()} --tls-ca FILE, before the command"
    if found not in NOBODY_THERE.values():
        return f"if it asks for TLS: {program()} --tls, --tls-ca or --tls-certificate, before the command"
    if on_this_machine(address):
        return f"start one with: {start()}"
    return "is the address right? --address, or ACESTEP_ADDRESS in the environment"
