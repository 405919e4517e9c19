// Relation graphs, many texts at once: what videostr.graph.parse_graph reads, for the two forms that a model is asked to
// write, a map and the compact graph. Anything else is left to it (code kAsk), so that one place decides what a text means.
#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "common/stable.h"
#include "cpu/text.h"

namespace videostr {
namespace {

// The order of videostr.ops.parse_graph.CODES; kAsk is none of them.
enum Code : int64_t { kAsk = -1, kOk, kNoTag, kUnclosedTag };

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kMost = 1024;  // nodes, and frames: videostr.graph.parse.MAX_NODES
constexpr size_t kNames = 64;   // of a map, which are compared with one another

struct Node {
  std::string_view name;
  double place[3];
};

struct Frame {
  double time;   // NaN: none
  size_t nodes;  // how many
};

struct Graph {
  Code code = kAsk;
  std::vector<Frame> frames;
  std::vector<Node> nodes;
};

// JSON, of which it takes what the two forms need; false wherever the text is anything else.
class Reader {
 public:
  Reader(std::string_view text, Graph& graph) : text_(text), graph_(graph) {}

  bool read() {
    const bool fits = begins_with_key("frames")    ? read_frames()
                      : begins_with_key("objects") ? read_frame()
                                                   : read_map();
    space();
    return fits && text_.empty() && !graph_.nodes.empty() && graph_.nodes.size() <= kMost && graph_.frames.size() <= kMost;
  }

 private:
  void space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t' || text_[0] == '\r')) text_.remove_prefix(1);
  }

  bool take(char c) {
    space();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  bool next_is(char c) {
    space();
    return !text_.empty() && text_[0] == c;
  }

  // A letter, and then letters, digits, spaces, _ and -, in double quotes.
  bool take_name(std::string_view& name) {
    if (!take('"') || text_.empty() || !is_letter(text_[0])) return false;
    size_t size = 1;
    while (size < text_.size() && (is_letter(text_[size]) || is_digit(text_[size]) || text_[size] == ' ' || text_[size] == '_' ||
                                   text_[size] == '-'))
      ++size;
    name = text_.substr(0, size);
    text_.remove_prefix(size);
    return !text_.empty() && text_[0] == '"' && (text_.remove_prefix(1), true);
  }

  bool take_number(double& value) {
    space();
    const bool negative = !text_.empty() && text_[0] == '-';
    if (negative) text_.remove_prefix(1);
    if (text_.size() > 1 && text_[0] == '0' && is_digit(text_[1])) return false;  // no JSON
    const char* begin = text_.data();
    if (!take_decimal(text_, value)) return false;
    if (!text_.empty() && (is_digit(text_[0]) || text_[0] == '.' || text_[0] == 'e' || text_[0] == 'E')) return false;
    const bool whole = std::string_view(begin, text_.data() - begin).find('.') == std::string_view::npos;
    if (negative) value = whole ? 0.0 - value : -value;  // -0 is Python's integer 0, -0.0 is not
    return true;
  }

  // "[" element "," … "]"
  template <typename Element>
  bool take_list(Element element) {
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (!element()) return false;
    } while (take(','));
    return take(']');
  }

  // "x, y" or "x, y, z", up to the bracket behind them.
  bool take_place(Node& node) {
    node.place[2] = kNaN;
    if (!take_number(node.place[0]) || !take(',') || !take_number(node.place[1])) return false;
    return !take(',') || take_number(node.place[2]);
  }

  bool begins_with_key(std::string_view key) {
    const std::string_view before = text_;
    std::string_view name;
    const bool fits = take('{') && take_name(name) && name == key;
    text_ = before;
    return fits;
  }

  bool take_key(std::string_view key) {
    std::string_view name;
    return take_name(name) && name == key && take(':');
  }

  bool read_map() {  // {"chair": [[3, 4], [5, 7]], …}
    std::vector<std::string_view> names;
    if (!take('{')) return false;
    do {
      Node node;
      if (!take_name(node.name) || !take(':')) return false;
      for (const std::string_view reserved : {"frames", "edges", "objects", "nodes"}) {
        if (node.name == reserved) return false;
      }
      if (std::find(names.begin(), names.end(), node.name) != names.end() || names.size() == kNames) return false;
      names.push_back(node.name);
      const auto place = [&] {
        const bool fits = take('[') && take_place(node) && take(']');
        graph_.nodes.push_back(node);
        return fits;
      };
      if (!take_list(place)) return false;
    } while (take(','));
    graph_.frames.push_back({kNaN, graph_.nodes.size()});
    return take('}');
  }

  bool read_frames() {  // {"frames":[{"t":0,"objects":[…]}, …]}
    return take('{') && take_key("frames") && take_list([&] { return read_frame(); }) && take('}');
  }

  bool read_frame() {  // {"t":0,"objects":[[1,"chair",3,4], …]}
    Frame frame{kNaN, graph_.nodes.size()};
    if (!take('{')) return false;
    std::string_view key;
    if (!take_name(key)) return false;
    if (key == "t") {
      if (!take(':') || !take_number(frame.time) || frame.time < 0.0 || !take(',') || !take_name(key)) return false;
      frame.time += 0.0;  // -0.0
    }
    if (key != "objects" || !take(':') || !take_list([&] { return read_object(); })) return false;
    frame.nodes = graph_.nodes.size() - frame.nodes;
    graph_.frames.push_back(frame);
    return take('}');
  }

  bool read_object() {  // [1,"chair",3,4], or without the number, or with a name in its place
    Node node;
    double number;
    if (!take('[')) return false;
    if (next_is('"')) {
      if (!take_name(node.name) || !take(',')) return false;
      if (next_is('"') && !(take_name(node.name) && take(','))) return false;
    } else if (!take_number(number) || !take(',') || !take_name(node.name) || !take(',')) {
      return false;
    }
    const bool fits = take_place(node) && take(']');
    graph_.nodes.push_back(node);
    return fits;
  }

  std::string_view text_;
  Graph& graph_;
};

// The content of the last closed <tag> … </tag>.
struct Found {
  std::string_view content;
  bool closed = false, opened = false;
};

struct Tag {
  std::string_view opening, closing;
  Found found;
  size_t pending = std::string_view::npos;

  void look(std::string_view text, size_t at) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with(opening)) {
      pending = at + opening.size();
      found.opened = true;
    } else if (pending != std::string_view::npos && rest.starts_with(closing)) {
      found.content = text.substr(pending, at - pending);
      found.closed = true;
      pending = std::string_view::npos;
    }
  }
};

void parse(std::string_view text, Graph& graph) {
  Tag wholes{"<graph>", "</graph>", {}}, maps{"<map>", "</map>", {}};
  for (size_t at = 0; (at = text.find('<', at)) != std::string_view::npos; ++at) {
    wholes.look(text, at);
    maps.look(text, at);
  }
  const Found& found = wholes.found.closed ? wholes.found : maps.found;
  if (!found.closed) {
    graph.code = wholes.found.opened || maps.found.opened ? kUnclosedTag : kNoTag;
    return;
  }
  graph.code = Reader(found.content, graph).read() ? kOk : kAsk;
  if (graph.code == kOk) return;
  graph.frames.clear();
  graph.nodes.clear();
}

using Tensors = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Tensors parse_graph(const Tensor& text_in, const Tensor& offsets_in) {
  const Texts texts("parse_graph", text_in, offsets_in);
  std::vector<Graph> graphs(texts.rows());
  torch::stable::parallel_for(0, texts.rows(), texts.grain(), [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) parse(texts[i], graphs[i]);
  });
  int64_t frames = 0, nodes = 0;
  for (const Graph& graph : graphs) {
    frames += graph.frames.size();
    nodes += graph.nodes.size();
  }
  auto integers = [&](std::vector<int64_t> shape) { return torch::stable::new_empty(texts.offsets(), shape); };
  auto doubles = [&](std::vector<int64_t> shape) { return torch::stable::new_empty(texts.offsets(), shape, ScalarType::Double); };
  Tensor code = integers({texts.rows()}), frame_offsets = integers({texts.rows() + 1}), time = doubles({frames});
  Tensor node_offsets = integers({frames + 1}), name = integers({nodes}), position = doubles({nodes, 3});
  int64_t *codes = code.mutable_data_ptr<int64_t>(), *frame_ends = frame_offsets.mutable_data_ptr<int64_t>(),
          *node_ends = node_offsets.mutable_data_ptr<int64_t>(), *names = name.mutable_data_ptr<int64_t>();
  double *times = time.mutable_data_ptr<double>(), *positions = position.mutable_data_ptr<double>();
  std::unordered_map<std::string_view, int64_t> known;
  std::vector<std::string_view> spelled;
  *frame_ends++ = *node_ends++ = 0;
  int64_t frames_so_far = 0, nodes_so_far = 0;
  for (const Graph& graph : graphs) {
    *codes++ = graph.code;
    *frame_ends++ = frames_so_far += graph.frames.size();
    for (const Frame& frame : graph.frames) {
      *times++ = frame.time;
      *node_ends++ = nodes_so_far += frame.nodes;
    }
    for (const Node& node : graph.nodes) {
      const auto [entry, is_new] = known.try_emplace(node.name, spelled.size());
      if (is_new) spelled.push_back(node.name);
      *names++ = entry->second;
      positions = std::copy(node.place, node.place + 3, positions);
    }
  }
  Tensor spelling = integers({static_cast<int64_t>(spelled.size()), 2});
  int64_t* bounds = spelling.mutable_data_ptr<int64_t>();
  for (const std::string_view word : spelled) {
    *bounds++ = word.data() - texts.begin();
    *bounds++ = word.data() + word.size() - texts.begin();
  }
  return {code, frame_offsets, time, node_offsets, name, position, spelling};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("parse_graph", TORCH_BOX(&parse_graph)); }

}  // namespace videostr
