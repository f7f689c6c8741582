#include "policy/yaml_tree.h"

#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>

#include "support/error.h"

namespace bulkhead::policy {
namespace {

constexpr size_t kMostDepth = 12;
constexpr size_t kMostNodes = 200'000;
constexpr size_t kMostKeys = 256;  // of one mapping

[[noreturn]] void fail_at_place(const std::string& file, size_t line, size_t column, const std::string& message) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}:{}:{}: {}", file, line, column, message));
}

/// libyaml's parser, as a stream of events (yaml.h).
class Events {
 public:
  Events(std::string_view text, const std::string& file) : file_(file), text_(text) {
    if (yaml_parser_initialize(&parser_) == 0) {
      throw Error(ErrorCode::kResourceExhausted, "no memory to read a policy");
    }
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  ~Events() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  const yaml_event_t& next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) == 0) {
      std::string problem =
          fmt::format("this is not YAML: {}", parser_.problem != nullptr ? parser_.problem : "it can't be read");
      if (parser_.error == YAML_READER_ERROR) {
        fail_at_byte(parser_.problem_offset, problem);
      }
      fail_at_place(file_, parser_.problem_mark.line + 1, parser_.problem_mark.column + 1, problem);
    }
    return event_;
  }

 private:
  /// The reader's errors (no UTF-8, control characters) have no mark; it reads ahead of what is parsed.
  [[noreturn]] void fail_at_byte(size_t offset, const std::string& problem) const {
    std::string_view before = text_.substr(0, offset);
    size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
    auto is_letter = [](unsigned char byte) { return (byte & 0xc0) != 0x80; };
    fail_at_place(
        file_, 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n')),
        1 + static_cast<size_t>(std::count_if(before.begin() + static_cast<ptrdiff_t>(start), before.end(), is_letter)),
        problem);
  }

  const std::string& file_;
  const std::string_view text_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
};

/// Builds the tree on a stack of its own: what is open is the last part of what is open above it, so pointers stay valid.
class Builder {
 public:
  explicit Builder(const std::string& file) : file_(file) {}

  /// Takes an event; true once the document is complete.
  bool take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_ALIAS_EVENT: fail(event, "anchors and aliases are not understood here: write the value out");
      case YAML_SCALAR_EVENT: add_scalar(event); break;
      case YAML_SEQUENCE_START_EVENT:
        refuse_decoration(event, event.data.sequence_start.anchor, event.data.sequence_start.tag);
        open(event, YamlNode::Kind::kList);
        break;
      case YAML_MAPPING_START_EVENT:
        refuse_decoration(event, event.data.mapping_start.anchor, event.data.mapping_start.tag);
        open(event, YamlNode::Kind::kMap);
        break;
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT: open_.pop_back(); break;
      default: return event.type == YAML_DOCUMENT_END_EVENT;
    }
    return false;
  }

  YamlNode result() && { return std::move(root_); }

 private:
  [[noreturn]] void fail(const yaml_event_t& event, const std::string& message) const {
    fail_at_place(file_, event.start_mark.line + 1, event.start_mark.column + 1, message);
  }

  void refuse_decoration(const yaml_event_t& event, const yaml_char_t* anchor, const yaml_char_t* tag) const {
    if (anchor != nullptr) {
      fail(event, "anchors and aliases are not understood here: write the value out");
    }
    if (tag != nullptr) {
      fail(event, "tags ('!...') are not understood here");
    }
  }

  void add_scalar(const yaml_event_t& event) {
    const auto& scalar = event.data.scalar;
    refuse_decoration(event, scalar.anchor, scalar.tag);
    YamlNode& node = add(event, YamlNode::Kind::kScalar);
    node.text.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
    node.plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (!open_.empty() && open_.back().awaits_value) {
      refuse_second(event, *open_.back().node);
    }
  }

  /// SECURITY: of two keys of one name a reader would see one, and this program perhaps the other.
  void refuse_second(const yaml_event_t& event, const YamlNode& map) const {
    const std::string& key = map.entries.back().key.text;
    auto before =
        std::find_if(map.entries.begin(), map.entries.end(), [&](const auto& entry) { return entry.key.text == key; });
    if (&*before != &map.entries.back()) {
      fail(event, fmt::format("'{}' stands in line {} already", key, before->key.line));
    }
    if (map.entries.size() > kMostKeys) {
      fail(event, fmt::format("more than {} keys in one mapping", kMostKeys));
    }
  }

  void open(const yaml_event_t& event, YamlNode::Kind kind) {
    if (open_.size() >= kMostDepth) {
      fail(event, fmt::format("nested deeper than {} levels", kMostDepth));
    }
    open_.push_back({.node = &add(event, kind)});
  }

  YamlNode& add(const yaml_event_t& event, YamlNode::Kind kind) {
    if (++nodes_ > kMostNodes) {
      fail(event, fmt::format("more than {} parts", kMostNodes));
    }
    YamlNode& node = place(event, kind);
    node.kind = kind;
    node.line = event.start_mark.line + 1;
    node.column = event.start_mark.column + 1;
    return node;
  }

  YamlNode& place(const yaml_event_t& event, YamlNode::Kind kind) {
    if (open_.empty()) {
      return root_;
    }
    Open& innermost = open_.back();
    YamlNode& parent = *innermost.node;
    if (parent.kind == YamlNode::Kind::kList) {
      return parent.items.emplace_back();
    }
    if (innermost.awaits_value) {
      innermost.awaits_value = false;
      return parent.entries.back().value;
    }
    if (kind != YamlNode::Kind::kScalar) {
      fail(event, "a key must be a word");
    }
    innermost.awaits_value = true;
    return parent.entries.emplace_back().key;
  }

  struct Open {
    YamlNode* node;
    bool awaits_value = false;  // a mapping whose last entry has its key only
  };
  const std::string& file_;
  YamlNode root_;
  std::vector<Open> open_;
  size_t nodes_ = 0;
};

}  // namespace

bool YamlNode::is_null() const {
  return kind == Kind::kScalar && plain && (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL");
}

void fail_at(const std::string& file, const YamlNode& at, const std::string& message) {
  fail_at_place(file, at.line, at.column, message);
}

YamlNode parse_yaml(std::string_view text, const std::string& file) {
  if (text.size() > kYamlLimit) {
    fail_at_place(file, 1, 1, fmt::format("larger than {} KiB", kYamlLimit >> 10));
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  text.remove_prefix(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0);
  Events events(text, file);
  Builder builder(file);
  bool complete = false;
  for (;;) {
    const yaml_event_t& event = events.next();
    if (event.type == YAML_STREAM_END_EVENT) {
      break;
    }
    if (complete) {
      fail_at_place(file, event.start_mark.line + 1, event.start_mark.column + 1, "a second document: a policy is one");
    }
    complete = builder.take(event);
  }
  if (!complete) {
    fail_at_place(file, 1, 1, "there is nothing in it");
  }
  return std::move(builder).result();
}

YamlMap::YamlMap(const YamlNode& node, std::string file, std::string what)
    : node_(node), file_(std::move(file)), what_(std::move(what)) {
  if (node.kind != YamlNode::Kind::kMap) {
    fail_at(file_, node, fmt::format("{} must be a mapping (lines of 'key: value')", what_));
  }
}

const YamlNode* YamlMap::find(std::string_view key) {
  known_.emplace(key);
  for (const YamlEntry& entry : node_.entries) {
    if (entry.key.text == key) {
      if (entry.value.is_null()) {
        fail_at(file_, entry.key, fmt::format("'{}' has no value: give it one, or take the line away", key));
      }
      return &entry.value;
    }
  }
  return nullptr;
}

void YamlMap::refuse_rest(std::initializer_list<std::string_view> others) {
  known_.insert(others.begin(), others.end());
  for (const YamlEntry& entry : node_.entries) {
    if (!known_.contains(entry.key.text)) {
      fail_at(file_, entry.key, fmt::format("{} has no '{}': it has {}", what_, entry.key.text, fmt::join(known_, ", ")));
    }
  }
}

void YamlMap::fail(const YamlNode& at, const std::string& message) const { fail_at(file_, at, message); }

std::string scalar_of(const YamlNode& node, const std::string& file, std::string_view what) {
  if (node.kind != YamlNode::Kind::kScalar || node.is_null() || node.text.empty()) {
    fail_at(file, node, fmt::format("{} must be a word or a text", what));
  }
  bool has_control = std::any_of(node.text.begin(), node.text.end(),
                                 [](unsigned char byte) { return (byte < 0x20 && byte != '\n') || byte == 0x7f; });
  if (has_control) {
    fail_at(file, node, fmt::format("{} holds a control character", what));
  }
  return node.text;
}

std::vector<const YamlNode*> scalars_of(const YamlNode& node, const std::string& file, std::string_view what) {
  std::vector<const YamlNode*> scalars;
  if (node.kind == YamlNode::Kind::kScalar) {
    scalars.push_back(&node);
  } else if (node.kind == YamlNode::Kind::kList) {
    for (const YamlNode& item : node.items) {
      scalars.push_back(&item);
    }
  }
  if (scalars.empty()) {
    fail_at(file, node, fmt::format("{} must be a word, or a list of at least one", what));
  }
  for (const YamlNode* scalar : scalars) {
    scalar_of(*scalar, file, what);
  }
  return scalars;
}

bool flag_of(const YamlNode& node, const std::string& file, std::string_view what) {
  std::string text = scalar_of(node, file, what);
  if (text == "true" || text == "yes") {
    return true;
  }
  if (text == "false" || text == "no") {
    return false;
  }
  fail_at(file, node, fmt::format("{} must be true or false, not '{}'", what, text));
}

}  // namespace bulkhead::policy
