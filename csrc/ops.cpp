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

  // text [C] uint8, offsets [N + 1] int64; span [N, 2] float64, code [N] int64. CPU only.
  m.def("parse_interval(Tensor text, Tensor offsets, bool think) -> (Tensor span, Tensor code)");

  // Of F frames with K nodes of U different names: code [N], frame_offsets [N + 1], time [F] float64, node_offsets [F + 1],
  // name [K], position [K, 3] float64, spelling [U, 2], bounds in text. CPU only.
  m.def(
      "parse_graph(Tensor text, Tensor offsets) -> (Tensor code, Tensor frame_offsets, Tensor time, Tensor node_offsets,"
      " Tensor name, Tensor position, Tensor spelling)");

  // Intervals [..., 2], one dtype, float32 or float64. duration, of kind time_r1 alone: [...], and [N] for N x M pairs.
  m.def("temporal_iou(Tensor pred, Tensor target, str kind, Tensor? duration=None) -> Tensor");
  m.def("temporal_iou_pairwise(Tensor pred, Tensor target, str kind, Tensor? duration=None) -> Tensor");

  // Ragged: problem b owns the rows offsets[b] up to offsets[b + 1]; offsets [B + 1] int64, frames and videos int64.
  m.def(
      "temporal_set_scores(Tensor pred, Tensor pred_offsets, Tensor target, Tensor target_offsets, str pairing)"
      " -> (Tensor iou, Tensor precision, Tensor recall, Tensor f1, Tensor matching)");
  m.def("temporal_nms(Tensor span, Tensor score, Tensor offsets, float threshold) -> Tensor");
  m.def(
      "temporal_average_precision(Tensor pred, Tensor score, Tensor pred_offsets, Tensor target, Tensor target_offsets,"
      " float[] thresholds, Tensor? pred_video, Tensor? target_video) -> Tensor");

  // Boxes of one dtype, float32 or float64: [..., 4] x0, y0, x1, y1; [..., 7] x, y, z, length, width, height, yaw.
  m.def("box_iou(Tensor pred, Tensor target, str kind) -> Tensor");
  m.def("box_iou_pairwise(Tensor pred, Tensor target, str kind) -> Tensor");
  m.def("box3d_iou(Tensor pred, Tensor target, str kind) -> Tensor");
  m.def("box3d_iou_pairwise(Tensor pred, Tensor target, str kind) -> Tensor");
  m.def(
      "tube_iou(Tensor pred, Tensor pred_frame, Tensor pred_offsets, Tensor target, Tensor target_frame,"
      " Tensor target_offsets, str over) -> Tensor");

  // cost [B, R, C], of which problem b is rows[b] x columns[b] (int64 [B]; all without), float32 or float64.
  // total [B]; column [B, R] and row [B, C] int64, -1: unmatched.
  m.def(
      "assignment(Tensor cost, Tensor? rows, Tensor? columns, bool maximize)"
      " -> (Tensor total, Tensor column, Tensor row)");
  // cost [K], the problems' matrices one after another; offsets int64 [B + 1] up to K, num_rows, num_columns.
  m.def(
      "assignment_ragged(Tensor cost, Tensor cost_offsets, Tensor row_offsets, Tensor column_offsets, SymInt num_rows,"
      " SymInt num_columns, bool maximize) -> (Tensor total, Tensor column, Tensor row)");

  // Nodes: class and object int64 [M], position [M, D] float32 or float64, offsets of the frames int64 [F + 1]; of pred,
  // then of truth. frame_offsets int64 [B + 1]; scales float64 [B]. score [B, 6], match int64 [M], frames int64 [B, 6]: the
  // order of reference.PARTS.
  m.def(
      "relation_graph(Tensor pred_class, Tensor pred_position, Tensor? pred_object, Tensor? pred_box, Tensor pred_offsets,"
      " Tensor true_class, Tensor true_position, Tensor? true_object, Tensor? true_box, Tensor true_offsets,"
      " Tensor frame_offsets,"
      " Tensor? scale, Tensor? displacement_scale, str angle, str matching, bool count_extra, bool scale_invariant,"
      " str edge_matching)"
      " -> (Tensor score, Tensor match, Tensor frames)");

  // Frames of one format (common/frame_format.h) as planes, rows strided, the videos' one after another. videos: frames, height,
  // width, first row of out and place of the first frame, of each; colours: common/colour.h, six of each. Writes rows of out [R, 3 *
  // temporal * patch^2], contiguous: table [3, 256] of out's dtype looked up, or the bytes without one (uint8). resize: u8 or f32
  // (common/resize_*.h). parallel: by several threads. instructions: "auto"; the rest is for tests.
  m.def(
      "frames_to_patches_(Tensor(a!) out, Tensor[] planes, Tensor? table, str format, str resize, int[] colours,"
      " int[] videos, int patch, int merge, int temporal, bool parallel, str instructions) -> ()");
  // Bytes [R, C] in patch order, of three channels each C / 3 columns, looked up in table [3, 256] -> its dtype.
  m.def("normalise_patches(Tensor patches, Tensor table) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(videostr, CompositeExplicitAutograd, m) {
  m.impl("build_info", TORCH_BOX(&build_info));
}
