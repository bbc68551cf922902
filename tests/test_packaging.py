"""What the package is made of: the wheel, its metadata, the pins, the import boundaries."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from npe2 import PluginManifest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_unet"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VIEWER = {"napari", "magicgui", "qtpy"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def requirements(metadata: Message) -> list[Requirement]:
    return [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]


def of_extra(metadata: Message, extra: str) -> set[str]:
    """Names that the extra adds to the plain dependencies ('' for the plain ones)."""
    plain = {r.name for r in requirements(metadata) if r.marker is None}
    if not extra:
        return plain
    return {
        str(r).split(";")[0].strip()
        for r in requirements(metadata)
        if r.marker is not None and r.marker.evaluate({"extra": extra})
    }


# The wheel


def test_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    in_tree = {
        path.relative_to(ROOT / "src").as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(".tmp")
    }
    in_wheel = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert in_wheel == in_tree
    assert {f"napari_unet/{n}" for n in ("napari.yaml", "py.typed", "__init__.pyi")} <= in_wheel


def test_wheel_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "napari-unet-torch"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Framework :: napari" in metadata.get_all("Classifier")
    assert Version(metadata["Version"]) >= Version("0.1.0.dev0")


def version_of(folder: Path) -> Version:
    """The version that a build in the folder would have."""
    command = [sys.executable, "-W", "ignore", "-m", "hatchling", "version"]
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return Version(done.stdout.strip())


def test_version_is_that_of_the_tag_and_there_is_one_without_git(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    without_git = version_of(tmp_path)
    assert without_git >= Version("0.2.0.dev0")
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@localhost", "-C", str(tmp_path)]
    if shutil.which("git") is None:
        pytest.skip("git is not installed")

    def commit(message: str) -> None:
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", message], check=True)

    subprocess.run([*git, "init", "--quiet"], check=True)
    commit("without a tag")
    assert version_of(tmp_path).base_version == without_git.base_version
    subprocess.run([*git, "tag", "v1.2.3"], check=True)
    assert version_of(tmp_path) == Version("1.2.3")
    commit("after the tag")
    assert Version("1.2.3") < version_of(tmp_path) < Version("1.2.4")


def test_no_dependency_has_an_upper_bound(metadata: Message) -> None:
    bounded = [
        str(r)
        for r in requirements(metadata)
        if any(s.operator not in {">=", ">", "!="} for s in r.specifier)
    ]
    assert bounded == []


def test_qt_binding_comes_only_with_the_extra(metadata: Message) -> None:
    bindings = {"PyQt5", "PyQt6", "PySide2", "PySide6"}
    for requirement in requirements(metadata):
        wants_qt = requirement.name in bindings or any(
            "qt" in e or "pyside" in e for e in requirement.extras
        )
        assert not wants_qt or requirement.marker is not None, requirement
    assert of_extra(metadata, "all") == {"napari[pyqt6]"}
    assert of_extra(metadata, "cluster") == {"dask[distributed]", "distributed>=2024.8"}


def test_entry_points(wheel: zipfile.ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/entry_points.txt"))
    points = ConfigParser(delimiters=("=",))
    points.optionxform = str
    points.read_string(wheel.read(name).decode())
    assert dict(points["console_scripts"]) == {"napari-unet": "napari_unet.cli:main"}
    assert dict(points["napari.manifest"]) == {"napari-unet-torch": "napari_unet:napari.yaml"}


def test_manifest_is_valid_and_named_like_the_distribution() -> None:
    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    assert manifest.name == PROJECT["project"]["name"]
    assert manifest.display_name == "U-Net"


def test_top_level_manifest_is_a_relative_link_to_the_packaged_one() -> None:
    link = ROOT / "napari.yaml"
    assert link.read_bytes() == (PACKAGE / "napari.yaml").read_bytes()
    if link.is_symlink():  # a checkout on Windows may hold a copy
        assert not link.readlink().is_absolute()


# Import boundaries: the core runs without a viewer.


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_every_imported_package_is_a_declared_dependency(metadata: Message) -> None:
    declared = {canonicalize_name(r.name) for r in requirements(metadata)}
    distributions = importlib.metadata.packages_distributions()
    own = {"napari_unet", *sys.stdlib_module_names}
    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in imported_packages(path) - own
        if not declared & {canonicalize_name(d) for d in distributions.get(name, [name])}
    }
    assert undeclared == set()


def test_core_does_not_import_the_viewer() -> None:
    offenders = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in PACKAGE.rglob("*.py")
        if "widgets" not in path.relative_to(PACKAGE).parts
        for name in imported_packages(path) & VIEWER
    }
    # for scripts; it imports the viewer when it is called, as tests/test_imports.py shows
    assert offenders == {"src/napari_unet/viewer.py: napari"}


@pytest.mark.parametrize("package", sorted(VIEWER))
def test_lint_rule_keeps_the_viewer_in_widgets(package: str) -> None:
    def faults(where: str) -> str:
        source = f'"""A module."""\n\nimport {package}\n\nprint_me = {package}\n'
        command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", where, "-"]
        done = subprocess.run(
            command, cwd=ROOT, input=source, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    assert "TID251" in faults("src/napari_unet/batch/run.py")
    assert "All checks passed" in faults("src/napari_unet/widgets/batch.py")


# The pins of constraints.txt


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    named = {canonicalize_name(r.name): r for r in found}
    assert len(named) == len(found), "a package is pinned twice"
    return named


def test_constraints_pin_one_version_each_and_nothing_else() -> None:
    for requirement in pins().values():
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        assert "*" not in specifier.version
        assert Version(specifier.version).local is None, "not a version of one platform's build"
        assert requirement.url is None
    assert str(pins()["torch"].specifier) == "==2.13.0"


def test_constraints_pin_all_that_the_makefile_installs() -> None:
    project = PROJECT["project"]
    todo = [
        Requirement(line)
        for line in [
            "pip",
            *PROJECT["build-system"]["requires"],
            *project["dependencies"],
            # readers of microscopes' files are installed by those who have such files
            *(
                line
                for name, extra in project["optional-dependencies"].items()
                for line in extra
                if name != "formats"
            ),
            *PROJECT["dependency-groups"]["dev"],
        ]
    ]
    pinned = pins()
    extras: dict[str, set[str]] = {}
    unpinned: set[str] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        wanted = {"", *requirement.extras}
        if wanted <= extras.get(name, set()):
            continue
        extras.setdefault(name, set()).update(wanted)
        if name not in pinned:
            unpinned.add(name)
        elif not requirement.specifier.contains(next(iter(pinned[name].specifier)).version):
            unpinned.add(f"{name}: the pin does not meet {requirement.specifier}")
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            pytest.fail(f"{name} is not installed: run `make install`")
        for deeper in map(Requirement, lines):
            marker = deeper.marker
            if name == "torch" and deeper.name.startswith(("cuda-", "nvidia-", "triton")):
                continue  # a build for CUDA brings them, in versions that it names itself
            if marker is None or any(marker.evaluate({"extra": e}) for e in extras[name]):
                todo.append(deeper)
    assert unpinned == set()


# Makefile and texts


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("demo", "napari-unet demo"),
        ("test", "-m pytest"),
        ("lint", "mypy"),
        ("check", "draw_house"),
    ],
)
def test_make_installs_once_and_again_when_the_pins_change(
    tmp_path: Path, target: str, command: str
) -> None:
    for name in ["Makefile", "pyproject.toml", "constraints.txt"]:
        shutil.copy(ROOT / name, tmp_path)

    def planned() -> str:
        # MAKEFLAGS of a surrounding `make test` would reach this make too.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        run = ["make", "--dry-run", target]
        done = subprocess.run(
            run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert " install --constraint" in planned()

    stamp = tmp_path / ".venv" / ".installed"
    stamp.parent.mkdir()
    stamp.touch()
    os.utime(stamp, (2_000_000_000, 2_000_000_000))
    again = planned()
    assert "pip" not in again
    assert command in again

    os.utime(tmp_path / "constraints.txt", (2_000_000_001, 2_000_000_001))
    assert " install --constraint" in planned()


def test_no_text_installs_the_other_project_of_that_name() -> None:
    wrong = re.compile(r"pip install\s+(-\S+\s+)*['\"]?napari-unet(?!-torch)\b")
    endings = {".cff", ".cfg", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}
    folders = ["src", "tests", "scripts", "studies", "docs", ".ci", ".github"]
    files = [p for p in ROOT.iterdir() if p.is_file()]
    files += [p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file()]
    found = [
        str(path.relative_to(ROOT))
        for path in files
        if path.suffix in endings
        and "__pycache__" not in path.parts
        and wrong.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []
