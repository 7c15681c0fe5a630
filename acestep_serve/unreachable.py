"""What people are told if no gateway answers: why in their words, and what to do."""

from acestep.client.channel import on_this_machine
from acestep_serve.program import program, start

LAST_ERROR = "last error: "
"""Before what gRPC says of the last address that it tried."""
WHY = {
    "Connection refused": "nothing listens there",
    "Domain name not found": "the name is not known",
    "address lookup failed": "the name is not known",
    "Network is unreachable": "no network leads there",
    "No route to host": "no network leads there",
    "timed out": "nothing answers there",
}
"""gRPC's words, and ours."""


def why(message: str) -> str:
    """What gRPC's `message` says; its own words if we have no better ones."""
    reason = message.rpartition(LAST_ERROR)[2]
    return next((ours for theirs, ours in WHY.items() if theirs in reason), reason)


def advice(message: str, address: str) -> str:
    """What to try, after gRPC's `message`."""
    host, colon, port = address.rpartition(":")
    if "://" not in address and not (colon and host and port.isdecimal()):
        return f"an address has a port: --address {address.strip(':')}:50050"
    if why(message) == message.rpartition(LAST_ERROR)[2]:  # somebody is there
        return f"if it asks for TLS: {program()} --tls, or --tls-ca FILE, before the command"
    if on_this_machine(address):
        return f"start one with: {start()}"
    return "is the address right? --address, or ACESTEP_ADDRESS in the environment"
