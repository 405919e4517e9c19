"""Short names of what a result depends on."""

import hashlib
import json
from pathlib import Path


def fingerprint(path: str | Path | None) -> str | None:
    """A hash of a file, or of the weights in a model folder; of the name alone where nothing is there (a hub id)."""
    if path is None:
        return None
    if not Path(path).exists():
        return digest(str(path))
    hashed = hashlib.sha256()
    for file in sorted(Path(path).glob("*.safetensors")) if Path(path).is_dir() else [Path(path)]:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 24):
                hashed.update(chunk)
    return hashed.hexdigest()


def digest(value: object) -> str:
    """16 hexadecimal digits of anything JSON can say."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
