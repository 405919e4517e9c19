// The name of an overlap and the dtype of its intervals, as compile-time constants.
#pragma once

#include "common/interval.h"
#include "common/stable.h"

namespace videostr {

inline Kind parse_kind(const std::string& kind) {
  if (kind == "iou") return Kind::iou;
  if (kind == "giou") return Kind::giou;
  if (kind == "diou") return Kind::diou;
  STD_TORCH_CHECK(kind == "hull", "temporal_iou: kind must be one of iou, giou, diou, hull, got ", kind);
  return Kind::hull;
}

// f(a value of the dtype, std::integral_constant of the kind)
template <typename F>
void dispatch(const Tensor& x, Kind kind, F&& f) {
  auto with_kind = [&](auto zero) {
    switch (kind) {
      case Kind::iou: return f(zero, std::integral_constant<Kind, Kind::iou>{});
      case Kind::giou: return f(zero, std::integral_constant<Kind, Kind::giou>{});
      case Kind::diou: return f(zero, std::integral_constant<Kind, Kind::diou>{});
      case Kind::hull: return f(zero, std::integral_constant<Kind, Kind::hull>{});
    }
  };
  x.scalar_type() == ScalarType::Double ? with_kind(double{}) : with_kind(float{});
}

}  // namespace videostr
