// How the segments of an answer meet the true ones, and what a pair is worth.
#pragma once

#include "common/interval.h"

namespace videostr {

enum class Pairing { written, ordered };

// (1 + GIoU) / 2, in [0, 1]; 0 with a segment that is no interval.
VIDEOSTR_HD double pair_score(Span p, Span t) { return 0.5 + 0.5 * score<Kind::giou>(p, t); }

}  // namespace videostr
