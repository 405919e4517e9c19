// Conversions that the hardware does in one instruction.
#include <algorithm>
#include <climits>
#include <cmath>

#include "cuda_sim/half.h"
#include "cuda_sim/maths.h"

namespace cuda_sim {

// A float16 format's subnormals are its smallest normals' neighbours on the same grid, and rounding up past the largest
// mantissa reaches the next exponent: so one sum gives the bits of all of them.
uint16_t narrow(double value, int exponent, int mantissa) {
  if (std::isnan(value)) return 0x7fff;
  const int smallest = 2 - (1 << (exponent - 1));
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const uint16_t infinity = static_cast<uint16_t>(((1 << exponent) - 1) << mantissa);
  value = std::fabs(value);
  if (std::isinf(value)) return sign | infinity;
  const int e = value == 0 ? smallest : std::max(std::ilogb(value), smallest);
  const double grid = std::nearbyint(std::ldexp(value, mantissa - e));
  const double bits = std::ldexp(e - smallest, mantissa) + grid;
  return sign | (bits >= infinity ? infinity : static_cast<uint16_t>(bits));
}

double widen(uint16_t bits, int exponent, int mantissa) {
  const int smallest = 2 - (1 << (exponent - 1));
  const int e = bits >> mantissa & ((1 << exponent) - 1);
  const int fraction = bits & ((1 << mantissa) - 1);
  double value;
  if (e == (1 << exponent) - 1) {
    value = fraction ? NAN : INFINITY;
  } else {
    value = std::ldexp(e ? fraction | 1 << mantissa : fraction, (e ? e - 1 : 0) + smallest - mantissa);
  }
  return bits & 0x8000 ? -value : value;
}

int to_int(double x) {
  if (std::isnan(x)) return 0;
  return x >= INT_MAX ? INT_MAX : x <= INT_MIN ? INT_MIN : static_cast<int>(x);
}
unsigned to_uint(double x) {
  if (std::isnan(x) || x <= 0) return 0;
  return x >= UINT_MAX ? UINT_MAX : static_cast<unsigned>(x);
}

}  // namespace cuda_sim
