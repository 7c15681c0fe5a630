"""What a system on one machine consists of, and what must hold before it starts."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

from acestep_serve.child import Service
from model_store import inventory
from model_store.released import Kind

HOST = "127.0.0.1"
GRACE_S = 30.0
"""How long each service lets calls finish: whoever presses Ctrl-C is waiting."""

REACHED_BY_LOCALHOST = (HOST, "localhost", "::1", "0.0.0.0", "::")

TLS_SETTING = re.compile(r"ACESTEP_(GATEWAY|LM|DIT)_(STAGE_)?TLS_")

GPU_PROBE = (
    "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 8 if torch.version.cuda else 9)"
)
GPU_COMPLAINTS = {
    8: "no NVIDIA GPU is there for --device cuda; see what nvidia-smi says",
    9: "the torch of this environment knows CPUs alone; `make install DEVICE=cuda` sets up .venv-cuda",
}
"""By how the probe ends. If it fails otherwise, or hangs, the services will say why."""
PROBE_PATIENCE_S = 60.0

PREFERRED_DIT = "acestep-v15-turbo"


class NotStartableError(Exception):
    """The system cannot start; the message says what to do."""


class NoFamilyError(NotStartableError):
    """There are no models to start with."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the services listen. Metrics are at `metrics_base`, +1 and +2; 0 for none."""

    gateway: int
    lm: int
    dit: int
    metrics_base: int

    def metrics(self, offset: int) -> int:
        return self.metrics_base + offset if self.metrics_base else 0


@dataclass(frozen=True, slots=True)
class Door:
    """How the gateway is reached. The stages are reached from this machine alone."""

    host: str = HOST
    certificate: Path | None = None
    """For TLS, with its key."""
    key: Path | None = None
    client_ca: Path | None = None
    """Whose certificates clients must have; None: any client may connect."""

    @property
    def has_tls(self) -> bool:
        return self.certificate is not None

    @property
    def open_to_others(self) -> bool:
        """Whether a network can reach it, and read along."""
        return not (self.has_tls or self.host in ("localhost", "::1") or self.host.startswith("127."))

    def address(self, port: int) -> str:
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    def address_from_here(self, port: int) -> str:
        """For clients on this machine: by name if it can be, as that is what certificates hold."""
        return f"localhost:{port}" if self.host in REACHED_BY_LOCALHOST else self.address(port)


@dataclass(frozen=True, slots=True)
class System:
    """Everything that decides how the services are started."""

    models: Path
    device: str
    ports: Ports
    run_dir: Path
    dits: tuple[str, ...]
    """Diffusion models to load; the first is the default one."""
    door: Door = field(default_factory=Door)

    @property
    def address(self) -> str:
        """Where the gateway listens."""
        return self.door.address(self.ports.gateway)

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @staticmethod
    def from_json(text: str) -> "System":
        fields = json.loads(text)
        host, *files = fields["door"].values()
        return System(
            models=Path(fields["models"]),
            device=fields["device"],
            ports=Ports(**fields["ports"]),
            run_dir=Path(fields["run_dir"]),
            dits=tuple(fields["dits"]),
            door=Door(host, *(path and Path(path) for path in files)),
        )

    def services(self) -> list[Service]:
        """In the order of stopping: who calls others stops before them."""
        lm, dit = f"{HOST}:{self.ports.lm}", f"{HOST}:{self.ports.dit}"
        health = f"unix-abstract:acestep-gateway-{self.ports.gateway}"
        return [
            self._service(
                "gateway",
                "gateway",
                self.address,
                {
                    "LM_ADDRESS": lm,
                    "DIT_ADDRESS": dit,
                    "METRICS_PORT": str(self.ports.metrics(0)),
                    "UPLOAD_DIR": str(self.run_dir / "uploads"),
                    "HEALTH_ADDRESS": health,
                    **self._tls_settings(),
                },
                health,
            ),
            self._service(
                "dit",
                "dit_service",
                dit,
                {
                    "MODELS": str(self.models),
                    "DEVICE": self.device,
                    "LOADED_MODELS": ",".join(self.dits),
                    "METRICS_PORT": str(self.ports.metrics(2)),
                },
            ),
            self._service(
                "lm",
                "lm_service",
                lm,
                {
                    "MODELS": str(self.models),
                    "DEVICE": self.device,
                    "CODEC_CONFIG": str(inventory.codec_config(self.models, self.dits[0])),
                    "METRICS_PORT": str(self.ports.metrics(1)),
                },
            ),
        ]

    def _tls_settings(self) -> dict[str, str]:
        door = self.door
        files = {"CERTIFICATE": door.certificate, "KEY": door.key, "CLIENT_CA": door.client_ca}
        return {f"TLS_{name}": str(path) for name, path in files.items() if path is not None}

    def _service(
        self, name: str, module: str, address: str, settings: Mapping[str, str], health: str = ""
    ) -> Service:
        """`health` is where the service says how it is; where it listens, if that is not said."""
        prefix = f"ACESTEP_{name.upper()}_"
        every = {"ADDRESS": address, "GRACE_S": f"{GRACE_S:g}", "METRICS_HOST": HOST, **settings}
        environment = {f"{prefix}{key}": value for key, value in every.items()}
        return Service(name, module, address, environment, self.run_dir / f"{name}.log", health)


def check_ports(ports: Ports) -> None:
    """Raises `NotStartableError`, naming every port that is taken, or asked for twice."""
    wanted = [(ports.gateway, "--port"), (ports.lm, "--lm-port"), (ports.dit, "--dit-port")]
    wanted += [(port, "--metrics-port-base") for port in map(ports.metrics, range(3)) if port]
    numbers = [port for port, _ in wanted]
    taken = [f"{port} ({option})" for port, option in wanted if numbers.count(port) > 1 or _is_taken(port)]
    if taken:
        raise NotStartableError(f"port taken: {', '.join(taken)}; stop what uses it, or choose another")


def check_environment(environment: Mapping[str, str]) -> None:
    """Raises `NotStartableError` for settings that the services would take, and this system cannot."""
    tls = sorted(name for name, value in environment.items() if value and TLS_SETTING.match(name))
    if tls:
        raise NotStartableError(
            f"unset {', '.join(tls)}: `up` has options for TLS at the gateway, and none at the stages,"
            " which this machine alone reaches; or start each service by itself (docs/deploy.md)"
        )


def check_device(device: str, probe: str = GPU_PROBE, patience_s: float = PROBE_PATIENCE_S) -> None:
    """Raises `NotStartableError` if torch finds no such device: the services would find out much later."""
    if device != "cuda":
        return
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, timeout=patience_s, check=False
        )
        if complaint := GPU_COMPLAINTS.get(done.returncode):
            raise NotStartableError(complaint)


def check_installed() -> None:
    """Raises `NotStartableError` where only the client is installed."""
    missing = [name for name in ("cryptography", "torch", "vllm") if find_spec(name) is None]
    if missing:
        raise NotStartableError(
            f"the services are not installed here (no {', '.join(missing)}); in a clone, `make up` installs"
            " and starts them"
        )


def check_door(door: Door) -> None:
    """Raises `NotStartableError` for TLS files that are not in order."""
    from common.tls import TlsError, TlsFiles  # noqa: PLC0415 - needs what a machine with only the client lacks

    try:
        if door.client_ca is not None and door.certificate is None:
            raise TlsError("--tls-client-ca needs --tls-certificate and --tls-key")
        TlsFiles(door.client_ca, door.certificate, door.key).read()
    except TlsError as error:
        raise NotStartableError(str(error)) from None


def choose_dits(models: Path, asked: tuple[str, ...]) -> tuple[str, ...]:
    """`asked`, or if empty the turbo model, or else the first there is.

    Raises `NotStartableError` if one is not there, `NoFamilyError` if `models` lacks anything else.
    """
    if not models.is_dir():
        raise NoFamilyError(f"there is no folder {models}")
    checkpoints = inventory.of_folder(models)
    lacking = inventory.lacking(checkpoints)
    if lacking:
        raise NoFamilyError(f"{models} lacks a complete {', '.join(kind.value for kind in lacking)}")
    complete = [item.name for item in checkpoints if item.kind is Kind.DIT and not item.missing]
    absent = [name for name in asked if name not in complete]
    if absent:
        raise NotStartableError(
            f"{models} lacks a complete {', '.join(absent)}; it has {', '.join(complete)}"
        )
    return asked or ((PREFERRED_DIT,) if PREFERRED_DIT in complete else (complete[0],))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left is free
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False
