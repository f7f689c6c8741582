// Builds tar archives byte by byte, for tests: also such as no archiver would write. Header only; no product code includes it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/chunk_source.h"

namespace bulkhead::archive {

/// The pieces of a text, each of at most `step` bytes.
class TextSource : public ChunkSource {
 public:
  explicit TextSource(std::string text, size_t step = 1UL << 20) : text_(std::move(text)), step_(step) {}
  std::string_view next() override {
    std::string_view piece = std::string_view(text_).substr(position_, step_);
    position_ += piece.size();
    return piece;
  }

 private:
  std::string text_;
  size_t step_;
  size_t position_ = 0;
};

class ArchiveBuilder {
 public:
  struct Entry {
    std::string name;
    char type = '0';
    std::string content;
    std::string link;
    int mode = 0644;
    int uid = 0, gid = 0;
    int64_t mtime = 1'600'000'000;
    int major = 0, minor = 0;
    std::string size;  // octal text in place of the content's size
  };

  ArchiveBuilder& add(const Entry& entry) {
    bytes_ += header(entry);
    bytes_ += entry.content;
    pad();
    return *this;
  }
  ArchiveBuilder& file(const std::string& name, const std::string& content) { return add({.name = name, .content = content}); }
  ArchiveBuilder& folder(const std::string& name, int mode = 0755) { return add({.name = name, .type = '5', .mode = mode}); }
  ArchiveBuilder& symlink(const std::string& name, const std::string& target) {
    return add({.name = name, .type = '2', .link = target, .mode = 0777});
  }
  ArchiveBuilder& hard_link(const std::string& name, const std::string& target) {
    return add({.name = name, .type = '1', .link = target});
  }
  /// A pax header for the next entry.
  ArchiveBuilder& pax(const std::vector<std::pair<std::string, std::string>>& records) {
    std::string text;
    for (const auto& [key, value] : records) {
      std::string rest = fmt::format(" {}={}\n", key, value);
      size_t length = rest.size() + 1;
      while (std::to_string(length).size() + rest.size() != length) {
        ++length;
      }
      text += fmt::format("{}{}", length, rest);
    }
    return add({.name = "pax", .type = 'x', .content = text});
  }
  ArchiveBuilder& raw(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  std::string finish() const { return bytes_ + std::string(1024, '\0'); }
  const std::string& unfinished() const { return bytes_; }

  static std::string header(const Entry& entry) {
    std::string block(512, '\0');
    auto put = [&](size_t offset, const std::string& text) { block.replace(offset, text.size(), text); };
    put(0, entry.name.substr(0, 100));
    put(100, fmt::format("{:07o}", entry.mode));
    put(108, fmt::format("{:07o}", entry.uid));
    put(116, fmt::format("{:07o}", entry.gid));
    put(124, entry.size.empty() ? fmt::format("{:011o}", entry.content.size()) : entry.size);
    put(136, fmt::format("{:011o}", entry.mtime));
    block[156] = entry.type;
    put(157, entry.link.substr(0, 100));
    put(257, std::string("ustar\0", 6) + "00");
    put(329, fmt::format("{:07o}", entry.major));
    put(337, fmt::format("{:07o}", entry.minor));
    return with_checksum(std::move(block));
  }
  static std::string with_checksum(std::string block) {
    block.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (char c : block) {
      sum += static_cast<unsigned char>(c);
    }
    block.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
    return block;
  }

 private:
  void pad() { bytes_.append((512 - bytes_.size() % 512) % 512, '\0'); }
  std::string bytes_;
};

}  // namespace bulkhead::archive
