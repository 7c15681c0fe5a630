"""The example clients of `clients/`: what each needs, how it is built, and how it is run."""

import asyncio
import os
import shutil
import subprocess
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JARS, GOCODE, INCLUDE = Path("/usr/share/java"), Path("/usr/share/gocode/src"), Path("/usr/include")
BUILD_TIMEOUT_S = 280


@dataclass(frozen=True, slots=True)
class Language:
    """One client. It is not tried where what it needs is not installed."""

    name: str
    programs: tuple[str, ...]
    files: tuple[Path, ...]
    build: str
    """Shell command in its folder."""
    generate: tuple[str, ...]
    """Makes a song: what runs the program, if anything does, and its path in the folder."""
    conformance: tuple[str, ...] = ()
    """Replays the conformance cases, in a language that has that."""

    @property
    def folder(self) -> Path:
        return ROOT / "clients" / self.name

    def missing(self) -> list[str]:
        programs = [program for program in self.programs if shutil.which(program) is None]
        return programs + [str(path) for path in self.files if not path.exists()]


NODE = Language(
    "node",
    ("node", "npm"),
    (),
    "test node_modules/.package-lock.json -nt package-lock.json"
    " || npm ci --no-audit --no-fund --loglevel=error; npm run build",
    ("node", "dist/src/generate.js"),
    ("node", "dist/src/conformance.js"),
)
LANGUAGES = (
    NODE,
    Language(
        "go",
        ("make", "go", "protoc-gen-go", "protoc-gen-go-grpc"),
        (GOCODE / "google.golang.org/grpc", GOCODE / "google.golang.org/protobuf/proto"),
        "make",
        ("build/generate",),
    ),
    Language(
        "cpp",
        ("make", "g++", "protoc", "grpc_cpp_plugin", "pkg-config"),
        (INCLUDE / "grpcpp/grpcpp.h", INCLUDE / "openssl/evp.h"),
        "make -j2 CXXFLAGS=-O0",
        ("build/generate",),
    ),
    Language(
        "java",
        ("make", "java", "javac", "protoc", "grpc_java_plugin"),
        tuple(
            JARS / f"{name}.jar"
            for name in (
                "grpc-netty",
                "protobuf",
                "proto-google-common-protos",
                "netty-handler",
                "netty-tcnative",
                "perfmark-api",
            )
        ),
        "make",
        ("build/generate",),
    ),
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a client ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class BuiltClient:
    """A client that can be run."""

    language: Language

    async def run(self, *arguments: str, cwd: Path, **environment: str) -> Done:
        """Make a song in `cwd`."""
        return await ended(await self.start(*arguments, cwd=cwd, **environment))

    async def start(self, *arguments: str, cwd: Path, **environment: str) -> Process:
        return await self._start(self.language.generate, arguments, cwd, environment)

    async def replay(self, *arguments: str, **environment: str) -> Done:
        """Replay the conformance cases."""
        folder = self.language.folder
        return await ended(await self._start(self.language.conformance, arguments, folder, environment))

    async def _start(
        self, program: Sequence[str], arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]
    ) -> Process:
        *runs_it, path = program
        return await asyncio.create_subprocess_exec(
            *runs_it,
            str(self.language.folder / path),
            *arguments,
            cwd=cwd,
            env=inherited() | dict(environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


async def ended(process: Process) -> Done:
    out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


def inherited() -> dict[str, str]:
    """Our own environment, but for what would send a client elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ACESTEP_")}  # noqa: TID251


@cache
def built(language: Language) -> BuiltClient:
    """The client, built once a run; skips the test where that cannot be done."""
    if missing := language.missing():
        pytest.skip(f"no {language.name} client: {', '.join(missing)} not installed; see clients/README.md")
    done = subprocess.run(
        language.build,
        shell=True,
        cwd=language.folder,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return BuiltClient(language)
