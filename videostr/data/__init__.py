"""Samples: what a model is trained and tested on. See docs/data.md."""

from videostr.data.samples import Sample, SampleError, read_samples, write_samples

__all__ = ["Sample", "SampleError", "read_samples", "write_samples"]
