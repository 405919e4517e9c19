// Answers with an interval in time, many texts at once: what videostr.rewards.parse.interval reads, for texts written as
// asked. Anything else is left to it (code kAsk), so that there is one place that decides what a text means.
#include <limits>
#include <string_view>

#include "common/stable.h"
#include "cpu/text.h"

namespace videostr {
namespace {

// The order of videostr.ops.parse_interval.CODES; kAsk is none of them.
enum Code : int64_t {
  kAsk = -1, kOk, kNoTag, kUnclosedTag, kUnclosedThink, kReversed, kZeroLength, kNoThink, kEmptyThink, kUnexpectedThink
};

constexpr std::string_view kThink = "<think>", kEndThink = "</think>", kTime = "<time>", kEndTime = "</time>";
constexpr size_t kNone = std::string_view::npos;

bool is_space(unsigned char c) { return c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f); }

// Length of a tag (</?[A-Za-z][A-Za-z0-9_]{0,15} ?/?>) at the start of text, else 0.
size_t tag_length(std::string_view text) {
  size_t at = 1;
  if (at < text.size() && text[at] == '/') ++at;
  if (at >= text.size() || !is_letter(text[at])) return 0;
  size_t letters = 0;
  for (; at < text.size() && (is_letter(text[at]) || is_digit(text[at]) || text[at] == '_'); ++at) ++letters;
  if (at < text.size() && text[at] == ' ') ++at;
  if (at < text.size() && text[at] == '/') ++at;
  return letters <= 16 && at < text.size() && text[at] == '>' ? at + 1 : 0;
}

// Whether there is a letter or a digit outside any tag. kAsk: only bytes beyond ASCII, which may be letters.
Code said(std::string_view text) {
  bool foreign = false;
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = text[i];
    if (c == '<') {
      const size_t length = tag_length(text.substr(i));
      i += length > 0 ? length : 1;
      continue;
    }
    if (is_digit(c) || is_letter(c)) return kOk;
    foreign |= c >= 0x80;
    ++i;
  }
  return foreign ? kAsk : kEmptyThink;
}

struct Answer {
  std::string_view content;  // of the last closed <time> outside the thinking
  Code missing = kNoTag;     // why there is none
  bool has_think = false;
  Code thinking = kNoThink;
};

Answer find_answer(std::string_view text) {
  Answer answer;
  size_t visible = 0;
  while (visible < text.size() && is_space(text[visible])) ++visible;
  if (visible < text.size() && static_cast<unsigned char>(text[visible]) >= 0x80) {  // white space beyond ASCII, perhaps
    answer.missing = kAsk;
    return answer;
  }
  bool begins_answer = false, found = false;
  size_t think = kNone, opened = kNone;
  for (size_t at = 0; (at = text.find('<', at)) != kNone; ++at) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with(kThink)) {
      answer.has_think = true;
      if (think == kNone) {
        think = at + kThink.size();
        opened = kNone;
        begins_answer = at == visible;
      }
    } else if (rest.starts_with(kEndThink)) {
      answer.has_think = true;
      if (think == kNone) {  // opened by the prompt's template: all of it up to here was thinking
        found = false;
        opened = kNone;
      } else {
        if (begins_answer) answer.thinking = said(text.substr(think, at - think));
        think = kNone;
      }
    } else if (think == kNone && rest.starts_with(kTime)) {
      opened = at + kTime.size();
    } else if (think == kNone && opened != kNone && rest.starts_with(kEndTime)) {
      answer.content = text.substr(opened, at - opened);
      found = true;
      opened = kNone;
    }
  }
  answer.missing = found ? kOk : think != kNone ? kUnclosedThink : opened != kNone ? kUnclosedTag : kNoTag;
  return answer;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// "[5.2, 7]"
bool read_pair(std::string_view text, double& start, double& end) {
  if (!take(text, '[') || !take_decimal(text, start) || !take(text, ',')) return false;
  take(text, ' ');
  return take_decimal(text, end) && take(text, ']') && text.empty();
}

Code parse(std::string_view text, bool think, double* span) {
  const Answer answer = find_answer(text);
  if (answer.missing != kOk) return answer.missing;
  double start, end;
  if (!read_pair(answer.content, start, end)) return kAsk;
  if (end <= start) return end < start ? kReversed : kZeroLength;
  if (think && answer.thinking == kAsk) return kAsk;
  span[0] = start;
  span[1] = end;
  return think ? answer.thinking : answer.has_think ? kUnexpectedThink : kOk;
}

std::tuple<Tensor, Tensor> parse_interval(const Tensor& text_in, const Tensor& offsets_in, bool think) {
  const Texts texts("parse_interval", text_in, offsets_in);
  Tensor span = torch::stable::new_empty(texts.offsets(), {texts.rows(), 2}, ScalarType::Double);
  Tensor code = torch::stable::new_empty(texts.offsets(), {texts.rows()});
  double* spans = span.mutable_data_ptr<double>();
  int64_t* codes = code.mutable_data_ptr<int64_t>();
  torch::stable::parallel_for(0, texts.rows(), texts.grain(), [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      spans[2 * i] = spans[2 * i + 1] = std::numeric_limits<double>::quiet_NaN();
      codes[i] = parse(texts[i], think, spans + 2 * i);
    }
  });
  return {span, code};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("parse_interval", TORCH_BOX(&parse_interval)); }

}  // namespace videostr
