// Every operator's schema. Kernels: cpu/NAME.cpp here, other devices in Python (videostr/ops) or in cuda/NAME.cu.
#include "common/stable.h"

// What stands between the product hidden * weight and the softmax: bias [V], temperature [N].
#define HEAD " Tensor? bias, Tensor temperature, float? softcap, float logit_scale"

// reference.PolicyOptions, behind what the loss type makes of a token.
#define POLICY_OPTIONS                                                                                          \
  " str objective, float clip_low, float clip_high, float? ratio_cap, float[] sapo_temperature, float[] vespo_k," \
  " float[] vespo_lambda, float kl_coef, str kl_type, float? kl_clamp, bool kl_bias_correction,"                 \
  " float entropy_coef, str? importance, float importance_min, float importance_max"

namespace {

std::string build_info() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

}  // namespace

STABLE_TORCH_LIBRARY(videostr, m) {
  // Compiler that made this object.
  m.def("build_info() -> str");

  // logits [N, V]; target [N] int64, one outside [0, V) being none of these columns; bias [V] and everything [N] float32
  // (float64 for float64).
  m.def("logprob_rows(Tensor logits, Tensor target," HEAD ") -> (Tensor logprob, Tensor entropy, Tensor lse)");
  // Turns the logits into their gradient.
  m.def(
      "logprob_rows_backward_(Tensor(a!) logits, Tensor grad_logprob, Tensor grad_entropy, Tensor entropy, Tensor lse,"
      " Tensor target," HEAD ") -> ()");

  // hidden [N, D], weight [V, D] one dtype; the rest as above. logits: hidden times weight, N V in the order of the tiles,
  // [0] without keep_logits.
  m.def(
      "linear_logprob(Tensor hidden, Tensor weight, Tensor target," HEAD ", bool keep_logits)"
      " -> (Tensor logprob, Tensor entropy, Tensor lse, Tensor logits)");
  // need: gradients of hidden, weight, bias; one that is not needed comes back empty ([0]).
  m.def(
      "linear_logprob_backward(Tensor grad_logprob, Tensor grad_entropy, Tensor entropy, Tensor lse, Tensor logits,"
      " Tensor hidden, Tensor weight, Tensor target," HEAD ", bool[] need)"
      " -> (Tensor grad_hidden, Tensor grad_weight, Tensor grad_bias)");

  // reward [N, K], weights [K], task_reward [N] of one dtype, float32 or float64. Groups by one of: group [N] int64 in
  // [0, num_groups); offsets [num_groups + 1] int64. advantage [N]; the rest [num_groups], count int64, informative bool.
  m.def(
      "group_advantage(Tensor reward, Tensor? group, Tensor? offsets, Tensor? weights, Tensor? task_reward,"
      " SymInt num_groups, str scale, float eps, float min_std)"
      " -> (Tensor advantage, Tensor mean, Tensor std, Tensor min, Tensor max, Tensor count, Tensor informative)");

  // hidden [R, D], weight [V, D], target [R], bias [V] as in linear_logprob; everything else [R], one a token, in the wide
  // dtype. objective and what follows: as in policy_loss. need: gradients of hidden, weight, bias; one that is not needed
  // comes back empty ([0]).
  m.def(
      "linear_policy_loss(Tensor hidden, Tensor weight, Tensor target," HEAD ", Tensor? old_logprob,"
      " Tensor advantage, Tensor token_weight, Tensor? ref_logprob, Tensor? sampler_logprob, bool[] need,"
      POLICY_OPTIONS
      ") -> (Tensor loss, Tensor stats, Tensor grad_hidden, Tensor grad_weight, Tensor grad_bias)");

  // All of [N, L] but advantage and weight (of each of an answer's tokens in the loss) [N]; one floating dtype, mask bool.
  // stats: the order of reference.STATS.
  // The gradients of loss are made in the same pass; grad_entropy is empty ([0, 0]) without entropy.
  m.def(
      "policy_loss(Tensor logprob, Tensor old_logprob, Tensor advantage, Tensor mask, Tensor weight,"
      " Tensor? ref_logprob, Tensor? entropy, Tensor? sampler_logprob," POLICY_OPTIONS
      ") -> (Tensor loss, Tensor stats, Tensor grad_logprob, Tensor grad_entropy)");

  // Frames of one size and format (common/frame_format.h) as planes, uint8, rows strided; colour: common/colour.h. Writes frames
  // first_frame, ... of out [steps * height/patch * width/patch, 3 * temporal * patch^2], contiguous: table [3, 256] of out's
  // dtype looked up, or the bytes without one (uint8). instructions: "auto"; the rest is for tests.
  m.def(
      "frames_to_patches_(Tensor(a!) out, Tensor[] planes, Tensor? table, str format, int[] colour, int height, int width,"
      " int patch, int merge, int temporal, int first_frame, str instructions) -> ()");

  // Intervals [..., 2], one dtype, float32 or float64.
  m.def("temporal_iou(Tensor pred, Tensor target, str kind) -> Tensor");
  m.def("temporal_iou_pairwise(Tensor pred, Tensor target, str kind) -> Tensor");
  m.def("temporal_iou_sets(Tensor pred, Tensor pred_offsets, Tensor target, Tensor target_offsets) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(videostr, CompositeExplicitAutograd, m) {
  m.impl("build_info", TORCH_BOX(&build_info));
}
