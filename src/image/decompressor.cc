#include "image/decompressor.h"

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "support/error.h"

namespace bulkhead::image {
namespace {

constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
constexpr std::string_view kXzMagic =
    "\xfd"
    "7zXZ";
constexpr std::string_view kBzip2Magic = "BZh";
constexpr size_t kMagicSize = 6;
constexpr size_t kBufferSize = 256UL << 10;

[[noreturn]] void corrupt(std::string_view format, std::string_view reason) {
  throw Error(ErrorCode::kDataLoss, fmt::format("{} data is corrupt: {}", format, reason));
}

/// The source with the bytes that were looked at put back in front.
class Input {
 public:
  Input(archive::ChunkSource& source, std::string seen, std::string_view rest)
      : source_(source), seen_(std::move(seen)), rest_(rest) {}

  /// What is left of the current piece, or the next one; empty at the end.
  std::string_view peek() {
    if (!current_.empty()) {
      return current_;
    }
    if (!seen_.empty()) {
      front_ = std::move(seen_);
      seen_.clear();
      current_ = front_;
    } else if (!rest_.empty()) {
      current_ = std::exchange(rest_, {});
    } else {
      current_ = source_.next();
    }
    return current_;
  }
  void consume(size_t count) { current_.remove_prefix(count); }

 private:
  archive::ChunkSource& source_;
  std::string seen_, front_;
  std::string_view rest_, current_;
};

class Plain : public Decompressor {
 public:
  explicit Plain(Input input) : input_(std::move(input)) {}
  size_t read(std::span<char> out) override {
    std::string_view bytes = input_.peek();
    size_t count = std::min(bytes.size(), out.size());
    std::copy_n(bytes.data(), count, out.data());  // memcpy(3) takes no null pointer, not even for nothing
    input_.consume(count);
    return count;
  }

 private:
  Input input_;
};

class Gzip : public Decompressor {
 public:
  explicit Gzip(Input input) : input_(std::move(input)), state_(std::make_unique<inflate_state>()) { begin_member(); }

  size_t read(std::span<char> out) override {
    while (!ended_) {
      if (member_ended_ && !next_member()) {
        return 0;
      }
      if (size_t count = inflate(out); count > 0) {
        return count;
      }
    }
    return 0;
  }

 private:
  void begin_member() {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;  // checks the trailer's CRC and length too
    member_ended_ = false;
  }

  /// RFC 1952: a file is one or more members (pigz and estargz write many).
  bool next_member() {
    std::string_view bytes = input_.peek();
    if (bytes.empty()) {
      ended_ = true;
      return false;
    }
    begin_member();
    return true;
  }

  size_t inflate(std::span<char> out) {
    std::string_view bytes = input_.peek();
    state_->next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));  // ISA-L reads only
    state_->avail_in = static_cast<uint32_t>(std::min<size_t>(bytes.size(), UINT32_MAX));
    state_->next_out = reinterpret_cast<uint8_t*>(out.data());
    state_->avail_out = static_cast<uint32_t>(std::min<size_t>(out.size(), UINT32_MAX));
    uint32_t given = state_->avail_in;
    uint32_t wanted = state_->avail_out;
    int result = isal_inflate(state_.get());
    if (result < 0 || result == ISAL_NEED_DICT) {
      corrupt("gzip", result == ISAL_INCORRECT_CHECKSUM ? "wrong checksum" : "invalid block or header");
    }
    input_.consume(given - state_->avail_in);
    size_t made = wanted - state_->avail_out;
    member_ended_ = state_->block_state == ISAL_BLOCK_FINISH;
    if (!member_ended_ && made == 0 && given == state_->avail_in) {
      corrupt("gzip", given == 0 ? "unexpected end" : "no progress");
    }
    return made;
  }

  Input input_;
  std::unique_ptr<inflate_state> state_;
  bool member_ended_ = false, ended_ = false;
};

class Zstd : public Decompressor {
 public:
  explicit Zstd(Input input) : input_(std::move(input)), stream_(ZSTD_createDStream()) {
    // SECURITY: 2^27 is what the format's specification asks of decoders (RFC 8878, 3.1.1.1.2); more would be the sender's
    // choice of our memory.
    if (!stream_ || ZSTD_isError(ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, 27)) != 0) {
      throw Error(ErrorCode::kResourceExhausted, "zstd: no memory");
    }
  }

  size_t read(std::span<char> out) override {
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    for (;;) {
      std::string_view bytes = input_.peek();
      ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
      size_t result = ZSTD_decompressStream(stream_.get(), &output, &input);
      if (ZSTD_isError(result) != 0) {
        corrupt("zstd", ZSTD_getErrorName(result));
      }
      input_.consume(input.pos);
      if (output.pos > 0) {
        frame_open_ = result != 0;
        return output.pos;
      }
      if (bytes.empty()) {
        if (frame_open_) {
          corrupt("zstd", "unexpected end");
        }
        return 0;
      }
      frame_open_ = result != 0;
    }
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  Input input_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool frame_open_ = true;
};

}  // namespace

std::unique_ptr<Decompressor> make_decompressor(archive::ChunkSource& source) {
  std::string seen;
  std::string_view piece;
  while (seen.size() < kMagicSize) {
    piece = source.next();
    if (piece.empty()) {
      break;
    }
    size_t count = std::min(piece.size(), kMagicSize - seen.size());
    seen += piece.substr(0, count);
    piece.remove_prefix(count);
  }
  auto starts = [&](std::string_view magic) { return std::string_view(seen).starts_with(magic); };
  bool gzip = starts(kGzipMagic);
  bool zstd = starts(kZstdMagic);
  if (starts(kXzMagic) || starts(kBzip2Magic)) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("{} compression is not supported: use gzip, zstd or none", starts(kXzMagic) ? "xz" : "bzip2"));
  }
  Input input(source, std::move(seen), piece);
  if (gzip) {
    return std::make_unique<Gzip>(std::move(input));
  }
  if (zstd) {
    return std::make_unique<Zstd>(std::move(input));
  }
  return std::make_unique<Plain>(std::move(input));
}

DecompressedSource::DecompressedSource(archive::ChunkSource& source)
    : decompressor_(make_decompressor(source)), buffer_(std::make_unique<char[]>(kBufferSize)) {}

DecompressedSource::~DecompressedSource() = default;

std::string_view DecompressedSource::next() {
  size_t count = decompressor_->read({buffer_.get(), kBufferSize});
  return {buffer_.get(), count};
}

}  // namespace bulkhead::image
