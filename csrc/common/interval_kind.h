// The name of an overlap and the dtype of its intervals, as compile-time constants.
#pragma once

#include "common/dtype.h"
#include "common/interval.h"
#include "common/stable.h"

namespace videostr {

inline Kind parse_kind(const std::string& kind) {
  if (kind == "iou") return Kind::iou;
  if (kind == "giou") return Kind::giou;
  if (kind == "diou") return Kind::diou;
  if (kind == "hull") return Kind::hull;
  if (kind == "iop") return Kind::iop;
  STD_TORCH_CHECK(kind == "time_r1", "temporal_iou: kind must be one of iou, giou, diou, hull, iop, time_r1, got ",
                  kind);
  return Kind::time_r1;
}

// time_r1's durations, one a prediction; pred itself where the kind has no use for any.
inline Tensor contiguous_duration(const std::optional<Tensor>& duration, Kind kind, const Tensor& pred) {
  if (kind != Kind::time_r1) return pred;
  STD_TORCH_CHECK(duration.has_value() && 2 * duration->numel() == pred.numel(),
                  "temporal_iou: kind time_r1 needs one duration a prediction");
  return torch::stable::contiguous(*duration);
}

// f(a value of the dtype, std::integral_constant of the kind)
template <typename F>
void dispatch(const Tensor& x, Kind kind, F&& f) {
  dispatch(x, [&](auto zero) {
    switch (kind) {
      case Kind::iou: return f(zero, std::integral_constant<Kind, Kind::iou>{});
      case Kind::giou: return f(zero, std::integral_constant<Kind, Kind::giou>{});
      case Kind::diou: return f(zero, std::integral_constant<Kind, Kind::diou>{});
      case Kind::hull: return f(zero, std::integral_constant<Kind, Kind::hull>{});
      case Kind::iop: return f(zero, std::integral_constant<Kind, Kind::iop>{});
      case Kind::time_r1: return f(zero, std::integral_constant<Kind, Kind::time_r1>{});
    }
  });
}

}  // namespace videostr
