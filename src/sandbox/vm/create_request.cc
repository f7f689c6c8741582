#include "sandbox/vm/create_request.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "linux/seccomp.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

namespace wire = agent::wire;

enum class Content { kWhole, kNone };

template <typename Request>
void add_files(Request& request, const std::vector<CopiedFile>& files, Content content) {
  constexpr size_t kMaxFile = 256UL << 10;
  for (const CopiedFile& file : files) {
    int flags = O_RDONLY | O_NONBLOCK;  // to open a FIFO would wait for its writer
    UniqueFd source = file.links == Links::kNone ? open_exact_file(file.source, flags) : open_file(file.source, flags);
    struct stat status {};
    if (::fstat(source.get(), &status) != 0) {
      throw system_error(fmt::format("stat '{}'", file.source.native()));
    }
    if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode)) {  // /dev/null is an empty one
      throw Error(ErrorCode::kNotSupported,
                  fmt::format("bind mount '{}' at '/etc/{}': the VM gets a copy there, which must be of a file",
                              file.source.native(), file.name));
    }
    wire::File& copy = *request.add_files();
    copy.set_name(file.name);
    if (content == Content::kWhole) {
      copy.set_content(read_all(source.get(), kMaxFile));
    }
    copy.set_mode(status.st_mode & 07777);
    copy.set_uid(status.st_uid);
    copy.set_gid(status.st_gid);
  }
}

wire::CreateRequest make_request(const std::string& id, const oci::Spec& spec, const GuestSpec& guest,
                                 const std::filesystem::path& cache_folder, Content content) {
  wire::CreateRequest request;
  request.set_id(id);
  request.set_spec(oci::to_json(spec));
  if (guest.seccomp) {
    linux::SeccompFilter filter = linux::load_seccomp(*guest.seccomp, cache_folder);
    request.mutable_seccomp()->set_program(filter.program.data(), filter.program.size() * sizeof(sock_filter));
    request.mutable_seccomp()->set_flags(filter.flags);
  }
  add_files(request, guest.files, content);
  request.set_shares(!guest.shares.empty());
  return request;
}

}  // namespace

wire::CreateRequest make_create_request(const std::string& id, const GuestSpec& guest,
                                        const std::filesystem::path& cache_folder) {
  return make_request(id, guest.spec, guest, cache_folder, Content::kWhole);
}

wire::CreateRequest make_prepared_request(const GuestSpec& guest, const ProcessIo& io,
                                          const std::filesystem::path& cache_folder) {
  oci::Spec spec = guest.spec;
  // SECURITY: this goes to guests that other containers get: nothing of one container's own.
  spec.hostname.clear();
  spec.process.args.resize(std::min<size_t>(spec.process.args.size(), 1));
  spec.process.env.clear();
  std::erase_if(spec.annotations,
                [](const auto& each) { return each.first != "org.bulkhead.devices" && each.first != oci::kMadePaths; });
  wire::CreateRequest request = make_request("prepared", spec, guest, cache_folder, Content::kNone);
  request.set_prepared(true);
  if (!spec.process.terminal) {
    request.mutable_streams()->set_in(io.in.valid());
    request.mutable_streams()->set_out(io.out.valid());
    request.mutable_streams()->set_err(io.err.valid());
  }
  return request;
}

wire::Owner make_owner(const GuestSpec& guest) {
  wire::Owner owner;
  owner.set_hostname(guest.spec.hostname);
  owner.mutable_args()->Assign(guest.spec.process.args.begin(), guest.spec.process.args.end());
  owner.mutable_env()->Assign(guest.spec.process.env.begin(), guest.spec.process.env.end());
  add_files(owner, guest.files, Content::kWhole);
  return owner;
}

}  // namespace bulkhead::sandbox::vm
