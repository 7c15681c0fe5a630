"""`acestep-serve up` and `down`, with real processes that only serve health."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from acestep_serve.system import check_device
from common.health import is_serving
from common.ports import free_ports_of_localhost
from common.tls import TlsFiles
from tests.cli.fake_service import wait_until_released
from tests.common.pki import Authority

ROOT = Path(__file__).parent.parent.parent
MODULES = {"gateway": "gateway", "dit": "dit_service", "lm": "lm_service"}
CHECKPOINTS = {
    "acestep-5Hz-lm-x": ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
    "acestep-v15-base": ("config.json", "silence_latent.pt"),
    "acestep-v15-turbo": ("config.json", "silence_latent.pt"),
    "Qwen3-Embedding-0.6B": ("config.json", "tokenizer.json", "tokenizer_config.json"),
}


class Site:
    """A folder with checkpoints of no content, fake services, and three free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(MODULES, free_ports_of_localhost(3), strict=True))
        for name, module in MODULES.items():
            (folder / module).mkdir()
            (folder / module / "__init__.py").touch()  # or the real package would be found first
            main = f"from tests.cli.fake_service import main\n\nmain({name!r})\n"
            (folder / module / "__main__.py").write_text(main)
        for name, files in CHECKPOINTS.items():
            self._put(name, *files, "model.safetensors")
        self._put("vae", "config.json", "diffusion_pytorch_model.safetensors")

    def _put(self, name: str, *files: str) -> None:
        (self.folder / "models" / name).mkdir(parents=True)
        for file in files:
            (self.folder / "models" / name / file).touch()

    def trouble(self, name: str, what: str) -> None:
        (self.folder / f"{name}.trouble").write_text(what)

    def pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def command(self, name: str, *arguments: str) -> list[str]:
        program = f"import typer; from acestep_serve.up import {name}; typer.run({name})"
        return [sys.executable, "-c", program, *arguments]

    def up(self, *arguments: str) -> list[str]:
        ports = [f"--{option}={self.ports[name]}" for option, name in OPTIONS.items()]
        return self.command("up", *ports, "--metrics-port-base=0", *arguments)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def is_serving(self, name: str, tls: TlsFiles | None = None) -> bool:
        return is_serving(f"localhost:{self.ports[name]}", tls=tls)


OPTIONS = {"port": "gateway", "lm-port": "lm", "dit-port": "dit"}


class Running:
    """`up` in the foreground. Its output is read line by line, as the sequence of what happens."""

    def __init__(self, site: Site) -> None:
        self.process = subprocess.Popen(
            site.up(),
            cwd=site.folder,
            env=site.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def until(self, pattern: str) -> str:
        """Read on to the first line that matches; it must come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if re.search(pattern, line):
                return line
        raise AssertionError(f"no {pattern!r} in {self.lines}, {self.process.communicate()[1]}")

    def end(self) -> tuple[int, list[str], str]:
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output.splitlines(), errors


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def start(site: Site) -> Iterator[Callable[[], Running]]:
    started: list[Running] = []

    def start() -> Running:
        started.append(Running(site))
        return started[-1]

    yield start
    for running in started:
        running.process.terminate()
        running.process.communicate()


def test_all_services_get_ready(site: Site, start: Callable[[], Running]) -> None:
    running = start()

    running.until("^next: acestep-serve ")

    assert {f"{name}: ready" for name in MODULES} <= set(running.lines)
    assert f"ready: gateway at 127.0.0.1:{site.ports['gateway']}, logs in run" in running.lines
    assert all(site.is_serving(name) for name in MODULES)
    assert (site.folder / "run" / "lm.log").read_text().startswith("lm runs")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_them_in_order(start: Callable[[], Running], signum: int) -> None:
    running = start()
    running.until("^ready:")

    running.process.send_signal(signum)

    code, lines, errors = running.end()
    stops = [line for line in lines if line.endswith("stopped")]
    assert (code, errors) == (0, "")
    assert stops == ["gateway: stopped", "dit: stopped", "lm: stopped"]


def test_a_service_that_dies_is_started_again(site: Site, start: Callable[[], Running]) -> None:
    running = start()
    running.until("^ready:")
    first = site.pid("dit")

    os.kill(first, signal.SIGKILL)

    assert "died with SIGKILL, again in 1 s" in running.until("^dit: restarting")
    running.until("^dit: ready")
    assert site.pid("dit") != first


def test_three_quick_deaths_stop_everything(site: Site, start: Callable[[], Running]) -> None:
    site.trouble("lm", "dies")
    running = start()

    code, lines, errors = running.end()

    assert code == 1
    assert len([line for line in lines if line.startswith("lm: restarting")]) == 2
    assert "gateway: stopped" in lines
    assert "lm died 3 times in a row, last with exit code 1" in errors
    assert errors.rstrip().endswith("lm has no weights")
    assert not site.is_serving("gateway")


def test_a_service_that_never_gets_ready_is_given_up(site: Site) -> None:
    site.trouble("dit", "slow")

    result = site.run(site.up("--ready-timeout=3"))

    assert result.returncode == 1
    assert "dit was not ready within 3 s" in result.stderr


def test_what_a_service_started_does_not_outlive_it(site: Site, start: Callable[[], Running]) -> None:
    site.trouble("lm", "engine")
    running = start()
    running.until("^ready:")

    running.process.terminate()

    assert running.end()[0] == 0
    wait_until_released(site.folder / "lm.lock")


def test_an_engine_whose_service_was_killed_is_gone_before_the_restart(
    site: Site, start: Callable[[], Running]
) -> None:
    site.trouble("lm", "engine")
    running = start()
    running.until("^ready:")
    site.trouble("lm", "")

    os.kill(site.pid("lm"), signal.SIGKILL)

    running.until("^lm: restarting")
    wait_until_released(site.folder / "lm.lock")
    running.until("^lm: ready")


def test_a_second_signal_kills_a_service_that_does_not_stop(
    site: Site, start: Callable[[], Running]
) -> None:
    site.trouble("gateway", "deaf")
    running = start()
    running.until("^ready:")
    running.process.terminate()
    running.until("^gateway: stopping")

    running.process.terminate()

    assert running.end()[0] == 0
    assert not site.is_serving("gateway")


def test_a_taken_port_is_named_and_nothing_starts(site: Site) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.ports["dit"]))
        other.listen()

        result = site.run(site.up())

    assert result.returncode == 1
    assert f"port taken: {site.ports['dit']} (--dit-port)" in result.stderr
    assert not (site.folder / "run" / "lm.log").exists()


@pytest.mark.parametrize("name", ["GATEWAY_TLS_CERTIFICATE", "LM_TLS_KEY", "GATEWAY_STAGE_TLS_CA"])
def test_settings_for_tls_are_refused_at_once(site: Site, name: str) -> None:
    result = site.run(site.up(), **{f"ACESTEP_{name}": "file.pem"})

    assert result.returncode == 1
    assert f"unset ACESTEP_{name}: `up` has options for TLS" in result.stderr
    assert not (site.folder / "run" / "gateway.log").exists()


def test_the_gateway_speaks_tls_if_it_is_given_a_certificate(site: Site) -> None:
    authority = Authority.create(site.folder, "ca")
    ours, yours = authority.issue("gateway"), authority.issue("client")
    files = (
        f"--tls-certificate={ours.certificate}",
        f"--tls-key={ours.key}",
        f"--tls-client-ca={authority.ca}",
    )

    started = site.run(site.up("--detach", *files))
    in_the_clear = site.is_serving("gateway")
    over_tls = site.is_serving("gateway", TlsFiles(authority.ca, yours.certificate, yours.key))
    stages = site.is_serving("lm") and site.is_serving("dit")
    site.run(site.command("down"))

    assert (started.returncode, started.stderr) == (0, "")
    assert "over TLS" in started.stdout
    assert (in_the_clear, over_tls, stages) == (False, True, True)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("--tls-certificate=nowhere.pem", "must be given together"),
        ("--tls-client-ca=nowhere.pem", "needs --tls-certificate and --tls-key"),
    ],
)
def test_half_of_what_tls_needs_is_refused_at_once(site: Site, option: str, complaint: str) -> None:
    result = site.run(site.up(option))

    assert result.returncode == 1
    assert complaint in result.stderr


def test_a_gateway_that_others_reach_in_the_clear_is_warned_of(site: Site) -> None:
    started = site.run(site.up("--detach", "--host=0.0.0.0"))
    site.run(site.command("down"))

    assert started.returncode == 0
    assert "whoever reaches this machine can use the gateway" in started.stderr


@pytest.mark.parametrize(("host", "told"), [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "localhost")])
def test_the_next_command_finds_the_gateway(site: Site, host: str, told: str) -> None:
    started = site.run(site.up("--detach", f"--host={host}"))
    site.run(site.command("down"))

    assert f"--address {told}:{site.ports['gateway']}" in started.stdout


def test_a_gpu_that_does_not_answer_is_left_to_the_services() -> None:
    check_device("cuda", probe="import time; time.sleep(60)", patience_s=0.1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_cuda_is_refused_before_anything_starts(site: Site) -> None:
    result = site.run(site.up("--device=cuda"))

    assert result.returncode == 1
    assert "make install DEVICE=cuda" in result.stderr or "nvidia-smi" in result.stderr
    assert not (site.folder / "run").exists()


def test_missing_checkpoints_say_how_to_get_them(site: Site) -> None:
    (site.folder / "models" / "vae" / "config.json").unlink()

    result = site.run(site.up())

    assert result.returncode == 1
    assert "models lacks a complete vae" in result.stderr
    assert "acestep-serve models pull" in result.stderr
    assert "acestep-serve models build-tiny" in result.stderr


def test_a_models_folder_that_is_not_there_is_said_not_to_be(site: Site) -> None:
    (site.folder / "models").rename(site.folder / "elsewhere")

    result = site.run(site.up())

    assert result.returncode == 1
    assert "there is no folder models;" in result.stderr
    assert "acestep-serve models pull" in result.stderr


def test_an_absent_diffusion_model_is_named(site: Site) -> None:
    result = site.run(site.up("--dit", "acestep-v15-sft"))

    assert result.returncode == 1
    assert (
        "models lacks a complete acestep-v15-sft; it has acestep-v15-base, acestep-v15-turbo"
        in result.stderr
    )


def test_a_detached_system_runs_on_until_down(site: Site) -> None:
    started = site.run(site.up("--detach"))
    was_serving = all(site.is_serving(name) for name in MODULES)

    stopped = site.run(site.command("down"))

    assert (started.returncode, started.stderr) == (0, "")
    assert "acestep-serve down --run-dir run" in started.stdout
    assert "lm: ready" in started.stdout
    assert was_serving
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    assert not any(site.is_serving(name) for name in MODULES)
    assert not (site.folder / "run" / "pid").exists()


def test_a_detached_system_that_cannot_start_says_why(site: Site) -> None:
    site.trouble("gateway", "dies")

    result = site.run(site.up("--detach"))

    assert result.returncode == 1
    assert "gateway has no weights" in result.stdout
    assert site.run(site.command("down")).stdout == "nothing runs in run\n"


def test_one_run_folder_holds_one_system(site: Site, start: Callable[[], Running]) -> None:
    running = start()
    running.until("^ready:")

    second = site.run(site.up())

    assert second.returncode == 1
    assert f"a system runs in run already (process {running.process.pid})" in second.stderr


def test_down_without_a_system_has_nothing_to_do(site: Site) -> None:
    result = site.run(site.command("down"))

    assert (result.returncode, result.stdout) == (0, "nothing runs in run\n")


def test_the_file_of_a_crashed_system_is_not_mistaken_for_a_running_one(site: Site) -> None:
    (site.folder / "run").mkdir()
    (site.folder / "run" / "pid").write_text(f"{os.getpid()}\n")

    result = site.run(site.command("down"))

    assert result.stdout == "nothing runs in run\n"
    assert not (site.folder / "run" / "pid").exists()
