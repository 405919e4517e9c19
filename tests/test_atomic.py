import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

from videostr import atomic


def listing(path):
    return sorted(item.name for item in path.iterdir())


def test_writes_and_replaces(tmp_path):
    target = tmp_path / "new" / "file.txt"
    atomic.write_text(target, "one\n")
    atomic.write_text(target, "zwei ü\n")
    assert target.read_text(encoding="utf-8") == "zwei ü\n"
    atomic.write_json(target, {"a": [1, None]})
    assert target.read_text() == '{\n  "a": [\n    1,\n    null\n  ]\n}\n'
    assert listing(target.parent) == ["file.txt"]


def test_permissions_are_the_umasks(tmp_path):
    before = os.umask(0o027)
    try:
        atomic.write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_what_json_cannot_say_leaves_the_old_file(tmp_path):
    target = tmp_path / "x.json"
    atomic.write_json(target, 1)
    with pytest.raises(ValueError):
        atomic.write_json(target, float("nan"))
    with pytest.raises(TypeError):
        atomic.write_json(target, object())
    assert target.read_text() == "1\n" and listing(tmp_path) == ["x.json"]


def test_lone_surrogates_are_written_as_escapes(tmp_path):
    atomic.write_text(tmp_path / "x", "a\ud800b")
    assert (tmp_path / "x").read_text() == "a\\ud800b"


def run(code, *arguments):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], capture_output=True)


def test_a_limit_of_the_file_system_leaves_the_old_file(tmp_path):
    # A real failure of write(2): the process may not make files larger than 4 kB.
    target = tmp_path / "checkpoint.bin"
    target.write_bytes(b"old")
    result = run(
        """
        import resource, sys
        from videostr import atomic
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            atomic.write_bytes(sys.argv[1], bytes(10_000))
        except OSError as error:
            print(error.errno, error.filename, error)
        """,
        target,
    )
    assert result.returncode == 0, result.stderr.decode()
    assert f"{errno.EFBIG} {target}".encode() in result.stdout and b"cannot write" in result.stdout
    assert target.read_bytes() == b"old" and listing(tmp_path) == ["checkpoint.bin"]


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "x"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError, match=f"cannot write, the disk is full; what was there before is untouched: '{target}'"
    ) as info:
        atomic.write_text(target, "new")
    assert info.value.errno == errno.ENOSPC and info.value.filename == str(target)
    assert target.read_text() == "old" and listing(tmp_path) == ["x"]
    with (
        pytest.raises(OSError, match="cannot write, the disk is full: "),
        atomic.atomic_dir(tmp_path / "dir") as partial,
    ):
        (partial / "a").write_text("new")
    assert listing(tmp_path) == ["x"]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at inline_container.cc] . unexpected pos 64 vs 0"),
        ValueError("No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_said_whatever_the_writing_library_raises(tmp_path, monkeypatch, error):
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 0}))
    with pytest.raises(OSError, match="the disk is full") as info, atomic.atomic_dir(tmp_path / "dir"):
        raise error
    assert info.value.errno == errno.ENOSPC and info.value.__cause__ is error
    assert listing(tmp_path) == []


def test_a_file_in_pieces_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "a.jsonl"
    for text in (b"1", b"22"):
        with atomic.atomic_file(target) as file:
            file.write(text)
            assert not target.exists() or target.read_bytes() == b"1"
        assert target.read_bytes() == text
    with pytest.raises(KeyboardInterrupt), atomic.atomic_file(target) as file:
        file.write(b"3")
        raise KeyboardInterrupt
    with atomic.atomic_file(target, keep_empty=False):
        pass
    assert target.read_bytes() == b"22" and listing(target.parent) == ["a.jsonl"]
    with atomic.atomic_file(target):
        pass
    assert target.read_bytes() == b""


def test_a_file_in_pieces_on_a_path_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="cannot write"), atomic.atomic_file(tmp_path / "file" / "a"):
        pass


def test_a_directory_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "runs" / "checkpoint"
    with atomic.atomic_dir(target) as partial:
        (partial / "deep").mkdir()
        (partial / "deep" / "a").write_text("1")
        assert not target.exists()
    assert (target / "deep" / "a").read_text() == "1"
    with atomic.atomic_dir(target) as partial:
        (partial / "b").write_text("2")
    assert listing(target) == ["b"] and listing(target.parent) == ["checkpoint"]


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_a_directory_that_fails_leaves_the_old_one(tmp_path, error):
    target = tmp_path / "checkpoint"
    with atomic.atomic_dir(target) as partial:
        (partial / "a").write_text("1")
    with pytest.raises(type(error)), atomic.atomic_dir(target) as partial:
        (partial / "a").write_text("2")
        raise error
    assert (target / "a").read_text() == "1" and listing(tmp_path) == ["checkpoint"]


@pytest.mark.parametrize("where", ["inside", "between"])
def test_kill_9_leaves_a_directory_that_the_next_call_repairs(tmp_path, where):
    target = tmp_path / "checkpoint"
    with atomic.atomic_dir(target) as partial:
        (partial / "a").write_text("1")
    result = run(
        """
        import os, signal, sys
        from videostr import atomic
        rename = os.rename
        def rename_and_die(source, destination):
            rename(source, destination)
            os.kill(os.getpid(), signal.SIGKILL)
        with atomic.atomic_dir(sys.argv[1]) as partial:
            (partial / "a").write_text("2")
            if sys.argv[2] == "inside":
                os.kill(os.getpid(), signal.SIGKILL)
            os.rename = rename_and_die
        """,
        target,
        where,
    )
    assert result.returncode == -signal.SIGKILL
    atomic.recover_dir(target)
    assert (target / "a").read_text() == "1"
    with atomic.atomic_dir(target) as partial:
        (partial / "a").write_text("3")
    assert (target / "a").read_text() == "3" and listing(tmp_path) == ["checkpoint"]
