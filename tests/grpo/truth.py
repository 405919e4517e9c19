"""GRPO written down plainly: every answer alone through transformers' eager attention, term by term, SGD."""

import math
from types import SimpleNamespace

import torch
from model.truth import plain_logprobs, plain_model
from training.toys import toy_reward

from videostr.rollout import sample_groups
from videostr.training.order import group_seed, step_indices


def train(policy, prompter, samples, c, seed, reference=None, sample=sample_groups):
    """(weights, metrics rows) after `c.steps` steps; c: a GRPOConfig. `policy` samples: its weights are overwritten."""
    model = plain_model(policy)
    reference = plain_model(reference) if reference else None
    rows = []
    for step in range(c.steps):
        batch = [samples[i] for i in step_indices(len(samples), c.prompts_per_step, step, seed)]
        with torch.no_grad():
            policy.base.load_state_dict(model.state_dict())
        groups = [roll_out(policy, prompter, s, c, group_seed(seed, step, s.id), sample) for s in batch]
        advantages(groups, c)
        old = {}
        for group in groups:
            for answer in group.answers:
                with torch.no_grad():
                    old[id(answer)] = plain_logprobs(
                        model, group.prompt, answer.ids_L, policy.suppressed_ids, c.sampling.temperature
                    )[0]
        row = {
            "reward": sum(float(r) for g in groups for r in g.rewards) / (len(groups) * c.group_size),
            "informative": sum(g.informative for g in groups) / len(groups),
            "updates": [],
        }
        for start in range(0, len(groups), c.prompts_per_update):
            kept = [g for g in groups[start : start + c.prompts_per_update] if g.informative]
            if kept:
                loss, parts = update_loss(model, policy, reference, kept, old, c)
                model.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), c.optim.max_grad_norm)
                with torch.no_grad():
                    for parameter in model.parameters():
                        decay = c.optim.weight_decay if parameter.ndim >= 2 else 0.0
                        parameter -= c.optim.lr * (parameter.grad + decay * parameter)
                row["updates"].append(parts)
        rows.append(row)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}, rows


def roll_out(policy, prompter, sample, c, seed, sampler):
    prompt = prompter(sample)
    answers = sampler(policy, [prompt], c.group_size, c.sampling.params(), [seed])[0]
    scored = toy_reward([a.text for a in answers], {"spans": [sample.spans] * c.group_size})
    return SimpleNamespace(
        prompt=prompt, answers=answers, rewards=scored.total_N.tolist(), tasks=scored.terms["iou"].tolist()
    )


def spread(values):
    if len(set(values)) == 1:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def advantages(groups, c):
    a = c.advantage
    everything = spread([r for g in groups for r in g.rewards])
    for g in groups:
        mean = sum(g.rewards) / len(g.rewards)
        g.informative = spread(g.tasks if a.gate == "task" else g.rewards) > a.min_std
        centred = [r - mean for r in g.rewards]
        if a.scale == "std":
            centred = [x / (spread(g.rewards) + a.eps) for x in centred]
        elif a.scale == "batch":
            centred = [x / (everything + a.eps) for x in centred]
        elif a.scale == "loo":
            others = [(sum(g.rewards) - r) / (len(g.rewards) - 1) for r in g.rewards]
            centred = [r - o for r, o in zip(g.rewards, others, strict=True)]
        g.advantages = centred


def update_loss(model, policy, reference, groups, old, c):
    """The loss of one update and its parts (policy, kl, entropy), as docs/training.md says them."""
    chunks = [groups[i : i + c.micro_batch] for i in range(0, len(groups), c.micro_batch)]
    tokens_of_update = sum(len(a.ids_L) for g in groups for a in g.answers)
    answers_of_update = len(groups) * c.group_size
    parts = {"policy": 0.0, "kl": 0.0, "entropy": 0.0}
    for chunk in chunks:
        tokens_of_chunk = sum(len(a.ids_L) for g in chunk for a in g.answers)
        for g in chunk:
            for answer, advantage in zip(g.answers, g.advantages, strict=True):
                logprob, entropy = plain_logprobs(
                    model, g.prompt, answer.ids_L, policy.suppressed_ids, c.sampling.temperature
                )
                policy_L = token_losses(logprob, old[id(answer)], advantage, answer.logprob_L, c.loss)
                weight = {
                    "bnpo": 1 / tokens_of_chunk / len(chunks),
                    "grpo": 1 / len(logprob) / answers_of_update,
                    "dr_grpo": 1 / (answers_of_update * c.sampling.max_new_tokens),
                    "dapo": 1 / tokens_of_update,
                    "cispo": 1 / tokens_of_update,
                    "gspo": 1 / len(logprob) / answers_of_update,
                    "sapo": 1 / len(logprob) / answers_of_update,
                    "luspo": 1 / answers_of_update,
                    "vespo": 1 / tokens_of_update,
                }[c.loss.loss_type]
                parts["policy"] = parts["policy"] + weight * policy_L.sum()
                parts["entropy"] = parts["entropy"] + weight * entropy.sum()
                if reference is not None:
                    with torch.no_grad():
                        ref = plain_logprobs(
                            reference, g.prompt, answer.ids_L, policy.suppressed_ids, c.sampling.temperature
                        )[0]
                    d = ref - logprob
                    kl = {"k1": -d, "k2": d**2 / 2, "k3": d.exp() - d - 1}[c.loss.kl_type]
                    parts["kl"] = parts["kl"] + weight * kl.clamp(-c.loss.kl_clamp, c.loss.kl_clamp).sum()
    loss = parts["policy"] + c.loss.kl_coef * parts["kl"] - c.loss.entropy_coef * parts["entropy"]
    return loss, {name: float(torch.as_tensor(value).detach()) for name, value in parts.items()}


def token_losses(logprob, old, advantage, sampler, c):
    gap = logprob - old
    if c.loss_type in ("gspo", "luspo"):
        gap = gap.mean().expand_as(gap)
    ratio = gap.exp()
    if c.loss_type == "cispo":
        return -torch.where(ratio > 1 + c.clip_high, 1 + c.clip_high, ratio).detach() * advantage * logprob
    if c.loss_type == "sapo":
        t = c.sapo_temperature[0] if advantage > 0 else c.sapo_temperature[1]
        return -4 / t / (1 + (t - t * ratio).exp()) * advantage
    if c.loss_type == "vespo":
        sign = 0 if advantage >= 0 else 1
        k, rate, w = c.vespo_k[sign], c.vespo_lambda[sign], gap.sum().exp().detach()
        return -(w**k * (rate - rate * w).exp()) * advantage * logprob
    clipped = torch.where(
        ratio > 1 + c.clip_high, 1 + c.clip_high, torch.where(ratio < 1 - c.clip_low, 1 - c.clip_low, ratio)
    )
    gain = torch.minimum(ratio * advantage, clipped * advantage)
    if c.importance is not None:
        weight = {"token": old - sampler, "sequence": (old - sampler).sum()}[c.importance.split("_")[0]].exp()
        gain = gain * weight.clamp(max=c.importance_max)
    return -gain
