import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from triton_interpreter import worker


@pytest.fixture(scope="session")
def interpreted():
    """interpreted(file, name, arguments, **options): the outputs of NAME in kernels/FILE.py on CPU tensors."""
    pytest.importorskip("triton", reason="needs Triton, which comes with a CUDA build of torch or alone from PyPI")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=worker.start) as pool:
        yield lambda *call, **options: pool.submit(worker.call, *call, options).result()
