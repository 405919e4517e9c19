// Overlap of two upright boxes with a heading; the CPU's and the GPU's arithmetic, in double.
//
// Seen from above a box is a rectangle. The other one, in the first one's own axes, is cut along the first one's four
// sides (Sutherland and Hodgman's clipping), which needs no test of parallel lines: a corner lies on a side or it does not.
#pragma once

#if !defined(__CUDA_ARCH__)
#include <cmath>
#endif

#include "common/interval.h"

namespace videostr {

constexpr int kPolygon = 8;  // corners of a rectangle that was cut four times

// Centre x, y, z; length along the heading, width across it, height; yaw from x towards y, in radians.
struct Box3d {
  double x, y, z, length, width, height, cos, sin;

  VIDEOSTR_HD bool valid() const {
    const double sum = x + y + z + length + width + height + cos + sin;  // NaN or infinite where one of them is
    return (sum - sum == 0.0) & (length >= 0.0) & (width >= 0.0) & (height >= 0.0);
  }
  VIDEOSTR_HD double ground() const { return length * width; }
};

template <typename T>
VIDEOSTR_HD Box3d read_box3d(const T* v) {
  Box3d box{static_cast<double>(v[0]), static_cast<double>(v[1]), static_cast<double>(v[2]), static_cast<double>(v[3]),
            static_cast<double>(v[4]), static_cast<double>(v[5]), 0.0,                       0.0};
  const double yaw = static_cast<double>(v[6]);
#if defined(__CUDA_ARCH__)
  sincospi(yaw * 0.31830988618379067154, &box.sin, &box.cos);  // sincos has a path through local memory
#else
  box.sin = std::sin(yaw);
  box.cos = std::cos(yaw);
#endif
  return box;
}

// Cuts a polygon at sign * (its coordinate on `axis`) <= half. Polygon: double& at(corner, axis).
template <typename Polygon>
VIDEOSTR_HD int cut(const Polygon& from, int corners, Polygon& to, int axis, double sign, double half) {
  int count = 0;
  for (int i = 0; i < corners; ++i) {
    const int next = i + 1 < corners ? i + 1 : 0;
    const double room = half - sign * from.at(i, axis), room_next = half - sign * from.at(next, axis);
    // rounding may send a sliver across a side more than twice; its area is nothing
    if (room >= 0.0 && count < kPolygon) {
      to.at(count, 0) = from.at(i, 0);
      to.at(count, 1) = from.at(i, 1);
      ++count;
    }
    if (((room > 0.0 && room_next < 0.0) || (room < 0.0 && room_next > 0.0)) && count < kPolygon) {
      const double part = room / (room - room_next);
      to.at(count, 1 - axis) = from.at(i, 1 - axis) + part * (from.at(next, 1 - axis) - from.at(i, 1 - axis));
      to.at(count, axis) = sign * half;
      ++count;
    }
  }
  return count;
}

// Area that two rectangles share on the ground. one, two: room for kPolygon corners each.
template <typename Polygon>
VIDEOSTR_HD double shared_ground(const Box3d& a, const Box3d& b, Polygon& one, Polygon& two) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double x = a.cos * dx + a.sin * dy, y = a.cos * dy - a.sin * dx;
  const double cos = a.cos * b.cos + a.sin * b.sin, sin = a.cos * b.sin - a.sin * b.cos;
  const double along_x = 0.5 * b.length * cos, along_y = 0.5 * b.length * sin;
  const double across_x = -0.5 * b.width * sin, across_y = 0.5 * b.width * cos;
  one.at(0, 0) = x + along_x + across_x, one.at(0, 1) = y + along_y + across_y;
  one.at(1, 0) = x - along_x + across_x, one.at(1, 1) = y - along_y + across_y;
  one.at(2, 0) = x - along_x - across_x, one.at(2, 1) = y - along_y - across_y;
  one.at(3, 0) = x + along_x - across_x, one.at(3, 1) = y + along_y - across_y;
  int corners = cut(one, 4, two, 0, 1.0, 0.5 * a.length);
  corners = cut(two, corners, one, 0, -1.0, 0.5 * a.length);
  corners = cut(one, corners, two, 1, 1.0, 0.5 * a.width);
  corners = cut(two, corners, one, 1, -1.0, 0.5 * a.width);
  double twice = 0.0;
  for (int i = 1; i + 1 < corners; ++i) {  // triangles from corner 0: far from the origin nothing cancels
    twice += (one.at(i, 0) - one.at(0, 0)) * (one.at(i + 1, 1) - one.at(0, 1)) -
             (one.at(i + 1, 0) - one.at(0, 0)) * (one.at(i, 1) - one.at(0, 1));
  }
  return smaller(larger(0.5 * twice, 0.0), smaller(a.ground(), b.ground()));
}

// A box that is not finite or has a negative size, or two without volume (area), score 0; never NaN.
template <bool bev, typename Polygon>
VIDEOSTR_HD double box3d_score(const Box3d& p, const Box3d& t, Polygon& one, Polygon& two) {
  if (!p.valid() || !t.valid()) return 0.0;
  const double reach = 0.5 * (p.length + p.width + t.length + t.width);  // at least both half diagonals
  const double dx = p.x - t.x, dy = p.y - t.y;
  const double top = smaller(p.z + 0.5 * p.height, t.z + 0.5 * t.height);
  const double rise = bev ? 1.0 : top - larger(p.z - 0.5 * p.height, t.z - 0.5 * t.height);
  if (!(rise > 0.0) || dx * dx + dy * dy > reach * reach) return 0.0;
  const double inter = shared_ground(p, t, one, two) * rise;
  const double both = p.ground() * (bev ? 1.0 : p.height) + t.ground() * (bev ? 1.0 : t.height) - inter;
  const double iou = both > 0.0 ? inter / both : 0.0;
  return iou - iou == 0.0 ? iou : 0.0;  // a volume beyond double's range
}

}  // namespace videostr
