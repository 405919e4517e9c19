// Overlap of two intervals [start, end]; the CPU's and the GPU's arithmetic, in double.
#pragma once

#include "common/device.h"

namespace videostr {

enum class Kind { iou, giou, diou, hull };

struct Span {
  double start, end;
  // Finite and not reversed; x - x is NaN for every x that is not finite.
  VIDEOSTR_HD bool valid() const { return start - start == 0.0 && end - end == 0.0 && end >= start; }
};

// An interval that is not finite or is reversed, or two that span nothing, score the worst value; never NaN.
template <Kind kind>
VIDEOSTR_HD double score(Span p, Span t) {
  constexpr double worst = kind == Kind::giou || kind == Kind::diou ? -1.0 : 0.0;
  const double hull = (p.end > t.end ? p.end : t.end) - (p.start < t.start ? p.start : t.start);
  if (!p.valid() || !t.valid() || !(hull > 0)) return worst;
  const double shared = (p.end < t.end ? p.end : t.end) - (p.start > t.start ? p.start : t.start);
  const double inter = shared > 0.0 ? shared : 0.0;
  if (kind == Kind::hull) return inter / hull;
  const double both = (p.end - p.start) + (t.end - t.start) - inter;
  const double iou = both > 0 ? inter / both : 0.0;  // two points: nothing to share
  if (kind == Kind::giou) return iou - (hull - both) / hull;
  if (kind == Kind::diou) {
    const double gap = 0.5 * (p.start - t.start + p.end - t.end) / hull;
    return iou - gap * gap;
  }
  return iou;
}

}  // namespace videostr
