// Overlap of two intervals [start, end]; the CPU's and the GPU's arithmetic, in double.
#pragma once

#include "common/device.h"

namespace videostr {

enum class Kind { iou, giou, diou, hull, iop, time_r1 };

VIDEOSTR_HD double smaller(double a, double b) { return a < b ? a : b; }
VIDEOSTR_HD double larger(double a, double b) { return a > b ? a : b; }

struct Span {
  double start, end;
  // Not reversed, and far enough from what a double holds that no difference or sum of a few overflows. NaN is neither.
  VIDEOSTR_HD bool valid() const { return (larger(-start, end) < 1e300) & (end >= start); }
};

// An interval that is not finite (1e300 and beyond are not) or is reversed, or two that span nothing, score the worst value; never NaN.
// duration: of the video, for time_r1; one that is not finite or not above 0 scores 0.
// Without branches, so that a loop over it becomes vector code: what is not chosen may be NaN.
template <Kind kind>
VIDEOSTR_HD double score(Span p, Span t, double duration = 1.0) {
  constexpr double worst = kind == Kind::giou || kind == Kind::diou ? -1.0 : 0.0;
  const double hull = larger(p.end, t.end) - smaller(p.start, t.start);
  const bool valid = p.valid() & t.valid() & (hull > 0.0);
  const double inter = larger(smaller(p.end, t.end) - larger(p.start, t.start), 0.0);
  const double both = (p.end - p.start) + (t.end - t.start) - inter;
  const double iou = both > 0.0 ? inter / both : 0.0;  // two points: nothing to share
  if constexpr (kind == Kind::iou) return valid ? iou : worst;
  if constexpr (kind == Kind::hull) return valid ? inter / hull : worst;
  if constexpr (kind == Kind::giou) return valid ? iou - (hull - both) / hull : worst;
  if constexpr (kind == Kind::diou) {
    const double gap = 0.5 * (p.start - t.start + p.end - t.end) / hull;
    return valid ? iou - gap * gap : worst;
  }
  if constexpr (kind == Kind::iop) return valid & (p.end > p.start) ? inter / (p.end - p.start) : worst;
  if constexpr (kind == Kind::time_r1) {
    const double start_gap = larger(p.start, t.start) - smaller(p.start, t.start);
    const double end_gap = larger(p.end, t.end) - smaller(p.end, t.end);
    const double ends = larger(1.0 - start_gap / duration, 0.0) * larger(1.0 - end_gap / duration, 0.0);
    return valid & (duration > 0.0) & (duration - duration == 0.0) ? iou * ends : worst;
  }
}

}  // namespace videostr
