"""`python -m common.health ADDRESS [NAME]`: exit 0 if the gRPC server there is serving, else 1."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def is_serving(address: str, name: str = "", timeout_s: float = 3.0) -> bool:
    request = health_pb2.HealthCheckRequest(service=name)
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: python -m common.health ADDRESS [NAME]")
    address, name = (*sys.argv[1:], "")[:2]
    serving = is_serving(address, name)
    sys.stdout.write("SERVING\n" if serving else "not serving, or not reachable\n")
    sys.exit(0 if serving else 1)
