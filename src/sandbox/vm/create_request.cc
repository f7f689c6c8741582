#include "sandbox/vm/create_request.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <vector>

#include "linux/seccomp.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

namespace wire = agent::wire;

void add_files(wire::CreateRequest& request, const std::vector<CopiedFile>& files) {
  constexpr size_t kMaxFile = 256UL << 10;
  for (const CopiedFile& file : files) {
    struct stat status {};
    if (::stat(file.source.c_str(), &status) != 0) {
      throw system_error(fmt::format("stat '{}'", file.source.native()));
    }
    wire::File& copy = *request.add_files();
    copy.set_name(file.name);
    copy.set_content(read_file(file.source, kMaxFile));
    copy.set_mode(status.st_mode & 07777);
    copy.set_uid(status.st_uid);
    copy.set_gid(status.st_gid);
  }
}

}  // namespace

wire::CreateRequest make_create_request(const std::string& id, const GuestSpec& guest,
                                        const std::filesystem::path& cache_folder) {
  wire::CreateRequest request;
  request.set_id(id);
  request.set_spec(oci::to_json(guest.spec));
  if (guest.seccomp) {
    linux::SeccompFilter filter = linux::load_seccomp(*guest.seccomp, cache_folder);
    request.mutable_seccomp()->set_program(filter.program.data(), filter.program.size() * sizeof(sock_filter));
    request.mutable_seccomp()->set_flags(filter.flags);
  }
  add_files(request, guest.files);
  request.set_shares(!guest.shares.empty());
  return request;
}

}  // namespace bulkhead::sandbox::vm
