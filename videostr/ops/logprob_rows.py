"""logprob_rows: rows of logits -> log-prob of the target, entropy, logsumexp; and the way back, in place.

What linear_logprob and linear_policy_loss do between their matrix products; not public, as whole logits are what the
package is there to avoid. The columns may be some of the ids only: a target outside them has log-prob -inf, and no
column gets its δ; where all are excluded lse is -inf and the entropy 0. Formulas: `linear_logprob`.
"""

import torch

from . import reference
from ._library import any_device, on_cuda
from .reference import wide_dtype


@torch.library.register_fake("videostr::logprob_rows")
def _fake(logits, target, *_):
    row = logits.new_empty(logits.shape[0], dtype=wide_dtype(logits.dtype))
    return row, torch.empty_like(row), torch.empty_like(row)


@torch.library.register_fake("videostr::logprob_rows_backward_")
def _fake_backward(logits, *_):
    return None


@any_device("logprob_rows")
def _torch_forward(logits, target, *head):
    z = reference.scale_logits(logits, *head)
    lse = torch.logsumexp(z, dim=-1)
    logp = (z - lse[:, None]).masked_fill(z == -torch.inf, -torch.inf)
    entropy = -(logp.exp() * logp.masked_fill(logp == -torch.inf, 0.0)).sum(-1)
    here, at = _inside(target, z)
    return torch.where(here, logp.gather(1, at[:, None]).squeeze(1), -torch.inf), entropy, lse


def _inside(target, logits):
    """Whether each target is one of the columns, and which (some column where it is none)."""
    here = (target >= 0) & (target < logits.shape[1])
    return here, torch.where(here, target, 0)


@any_device("logprob_rows_backward_")
def _torch_backward(logits, grad_logprob, grad_entropy, entropy, lse, target, bias, temperature, softcap, logit_scale):
    z = reference.scale_logits(logits, bias, temperature, softcap, logit_scale)
    excluded = z == -torch.inf
    logp = z - lse[:, None]
    g, h = grad_logprob[:, None], grad_entropy[:, None]
    dz = -logp.exp() * (g + h * (logp.masked_fill(excluded, 0.0) + entropy[:, None]))
    here, at = _inside(target, logits)
    dz.scatter_add_(1, at[:, None], torch.where(here[:, None], g, 0.0))
    if softcap is not None:
        dz = dz * (1 - (z.masked_fill(excluded, 0.0) * (temperature[:, None] / softcap)).square())
    logits.copy_((dz * (logit_scale / temperature[:, None])).masked_fill(excluded, 0.0))


@on_cuda("logprob_rows")
def _triton_forward(*arguments):
    from videostr.kernels.logprob_rows import logprob_rows  # imports triton, which only a GPU needs

    return logprob_rows(*_dense(arguments))


@on_cuda("logprob_rows_backward_")
def _triton_backward(logits, *arguments):
    from videostr.kernels.logprob_rows import logprob_rows_backward_

    if not logits.is_contiguous():
        raise ValueError("logits must be contiguous: they are overwritten")
    logprob_rows_backward_(logits, *_dense(arguments))


def _dense(arguments):
    return (x.contiguous() if isinstance(x, torch.Tensor) else x for x in arguments)
