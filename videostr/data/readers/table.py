"""The readers by name."""

from videostr.data.readers import (
    activitynet_captions,
    charades_sta,
    didemo,
    fields,
    hirest,
    internvid_vtime,
    nextgqa,
    queryd,
    qvhighlights,
    rextime,
    sti_bench,
    tacos,
    time_r1,
    timelens,
    trainers,
    tvg_r1,
    v_star,
    videomind,
    vsi_bench,
)
from videostr.data.readers.base import Reader

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        charades_sta.READER,
        activitynet_captions.READER,
        qvhighlights.READER,
        didemo.READER,
        tacos.READER,
        queryd.READER,
        hirest.READER,
        internvid_vtime.READER,
        nextgqa.READER,
        rextime.READER,
        time_r1.TVGBENCH,
        timelens.READER,
        timelens.TRAIN,
        tvg_r1.READER,
        videomind.READER,
        time_r1.READER,
        sti_bench.READER,
        vsi_bench.READER,
        v_star.READER,
        *trainers.READERS,
        fields.READER,
    )
}


def get_reader(name: str) -> Reader:
    """Raises ValueError for a name that is not in `READERS`."""
    if name not in READERS:
        raise ValueError(f"name: expected one of {', '.join(READERS)}, got {name!r}")
    return READERS[name]
