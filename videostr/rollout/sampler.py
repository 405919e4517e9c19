"""Sampling groups of answers with transformers' model: every prompt is run once, whatever the group's size."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from videostr.model.load import Policy
from videostr.model.packing import pack_groups
from videostr.model.prompt import Prompt
from videostr.rollout.cache import GroupCache, Prefill
from videostr.rollout.sampling import SamplingParams, draw

# Rows of finished answers ride along until the rest fits in this share: taking them out copies the answers' cache.
COMPACT_BELOW = 0.75


@dataclass(frozen=True)
class Completion:
    """One sampled answer, on the CPU.

    ids_L: int64, with the stop id that ended it. finished: it ended with a stop id, not at `max_new_tokens`.
    logprob_L: float32, under the whole distribution after temperature and suppression, as `GroupedPolicy` gives them.
    sampled_logprob_L: float32, under the distribution it was drawn from, after top-k and top-p (0 when greedy).
    text: decoded without special tokens.
    """

    ids_L: Tensor
    logprob_L: Tensor
    sampled_logprob_L: Tensor
    finished: bool
    text: str


@torch.no_grad()
def sample_groups(
    policy: Policy, prompts: Sequence[Prompt], group_size: int, params: SamplingParams, seeds: Sequence[int]
) -> list[list[Completion]]:
    """Sample `group_size` answers to each prompt, one list a prompt.

    seeds: one a prompt. A group's random numbers come from its own generator on the CPU, so its answers depend on its
    prompt, the weights and its seed, not on the other prompts, the number of processes or the device (up to rounding).
    The model is put in eval mode meanwhile. Raises ValueError for arguments that do not match.
    """
    if not prompts:
        raise ValueError("prompts must hold at least one prompt, got none")
    if len(seeds) != len(prompts):
        raise ValueError(f"seeds must hold one seed a prompt ({len(prompts)}), got {len(seeds)}")
    if group_size < 1:
        raise ValueError(f"group_size must be >= 1, got {group_size}")
    training = policy.model.training
    policy.model.eval()
    try:
        ids_NL, logprob_NL, sampled_NL, length_N, finished_N = _decode(policy, prompts, group_size, params, seeds)
    finally:
        policy.model.train(training)
    completions = []
    for row, (length, finished) in enumerate(zip(length_N.tolist(), finished_N.tolist(), strict=True)):
        completions.append(
            Completion(
                ids_L=ids_NL[row, :length].clone(),
                logprob_L=logprob_NL[row, :length].clone(),
                sampled_logprob_L=sampled_NL[row, :length].clone(),
                finished=finished,
                text=policy.tokenizer.decode(ids_NL[row, :length], skip_special_tokens=True),
            )
        )
    return [completions[start : start + group_size] for start in range(0, len(completions), group_size)]


def _decode(policy, prompts, group_size, params, seeds) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """ids_NL, logprob_NL, sampled_logprob_NL, length_N, finished_N on the CPU."""
    device, base = policy.device, policy.base
    rows, steps = len(prompts) * group_size, params.max_new_tokens
    uniform_SN = torch.cat([_uniform(seed, steps, group_size) for seed in seeds], dim=1).to(device)
    bias_V = torch.zeros(policy.vocab_size, device=device)
    bias_V[list(policy.suppressed_ids)] = float("-inf")
    stop_S = torch.tensor(policy.eos_ids, dtype=torch.int64, device=device)

    hidden_BD, cache = _prefill(policy, prompts, group_size, steps)
    hidden_ND = hidden_BD.repeat_interleave(group_size, dim=0)
    position_N = torch.tensor([prompt.next_position for prompt in prompts], device=device).repeat_interleave(group_size)

    ids_SN = torch.zeros(steps, rows, dtype=torch.int64, device=device)
    logprob_SN = torch.zeros(2, steps, rows, device=device)
    length_N = torch.full((rows,), steps, device=device)
    finished_N = torch.zeros(rows, dtype=torch.bool, device=device)
    answer_BS = torch.arange(rows, device=device).view(-1, group_size)  # which answer each row in the batch is
    for step in range(steps):
        answer_N = answer_BS.flatten()
        logits_NV = torch.nn.functional.linear(hidden_ND, base.lm_head.weight)
        id_N, *logprobs = draw(logits_NV, bias_V, params, uniform_SN[step].index_select(0, answer_N))
        ids_SN[step].index_copy_(0, answer_N, id_N)
        logprob_SN[:, step].index_copy_(1, answer_N, torch.stack(logprobs))
        ended_N = torch.isin(id_N, stop_S) & ~finished_N[answer_N]
        if ended_N.any():
            length_N[answer_N[ended_N]] = step + 1
            finished_N[answer_N[ended_N]] = True
            group_B, slot_BS = _going(~finished_N[answer_BS])
            if not len(group_B):
                break
            if slot_BS.numel() <= COMPACT_BELOW * answer_BS.numel():
                cache.keep(group_B, slot_BS)
                row_N = (group_B[:, None] * answer_BS.shape[1] + slot_BS).flatten()
                answer_BS = answer_N[row_N].view(slot_BS.shape)
                id_N, position_N = id_N[row_N], position_N[row_N]
        if step + 1 == steps:
            break
        hidden_ND = base.model.language_model(
            inputs_embeds=base.get_input_embeddings()(id_N)[None],
            position_ids=(position_N + step).expand(3, 1, -1),
            use_cache=False,
            attend=cache,
        )[0][0]
        cache.length += 1
    logprob_SN = logprob_SN.cpu()
    return ids_SN.cpu().T, logprob_SN[0].T, logprob_SN[1].T, length_N.cpu(), finished_N.cpu()


def _going(going_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Groups (B') with an answer that goes on, and of each as many answers (B', S') as the fullest has going on.

    Where a group has fewer, finished ones fill the rectangle: nothing is read from them.
    """
    group_B = going_BS.any(1).nonzero().flatten()
    if not len(group_B):
        return group_B, group_B[:, None]
    left_BS = going_BS[group_B]
    return group_B, left_BS.int().argsort(dim=1, descending=True, stable=True)[:, : int(left_BS.sum(1).max())]


def _prefill(policy: Policy, prompts: Sequence[Prompt], group_size: int, steps: int) -> tuple[Tensor, GroupCache]:
    """Run the prompts as one packed row -> hidden state of each one's last token (B, D), and the cache."""
    nothing = torch.empty(0, dtype=torch.int64)
    packed = pack_groups(prompts, [[nothing]] * len(prompts)).to(policy.device)
    prefill = Prefill(packed.layout)
    hidden_TD = policy.base.model(**packed.model_inputs(), use_cache=False, attend=prefill)[0][0]
    last_B = torch.tensor([len(prompt) for prompt in prompts]).cumsum(0) - 1
    return hidden_TD[last_B.to(policy.device)], GroupCache(prefill.kept, prefill.prompts, group_size, steps)


def _uniform(seed: int, steps: int, group_size: int) -> Tensor:
    return torch.rand(steps, group_size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
