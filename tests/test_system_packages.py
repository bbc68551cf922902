"""scripts/system_packages.sh, on machines pretended by stand-ins for its commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "system_packages.sh"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux" or shutil.which("bash") is None, reason="for Linux"),
]


@dataclass(frozen=True)
class Outcome:
    status: int
    text: str
    apt: list[str]


Machine = Callable[..., Outcome]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Run the script where only the given libraries and commands are there."""

    def run(
        *parts: str,
        root: bool = False,
        apt: bool = True,
        libraries: tuple[str, ...] = (),
        commands: tuple[str, ...] = (),
        display: str | None = None,
    ) -> Outcome:
        bin_ = tmp_path / "bin"
        bin_.mkdir()
        log = tmp_path / "apt.log"

        def command(name: str, body: str) -> None:
            path = bin_ / name
            path.write_text(f"#!{shutil.which('bash')}\n{body}\n", encoding="utf-8")
            path.chmod(0o755)

        listed = "".join(f"\\t{name} (libc6,x86-64) => /lib/{name}\\n" for name in libraries)
        command("ldconfig", f"printf '{listed}'")
        command("uname", "echo Linux")
        command("id", f"echo {0 if root else 1000}")
        if apt:
            command("apt-get", f'echo "$@" >> {log}')
        for name in commands:
            command(name, "exit 0")

        environment = {"PATH": str(bin_)}
        if display is not None:
            environment["DISPLAY"] = display
        done = subprocess.run(
            [str(shutil.which("bash")), str(SCRIPT), *parts],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return Outcome(done.returncode, done.stdout + done.stderr, calls)

    return run


def all_libraries() -> tuple[str, ...]:
    """Every library the script asks for, read from its list."""
    words = (line.split() for line in SCRIPT.read_text(encoding="utf-8").splitlines())
    found = tuple(w[1] for w in words if w[:1] == ["need_library"])
    assert "libGL.so.1" in found
    return found


def test_root_installs_what_is_missing_and_only_that(machine: Machine) -> None:
    have = tuple(name for name in all_libraries() if name != "libxcb-cursor.so.0")
    outcome = machine("window", "display", root=True, libraries=have)
    assert outcome.status == 0
    update, install = outcome.apt
    assert update.startswith("update")
    assert install.startswith("install")
    packages = [word for word in install.split() if word.startswith(("lib", "x"))]
    assert packages == ["libxcb-cursor0", "xvfb", "xauth"]


def test_user_is_told_the_line_to_run(machine: Machine) -> None:
    outcome = machine("window", "display", libraries=all_libraries())
    assert outcome.status == 1
    assert outcome.apt == []
    assert "sudo apt-get install -y --no-install-recommends xvfb xauth" in outcome.text


def test_other_linux_is_told_what_is_missing(machine: Machine) -> None:
    outcome = machine("window", "display", root=True, apt=False)
    assert outcome.status == 1
    assert "libEGL.so.1" in outcome.text
    assert "package manager" in outcome.text


def test_complete_machine_is_left_alone(machine: Machine) -> None:
    outcome = machine(
        "window", "display", libraries=all_libraries(), commands=("xvfb-run", "xauth")
    )
    assert outcome == Outcome(0, "", [])


def test_display_in_use_needs_no_virtual_one(machine: Machine) -> None:
    assert machine("window", "display", libraries=all_libraries(), display=":0").status == 0


@pytest.mark.parametrize(("display", "status"), [(None, 0), (":0", 1)])
def test_missing_window_libraries_stop_only_those_who_have_a_display(
    machine: Machine, display: str | None, status: int
) -> None:
    outcome = machine("window", display=display)
    assert outcome.status == status
    assert "libgl1" in outcome.text


def test_unknown_part_is_refused(machine: Machine) -> None:
    outcome = machine("windows", root=True)
    assert outcome.status == 2
    assert outcome.apt == []
