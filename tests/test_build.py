"""The build's decisions, its messages, and what the compiled object depends on."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from videostr.ops._library import library_path

ROOT = Path(__file__).resolve().parent.parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "build_support" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


native, backend = load("native"), load("videostr_build")


@pytest.mark.parametrize(
    "setting,sources,torch_cuda,nvcc,build,reason",
    [
        ("auto", ["a.cu"], "13.0", "13.1", True, "nvcc 13.1, torch CUDA 13.0"),
        ("1", ["a.cu"], "12.8", "12.4", True, "nvcc 12.4"),
        ("auto", [], "13.0", "13.0", False, "no CUDA sources"),
        ("1", [], "13.0", "13.0", False, "no CUDA sources"),
        ("auto", ["a.cu"], None, "13.0", False, "not a CUDA build"),
        ("auto", ["a.cu"], "13.0", None, False, "no nvcc"),
        ("auto", ["a.cu"], "13.0", "12.9", False, "major must be the same"),
        ("0", ["a.cu"], "13.0", "13.0", False, "VIDEOSTR_CUDA=0"),
    ],
)
def test_cuda_decision(setting, sources, torch_cuda, nvcc, build, reason):
    decision = native.decide_cuda(setting, sources, torch_cuda, nvcc)
    assert decision.build == build and reason in decision.reason


@pytest.mark.parametrize(
    "arguments,message",
    [
        (("1", ["a.cu"], None, "13.0"), "VIDEOSTR_CUDA=1, but this torch is not a CUDA build"),
        (("1", ["a.cu"], "13.0", None), "VIDEOSTR_CUDA=1, but no nvcc"),
        (("yes", [], None, None), "VIDEOSTR_CUDA must be auto, 0 or 1, got 'yes'"),
    ],
)
def test_cuda_that_cannot_be_built_stops(arguments, message):
    with pytest.raises(SystemExit, match=message):
        native.decide_cuda(*arguments)


@pytest.mark.parametrize("named", [True, False])
def test_toolkit_is_found_behind_a_script(tmp_path, monkeypatch, named):
    root, shim = tmp_path / "cuda", tmp_path / "bin"
    for folder, text in (
        (root / "bin", f'echo "release 13.0, V13.0.88"; echo "#$ _HERE_={root}/bin" >&2'),
        (shim, f'exec {root}/bin/nvcc "$@"'),
    ):
        folder.mkdir(parents=True)
        (folder / "nvcc").write_text(f"#!/bin/sh\n{text}\n")
        (folder / "nvcc").chmod(0o755)
    monkeypatch.delenv("CUDA_PATH", raising=False)
    monkeypatch.setenv("CUDA_HOME", str(root)) if named else monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path if named else shim}:/usr/bin:/bin")
    assert native.cuda_toolkit() == (root, "13.0")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "none"))
    assert native.cuda_toolkit() is None


def fake_torch(folder, version):
    info = folder / f"torch-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    return [str(folder)]


@pytest.mark.parametrize(
    "version,requirements",
    [("2.10.0", []), ("2.13.0+cpu", []), ("3.0.0a0+git12", []), ("2.9.1", ["torch>=2.10"]), (None, ["torch>=2.10"])],
)
def test_torch_is_asked_for_only_where_there_is_none(tmp_path, monkeypatch, version, requirements):
    paths = fake_torch(tmp_path / "site", version) if version else [str(tmp_path)]
    monkeypatch.setattr(backend, "target_paths", lambda: paths)
    assert backend.get_requires_for_build_wheel() == requirements
    assert backend.get_requires_for_build_editable() == requirements
    assert backend.get_requires_for_build_sdist() == []


def test_the_targets_torch_comes_behind_the_build_environment(tmp_path, monkeypatch):
    paths = fake_torch(tmp_path / "site", "2.13.0")
    monkeypatch.setattr(backend, "target_paths", lambda: paths)
    monkeypatch.setattr(sys, "path", list(sys.path))
    backend._reach_torch()
    backend._reach_torch()
    assert sys.path[-1] == paths[0] and sys.path.count(paths[0]) == 1


def test_target_paths_are_found_where_the_path_hides_them():
    # pip's isolation takes site-packages off sys.path and leaves the prefix; setuptools then comes from elsewhere
    code = f"""
import sys, types
sys.path = [p for p in sys.path if "site-packages" not in p and "dist-packages" not in p]
sys.modules["setuptools"] = types.SimpleNamespace(build_meta=None)
sys.path.insert(0, {str(ROOT / "build_support")!r})
import videostr_build as b
print(b.torch_version(b.target_paths()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import torch

    assert done.stdout.strip() == str(tuple(int(x) for x in torch.__version__.split(".")[:2]))


def copy_of_sources(folder):
    for name in ("setup.py", "pyproject.toml", "README.md", "MANIFEST.in"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("build_support", "csrc"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "videostr").mkdir()
    (folder / "videostr" / "__init__.py").write_text("")
    return folder


def test_missing_compiler_says_what_to_install(tmp_path):
    env = {"PATH": str(tmp_path / "nothing"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext"],
        cwd=copy_of_sources(tmp_path),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "no C++ compiler found" in done.stderr and "apt install g++" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_torch_says_what_to_do(tmp_path):
    code = "import sys; sys.argv = ['setup.py', 'build_ext']; sys.modules['torch'] = None; "
    code += (
        "exec(compile(open('setup.py').read(), 'setup.py', 'exec'), {'__name__': '__main__', '__file__': 'setup.py'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy_of_sources(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "torch >= 2.10 is needed to compile" in done.stderr and "--no-build-isolation" in done.stderr


def test_source_archive_is_complete_and_needs_no_torch(tmp_path):
    source = copy_of_sources(tmp_path)
    code = "import sys; sys.modules['torch'] = None; sys.path.insert(0, 'build_support'); "
    code += "import videostr_build as b; print(b.build_sdist('.'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import tarfile

    with tarfile.open(next(source.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*") if path.is_file()}
    assert wanted | {"setup.py", "build_support/videostr_build.py", "build_support/native.py"} <= names


@pytest.mark.skipif(sys.platform != "linux", reason="reads ELF symbols with nm")
def test_compiled_object_uses_only_stable_symbols():
    path = library_path()
    assert ".abi3." in path.name
    done = subprocess.run(["nm", "-D", "--undefined-only", str(path)], capture_output=True, text=True, check=True)
    needed = [line.split()[-1] for line in done.stdout.splitlines()]
    unstable = [name for name in needed if re.match(r"_ZN[KR]*(2at|3c10|5torch)|_?Py", name)]
    assert not unstable
    assert any(name.startswith(("aoti_torch_", "torch_")) for name in needed)


def test_kernels_are_installed_under_videostr_only(tmp_path):
    source = copy_of_sources(tmp_path)
    shutil.copytree(ROOT / "videostr" / "kernels", source / "videostr" / "kernels")
    (source / "kernels").mkdir()
    (source / "kernels" / "probe.py").write_text("X = 1")
    subprocess.run([sys.executable, "setup.py", "-q", "build_py"], cwd=source, check=True)
    (built,) = (source / "build").glob("lib*")
    assert (built / "videostr" / "kernels" / "probe.py").is_file() and not (built / "kernels").exists()
    for place in (source, built):  # the tree itself, as an editable install sees it, and a wheel
        code = f"import sys; sys.path.insert(0, {str(place)!r}); import videostr.kernels.probe as p; print(p.X)"
        done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "1", done.stderr
