"""`python -m common.health ADDRESS [NAME]`: exit 0 if the gRPC server there is serving, else 1."""

import argparse
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common.tls import TlsError, TlsFiles, client_credentials


def is_serving(address: str, name: str = "", timeout_s: float = 3.0, tls: TlsFiles | None = None) -> bool:
    """Raises `TlsError` if the files of `tls` are not in order."""
    request = health_pb2.HealthCheckRequest(service=name)
    if tls is None:
        channel = grpc.insecure_channel(address)
    else:
        channel = grpc.secure_channel(address, client_credentials(tls.read()))
    with channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m common.health")
    parser.add_argument("address", help="the server, as gRPC spells it")
    parser.add_argument("name", nargs="?", default="", help="what to ask for; default: the whole server")
    parser.add_argument("--ca", type=Path, help="PEM certificates of the server's CA; asks over TLS")
    parser.add_argument("--certificate", type=Path, help="PEM certificate of our own; asks over TLS")
    parser.add_argument("--key", type=Path, help="PEM key of that certificate")
    given = parser.parse_args()
    try:
        files = TlsFiles(given.ca, given.certificate, given.key)
        serving = is_serving(given.address, given.name, tls=None if files == TlsFiles() else files)
    except TlsError as error:
        sys.exit(str(error))
    sys.stdout.write("SERVING\n" if serving else "not serving, or not reachable\n")
    sys.exit(0 if serving else 1)


if __name__ == "__main__":
    main()
