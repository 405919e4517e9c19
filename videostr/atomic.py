"""Files that are either the old one or the whole new one, whatever happens while they are written.

Everything is written under a temporary name in the same directory (a rename is only atomic within one file system),
flushed to the disk, and renamed. A killed process leaves at most a hidden temporary; a full disk leaves the old file
and a message that says so.
"""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO


def check_not_a_source(out: str | os.PathLike, sources: Iterable[str | os.PathLike]) -> None:
    """Raises ValueError where `out` is one of the files that it is made from: what it leaves out would be lost."""
    if os.path.realpath(out) in map(os.path.realpath, sources):
        raise ValueError(f"out: {out} is also a source")


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Replace `path` by a file holding `data`, creating its directory where needed.

    Raises:
        OSError: with the file's name, the cause (disk full, no permission, …) and the same errno. The old file, if
            any, is untouched and the temporary one is gone.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL with mode 0o666 instead of tempfile: the file gets the umask's permissions, not 0600.
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _explain(error, target) from error
        raise
    _sync_directory(target.parent)


def write_text(path: str | os.PathLike, text: str) -> None:
    """`write_bytes` of `text` in UTF-8; lone surrogates, which UTF-8 cannot hold, become backslash escapes."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_json(path: str | os.PathLike, value: Any, *, indent: int | None = 2) -> None:
    """`write_text` of `value` as strict JSON.

    Raises:
        ValueError: `value` holds NaN or an infinity, which JSON cannot say and other readers refuse.
        TypeError: `value` holds something JSON has no form for. In both cases nothing is written.
        OSError: as `write_bytes`.
    """
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike, *, keep_empty: bool = True) -> Iterator[BinaryIO]:
    """A file to write in pieces, for what does not fit in memory. It takes the place of `path` when the block ends; if
    the block raises, or nothing was written and `keep_empty` is false, it goes.

    A killed process leaves `.NAME.partial`, which the next call for the same path overwrites. One writer a path.

    Raises:
        OSError: as `write_bytes`.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            empty = file.tell() == 0
        if empty and not keep_empty:
            partial.unlink()
            return
        os.replace(partial, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            raise _explain(error, target) from error
        raise
    _sync_directory(target.parent)


@contextlib.contextmanager
def atomic_dir(path: str | os.PathLike) -> Iterator[Path]:
    """An empty directory to fill. It takes the place of `path` when the block ends; if the block raises, it goes.

    A directory cannot be exchanged for another in one portable step: where `path` exists already it is first moved
    aside, so a kill between the two renames leaves it under `.NAME.old`; the next call for the same path (or
    `recover_dir`) brings it back. One writer a path.

    Raises:
        OSError: as `write_bytes`. A full disk is reported as ENOSPC even where the writing library raised
            something of its own (torch.save raises RuntimeError, safetensors an error of its own).
    """
    target = Path(path)
    partial, old = target.with_name(f".{target.name}.partial"), target.with_name(f".{target.name}.old")
    try:
        recover_dir(target)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        for root, _, files in os.walk(partial):
            for name in files:
                _sync(Path(root, name))
            _sync_directory(Path(root))
        if target.exists():
            os.rename(target, old)
        os.rename(partial, target)
    except BaseException as error:
        full = _disk_full(error, target.parent)  # before the removal below makes room again
        shutil.rmtree(partial, ignore_errors=True)
        recover_dir(target)
        if isinstance(error, OSError):
            raise _explain(error, target) from error
        if full:
            raise _explain(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), target) from error
        raise
    _sync_directory(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover_dir(path: str | os.PathLike) -> None:
    """Finish what a kill inside `atomic_dir(path)` left: put the moved-aside directory back if `path` is missing, else
    remove it."""
    target = Path(path)
    old = target.with_name(f".{target.name}.old")
    if old.exists():
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, target)


def _disk_full(error: BaseException, directory: Path) -> bool:
    if not isinstance(error, Exception) or isinstance(error, OSError):
        return False
    if "no space left" in str(error).lower() or "os error 28" in str(error).lower():
        return True
    # torch says only "unexpected pos" or "failed writing file"; ask the file system itself.
    if isinstance(error, RuntimeError) and ("unexpected pos" in str(error) or "writing file" in str(error)):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(directory).free < 1 << 20
    return False


def _explain(error: OSError, target: Path) -> OSError:
    cause = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
    kept = "; what was there before is untouched" if target.exists() else ""
    # The constructor picks the subclass (PermissionError, …) from the errno.
    return OSError(error.errno, f"cannot write, {cause}{kept}", str(target))


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    # Makes the rename itself survive a power cut. Some file systems refuse it; the file is whole either way.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
