"""The plain way: one transformers forward an answer, eager attention, own log_softmax: grouped training's truth."""

import copy

import torch

from videostr.model import Policy, Prompt


def plain_model(policy: Policy):
    """A copy of the policy's model that runs transformers' eager attention in every layer."""
    model = copy.deepcopy(policy.model)
    (model if hasattr(model, "lm_head") else model.get_base_model()).set_attn_implementation("eager")
    return model


def positions(model, prompt: Prompt, length: int) -> torch.Tensor:
    """(3, 1, P + length) by the published rule, a run starts at the largest position so far plus one."""
    vision = model.config.vision_config
    grids = {1: prompt.image_grid_thw, 2: prompt.video_grid_thw}
    grids = {kind: [] if grid is None else grid.tolist() for kind, grid in grids.items()}
    seconds = [] if prompt.second_per_grid_ts is None else prompt.second_per_grid_ts.tolist()
    if model.config.model_type == "qwen3_vl":
        grids[2] = [[1, h, w] for t, h, w in grids[2] for _ in range(t)]
    kinds = prompt.mm_token_type_ids_P.tolist() + [0] * length
    rows, at = [], 0
    while at < len(kinds):
        start = max(map(max, rows)) + 1 if rows else 0
        if kinds[at] == 0:
            rows.append([start] * 3)
            at += 1
            continue
        t, h, w = grids[kinds[at]].pop(0)
        step = vision.tokens_per_second * seconds.pop(0) if kinds[at] == 2 and seconds else 1
        h, w = h // vision.spatial_merge_size, w // vision.spatial_merge_size
        rows += [[start + int(i * step), start + j, start + k] for i in range(t) for j in range(h) for k in range(w)]
        at += t * h * w
    return torch.tensor(rows).T[:, None]


def plain_logprobs(
    model, prompt: Prompt, answer: torch.Tensor, suppressed, temperature: float = 1.0, own_positions: bool = False
):
    """(logprob_L, entropy_L) of one answer; own_positions: leave the positions to transformers."""
    if not len(answer):
        return torch.zeros(0), torch.zeros(0)
    inputs = prompt.model_inputs()
    inputs["input_ids"] = torch.cat([prompt.input_ids_P, answer])[None]
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["mm_token_type_ids"] = torch.cat([prompt.mm_token_type_ids_P, torch.zeros_like(answer)])[None]
    if not own_positions:
        base = model if hasattr(model, "lm_head") else model.get_base_model()
        inputs["position_ids"] = positions(base, prompt, len(answer))
    logits_LV = model(**inputs, use_cache=False).logits[0, len(prompt) - 1 : -1]
    allowed = torch.ones(logits_LV.shape[-1], dtype=torch.bool)
    allowed[list(suppressed)] = False
    logprob_LV = (logits_LV[:, allowed] / temperature).log_softmax(-1)
    column = allowed.cumsum(0) - 1
    entropy_L = -(logprob_LV.exp() * logprob_LV).sum(-1)
    return logprob_LV.gather(-1, column[answer][:, None])[:, 0], entropy_L
