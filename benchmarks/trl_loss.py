"""TRL's GRPO loss on given log-probs, by its own code: GRPOTrainer._compute_loss of a trainer that is only settings."""

from collections import defaultdict
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from torch import Tensor


class TrlLoss:
    """The loss of a TRL trainer with these settings (names and defaults: `trl.GRPOConfig`)."""

    def __init__(self, loss_type: str, importance_sampling_level: str = "token", beta: float = 0.0, **settings):
        from trl.trainer.grpo_trainer import GRPOTrainer  # 10 s, which only who calls TRL should pay

        self._compute = GRPOTrainer._compute_loss
        accelerator = Accelerator(cpu=not torch.cuda.is_available())
        arguments = {
            "delta": None,
            "use_bias_correction_kl": False,
            "sapo_temperature_pos": 1.0,
            "sapo_temperature_neg": 1.05,
            "vespo_k_pos": 2.0,
            "vespo_lambda_pos": 3.0,
            "vespo_k_neg": 3.0,
            "vespo_lambda_neg": 2.0,
            "steps_per_generation": 1,
        }
        entropy_coef = settings.pop("entropy_coef", 0.0)
        self.trainer = SimpleNamespace(
            loss_type=loss_type,
            importance_sampling_level=importance_sampling_level,
            beta=beta,
            epsilon_low=settings.pop("epsilon", 0.2),
            epsilon_high=settings.pop("epsilon_high", 0.2),
            max_completion_length=settings.pop("max_completion_length", 256),
            args=SimpleNamespace(**arguments | {k: v for k, v in settings.items() if k in arguments}),
            model=SimpleNamespace(training=True),
            accelerator=accelerator,
            entropy_coef=entropy_coef,
            _entropy_bonus_enabled=entropy_coef != 0,
            use_adaptive_entropy=False,
            aux_loss_enabled=False,
            top_entropy_quantile=1.0,
            off_policy_mask_threshold=None,
            current_gradient_accumulation_steps=1,
            use_vllm=False,
            vllm_importance_sampling_correction=False,
            get_gamma_weights=GRPOTrainer.get_gamma_weights,
        )
        if unknown := settings.keys() - arguments:
            raise TypeError(f"not a setting of TRL's loss: {', '.join(unknown)}")

    def __call__(
        self,
        logprob_NL: Tensor,
        old_logprob_NL: Tensor,
        advantage_N: Tensor,
        mask_NL: Tensor,
        ref_logprob: Tensor | None = None,
        entropy: Tensor | None = None,
        importance: Tensor | None = None,
        items: float | None = None,
    ) -> tuple[Tensor, dict[str, float]]:
        """(loss, what TRL logs). importance: (N, L) or (N, 1) weights; items: tokens of the whole batch."""
        trainer = self.trainer
        trainer._metrics = {"train": defaultdict(list)}
        trainer._get_per_token_logps_and_entropies = lambda *_, **__: (logprob_NL, entropy, None)
        trainer.use_vllm = trainer.vllm_importance_sampling_correction = importance is not None
        nothing = mask_NL.new_zeros(len(mask_NL), 0, dtype=torch.long)
        mask = mask_NL.to(logprob_NL.dtype)
        inputs = {
            "prompt_ids": nothing,
            "prompt_mask": nothing,
            "completion_ids": mask_NL.long(),
            "completion_mask": mask,
            "advantages": advantage_N,
            "old_per_token_logps": old_logprob_NL,
            "ref_per_token_logps": ref_logprob,
            "num_items_in_batch": mask.sum() if items is None else mask.new_tensor(items),
        }
        if importance is not None:
            inputs["importance_sampling_ratio"] = importance
        loss = self._compute(trainer, trainer.model, inputs)
        return loss, {name: values[-1] for name, values in trainer._metrics["train"].items()}
