// libFuzzer target: the ttrpc codec. The first byte says how the rest is cut into reads; whatever comes out must survive a
// round trip, and nothing but Error may be thrown.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "support/error.h"
#include "ttrpc/frame.h"
#include "ttrpc/ttrpc.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace ttrpc = bulkhead::ttrpc;
  if (size == 0) {
    return 0;
  }
  size_t step = size_t{data[0]} + 1;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ttrpc::FrameReader reader;
  try {
    while (!bytes.empty()) {
      reader.feed(bytes.substr(0, step));
      bytes.remove_prefix(std::min(step, bytes.size()));
      while (auto frame = reader.next()) {
        ttrpc::FrameReader again;
        again.feed(ttrpc::encode_frame(frame->stream, frame->type, frame->flags, frame->data));
        auto same = again.next();
        if (!same || same->data != frame->data || same->stream != frame->stream || again.buffered() != 0) {
          std::abort();
        }
        ttrpc::wire::Request request;
        (void)request.ParseFromString(frame->data);
      }
    }
  } catch (const bulkhead::Error&) {
  }
  return 0;
}
