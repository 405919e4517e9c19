// What the parsers of many texts share: a packed batch, ASCII characters, plain decimals.
#pragma once

#include <string>
#include <string_view>

#include "common/stable.h"

namespace videostr {

inline bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
inline bool is_letter(unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Digits, at most nine before the point and nine behind it, taken from the front. Exact: below 2^53, and one division.
inline bool take_decimal(std::string_view& text, double& value) {
  int64_t digits = 0, scale = 1;
  size_t at = 0;
  while (at < text.size() && at < 9 && is_digit(text[at])) digits = 10 * digits + (text[at++] - '0');
  if (at == 0) return false;
  if (at < text.size() && text[at] == '.') {
    const size_t point = at++;
    for (; at < text.size() && at - point <= 9 && is_digit(text[at]); ++at, scale *= 10)
      digits = 10 * digits + (text[at] - '0');
    if (scale == 1) return false;
  }
  if (digits >= int64_t{1} << 53) return false;
  text.remove_prefix(at);
  value = static_cast<double>(digits) / static_cast<double>(scale);
  return true;
}

// N texts, one behind the other: text [C] uint8, offsets [N + 1] int64 from 0 to C that do not fall.
class Texts {
 public:
  Texts(const char* name, const Tensor& text, const Tensor& offsets)
      : text_(torch::stable::contiguous(text)), offsets_(torch::stable::contiguous(offsets)) {
    const std::string caller = name;
    const int64_t size = text_.numel();
    STD_TORCH_CHECK(rows() >= 0, caller, ": offsets must have at least one entry");
    bounds_ = offsets_.const_data_ptr<int64_t>();
    STD_TORCH_CHECK(bounds_[0] == 0 && bounds_[rows()] == size, caller, ": offsets must run from 0 to ", size);
    for (int64_t i = 0; i < rows(); ++i)
      STD_TORCH_CHECK(bounds_[i] <= bounds_[i + 1], caller, ": offsets must not fall");
    begin_ = reinterpret_cast<const char*>(text_.const_data_ptr<uint8_t>());
  }

  int64_t rows() const { return offsets_.numel() - 1; }
  int64_t grain() const { return videostr::grain(rows() > 0 ? text_.numel() / rows() : 1); }
  const Tensor& offsets() const { return offsets_; }
  const char* begin() const { return begin_; }
  std::string_view operator[](int64_t i) const { return {begin_ + bounds_[i], static_cast<size_t>(bounds_[i + 1] - bounds_[i])}; }

 private:
  Tensor text_, offsets_;
  const int64_t* bounds_ = nullptr;
  const char* begin_ = nullptr;
};

}  // namespace videostr
