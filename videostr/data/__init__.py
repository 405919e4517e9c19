"""Samples: what a model is trained and tested on. See docs/data.md."""

from videostr.data.samples import Sample, SampleError, iter_samples, read_samples, write_samples

__all__ = ["Sample", "SampleError", "iter_samples", "read_samples", "write_samples"]
