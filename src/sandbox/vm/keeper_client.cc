#include "sandbox/vm/keeper_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "support/descriptor_passing.h"
#include "support/error.h"
#include "support/files.h"
#include "ttrpc/unix_address.h"

namespace bulkhead::sandbox::vm {
namespace {

using nlohmann::json;

constexpr size_t kMaxPacket = 128UL << 10;  // below what a socket takes by default (net.core.wmem_default)
constexpr size_t kMaxFiles = 5;
constexpr int kPatience = 2;  // seconds; the keeper answers at once

struct Packet {
  json content;
  std::vector<UniqueFd> files;
};

void send_packet(int socket, const json& content, const std::vector<int>& files) {
  std::vector<uint8_t> text = json::to_cbor(content);  // JSON would have no bytes
  if (send_with_descriptors(socket, {reinterpret_cast<const char*>(text.data()), text.size()}, files) !=
      static_cast<ssize_t>(text.size())) {
    throw system_error("send to the keeper of VMs, or to who asks it");
  }
}

Packet receive_packet(int socket) {
  timeval patience{.tv_sec = kPatience, .tv_usec = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::string text(kMaxPacket, '\0');
  ReceivedMessage received = receive_with_descriptors(socket, text, kMaxFiles);
  if (received.size < 0) {
    throw errno == EAGAIN ? Error(ErrorCode::kDeadlineExceeded, "the keeper of VMs, or who asks it, says nothing")
                          : system_error("receive from the keeper of VMs, or from who asks it");
  }
  Packet packet{.content = json::from_cbor(text.begin(), text.begin() + received.size, true, false),
                .files = std::move(received.descriptors)};
  if (!packet.content.is_object() || !received.is_whole) {
    throw Error(ErrorCode::kDataLoss, "what came from the keeper of VMs, or from who asks it, is no message");
  }
  return packet;
}

KeeperAnswer to_answer(Packet packet) {
  std::string kind = packet.content.value("kind", "");
  auto& files = packet.files;
  if (kind == "warm" && (files.size() == 4 || files.size() == 5)) {
    return WarmMachine{
        .pid = packet.content.value("pid", 0),
        .pidfd = std::move(files[0]),
        .monitor = std::move(files[1]),
        .agent = std::move(files[2]),
        .network_namespace = std::move(files[3]),
        .changes = {.image = packet.content.value("image_changes", 0U), .scratch = packet.content.value("scratch_changes", 0U)},
        .scratch = files.size() == 5 ? std::move(files[4]) : UniqueFd()};
  }
  if (kind == "template" && (files.size() == 2 || files.size() == 3)) {
    return Template{.memory = std::move(files[0]),
                    .devices = std::move(files[1]),
                    .scratch = files.size() == 3 ? std::move(files[2]) : UniqueFd()};
  }
  if (kind == "count" && files.empty()) {
    return StockCount{.templates = packet.content.value("templates", 0U), .warm = packet.content.value("warm", 0U)};
  }
  if (kind == "nothing" && files.empty()) {
    return std::monostate();
  }
  throw Error(ErrorCode::kDataLoss, "the keeper of VMs gives something unknown");
}

}  // namespace

std::string identity_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    throw system_error(fmt::format("stat '{}'", file.native()));
  }
  return fmt::format("{} {} {} {} {}.{}\n", file.native(), status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

std::string blank_identity(const std::filesystem::path& scratch) {
  // ext4's superblock (kernel: Documentation/filesystems/ext4/super.rst): s_mtime, when it was last mounted, and s_uuid.
  constexpr size_t kLastMounted = 0x2c;
  constexpr size_t kUuid = 0x68;
  constexpr size_t kUuidSize = 16;
  std::array<char, kUuid + kUuidSize> head{};
  uint32_t last_mounted = 0;
  UniqueFd disk = open_file(scratch, O_RDONLY);
  if (::pread(disk.get(), head.data(), head.size(), 1024) != static_cast<ssize_t>(head.size())) {
    return {};
  }
  std::memcpy(&last_mounted, head.data() + kLastMounted, sizeof(last_mounted));
  return last_mounted == 0 ? std::string(head.data() + kUuid, kUuidSize) : std::string();
}

std::string template_key(const KeeperRequest& request) {
  std::string key;
  for (const auto& file : {request.qemu, request.kernel, request.initramfs}) {
    key += identity_of(file);
  }
  for (const std::string& argument : qemu_arguments(request.qemu, request.shape, Origin::kClone)) {
    key += argument + "\n";
  }
  return key;
}

KeeperRequest make_request(const Configuration& configuration, const MachineShape& shape, Wanted wanted) {
  KeeperRequest request{.wanted = wanted,
                        .shape = shape,
                        .qemu = configuration.qemu,
                        .kernel = configuration.kernel,
                        .initramfs = configuration.initramfs,
                        .key = {},
                        .image = {},
                        .container = {},
                        .blank = {}};
  request.key = template_key(request);
  return request;
}

KeeperAnswer ask_keeper(const std::filesystem::path& path, const KeeperRequest& request) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) {
    throw system_error("make a unix socket");
  }
  try {
    ttrpc::UnixAddress address(path);
    if (::connect(socket.get(), address.get(), address.size()) != 0) {
      return std::monostate();
    }
  } catch (const Error&) {  // not even its folder is there
    return std::monostate();
  }
  json content{{"wanted", static_cast<int>(request.wanted)},
               {"tcg", request.shape.accelerator == Accelerator::kTcg},
               {"memory", request.shape.memory},
               {"processors", request.shape.processors},
               {"acpi", request.shape.devices == kernels::Devices::kAcpi},
               {"qemu", request.qemu.native()},
               {"kernel", request.kernel.native()},
               {"initramfs", request.initramfs.native()},
               {"key", request.key},
               {"image_disk", request.image.disk.native()},
               {"image_identity", request.image.identity},
               {"program", request.image.program},
               {"container", json::binary({request.container.begin(), request.container.end()})},
               {"blank", json::binary({request.blank.begin(), request.blank.end()})}};
  send_packet(socket.get(), content, {});
  return to_answer(receive_packet(socket.get()));
}

KeeperRequest receive_request(int connection) {
  Packet packet = receive_packet(connection);
  try {
    const json& content = packet.content;
    int wanted = content.at("wanted").get<int>();
    if (wanted < 0 || wanted > static_cast<int>(Wanted::kRemoval)) {
      throw Error(ErrorCode::kInvalidArgument, "an unknown request to the keeper of VMs");
    }
    const auto& container = content.at("container").get_binary();
    const auto& blank = content.at("blank").get_binary();
    return {.wanted = static_cast<Wanted>(wanted),
            .shape = {.accelerator = content.at("tcg").get<bool>() ? Accelerator::kTcg : Accelerator::kKvm,
                      .memory = content.at("memory").get<uint64_t>(),
                      .processors = content.at("processors").get<unsigned>(),
                      .devices = content.at("acpi").get<bool>() ? kernels::Devices::kAcpi : kernels::Devices::kCommandLine},
            .qemu = content.at("qemu").get<std::string>(),
            .kernel = content.at("kernel").get<std::string>(),
            .initramfs = content.at("initramfs").get<std::string>(),
            .key = content.at("key").get<std::string>(),
            .image = {.disk = content.at("image_disk").get<std::string>(),
                      .identity = content.at("image_identity").get<std::string>(),
                      .program = content.at("program").get<std::string>()},
            .container = {container.begin(), container.end()},
            .blank = {blank.begin(), blank.end()}};
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("a request to the keeper of VMs: {}", error.what()));
  }
}

void send_answer(int connection, const KeeperAnswer& answer) {
  const auto with_scratch = [](std::vector<int> files, const UniqueFd& scratch) {
    if (scratch) {
      files.push_back(scratch.get());
    }
    return files;
  };
  if (const auto* warm = std::get_if<WarmMachine>(&answer)) {
    send_packet(connection,
                json{{"kind", "warm"},
                     {"pid", warm->pid},
                     {"image_changes", warm->changes.image},
                     {"scratch_changes", warm->changes.scratch}},
                with_scratch({warm->pidfd.get(), warm->monitor.get(), warm->agent.get(), warm->network_namespace.get()},
                             warm->scratch));
  } else if (const auto* saved = std::get_if<Template>(&answer)) {
    send_packet(connection, json{{"kind", "template"}},
                with_scratch({saved->memory.get(), saved->devices.get()}, saved->scratch));
  } else if (const auto* count = std::get_if<StockCount>(&answer)) {
    send_packet(connection, json{{"kind", "count"}, {"templates", count->templates}, {"warm", count->warm}}, {});
  } else {
    send_packet(connection, json{{"kind", "nothing"}}, {});
  }
}

}  // namespace bulkhead::sandbox::vm
