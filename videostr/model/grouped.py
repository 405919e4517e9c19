"""Log-probs and entropies of whole groups of answers, the prompt of each group run once."""

from typing import Any

import torch
from torch import Tensor, nn

from videostr import ops
from videostr.model.load import Policy, base_model
from videostr.model.packing import PackedGroups
from videostr.model.prefix_attention import PrefixAttention


class GroupedPolicy(nn.Module):
    """The policy as a function of packed groups; wrap it in DDP or FSDP like any module.

    Shares the policy's model, it does not copy it. Ids in `policy.suppressed_ids` have probability 0, as in sampling.
    """

    def __init__(self, policy: Policy):
        super().__init__()
        self.model = policy.model
        self._no_split_modules = policy.base._no_split_modules  # FSDP's units, by accelerate's convention
        bias_V = torch.zeros(policy.vocab_size, dtype=torch.float32, device=policy.device)
        bias_V[list(policy.suppressed_ids)] = float("-inf")
        self.register_buffer("bias_V", bias_V, persistent=False)

    def forward(
        self,
        packed: PackedGroups,
        temperature: float = 1.0,
        entropy: bool = True,
        loss: dict[str, Any] | None = None,
    ) -> tuple[Tensor, Any]:
        """(logprob_NL, entropy_NL), float32, 0 where `packed.mask_NL` is False; entropy None when not asked for.

        The log-probs are those of `log_softmax(logits / temperature)` over the ids that are not suppressed; the entropy
        is that distribution's, in nats. `packed` must be on the model's device.

        loss: further arguments of `ops.linear_policy_loss`, from `advantage_N` on; then its (loss, stats) are returned
        instead. (A part of the forward, because wrappers such as DDP and FSDP allow nothing else to use the head.)
        """
        base = base_model(self.model)
        hidden_TD = base.model(**packed.model_inputs(), use_cache=False, attend=PrefixAttention(packed.layout))[0][0]
        hidden_RD = hidden_TD.index_select(0, packed.predictor_R)
        head = (hidden_RD, base.lm_head.weight, packed.target_R)
        if loss is not None:
            return ops.linear_policy_loss(
                *head, mask_NL=packed.mask_NL, bias=self.bias_V, temperature=temperature, **loss
            )
        logprob_R, entropy_R = ops.linear_logprob(*head, bias=self.bias_V, temperature=temperature)
        return self._unpack(logprob_R, packed), self._unpack(entropy_R, packed) if entropy else None

    @staticmethod
    def _unpack(values_R: Tensor, packed: PackedGroups) -> Tensor:
        result_NL = values_R.new_zeros(packed.mask_NL.shape, dtype=torch.float32)
        return result_NL.masked_scatter(packed.mask_NL, values_R.float())
