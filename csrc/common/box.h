// Overlap of two boxes x0, y0, x1, y1; the CPU's and the GPU's arithmetic, in double.
#pragma once

#include "common/interval.h"

namespace videostr {

struct Box {
  double x0, y0, x1, y1;
  // Finite and not reversed.
  VIDEOSTR_HD bool valid() const { return Span{x0, x1}.valid() & Span{y0, y1}.valid(); }
  VIDEOSTR_HD double area() const { return (x1 - x0) * (y1 - y0); }
};

// A box that is not finite or is reversed, or two that span no area, score the worst value (0; -1 for giou), as does
// an area beyond double's range; never NaN. Without branches, as interval.h.
template <bool giou>
VIDEOSTR_HD double box_score(Box p, Box t) {
  constexpr double worst = giou ? -1.0 : 0.0;
  const double hull = (larger(p.x1, t.x1) - smaller(p.x0, t.x0)) * (larger(p.y1, t.y1) - smaller(p.y0, t.y0));
  const bool valid = p.valid() & t.valid() & (hull > 0.0) & (hull - hull == 0.0);
  const double width = larger(smaller(p.x1, t.x1) - larger(p.x0, t.x0), 0.0);
  const double inter = width * larger(smaller(p.y1, t.y1) - larger(p.y0, t.y0), 0.0);
  const double both = p.area() + t.area() - inter;
  const double iou = both > 0.0 ? inter / both : 0.0;
  if constexpr (giou) return valid ? iou - (hull - both) / hull : worst;
  return valid ? iou : worst;
}

}  // namespace videostr
