// Asks the instance's keeper (keeper/keeper.h) for a VM that runs already, or for what one can be made from.
//
// One packet each way over a unix socket that root alone reaches: what is asked in JSON, what is given in JSON and descriptors.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <variant>

#include "sandbox/vm/configuration.h"
#include "sandbox/vm/machine.h"
#include "sandbox/vm/qemu_arguments.h"

namespace bulkhead::sandbox::vm {

inline constexpr const char* kKeeperSocket = "vm-keeper.sock";  // in the instance's cache folder

enum class Wanted {
  kWarm,      // a running VM, else a template
  kTemplate,  // a template
  kCount,     // how many there are of this kind
  kRemoval,   // nothing: the template of this kind and what was made of it are broken
};

/// What the container runs. VMs can be prepared for it; such a one is given to containers of that image alone.
struct ImageToRun {
  std::filesystem::path disk;
  std::string identity;  // of the disk's file; empty: nothing is known
  std::string program;   // as the container's command names it
};

struct KeeperRequest {
  Wanted wanted = Wanted::kWarm;
  MachineShape shape;
  std::filesystem::path qemu, kernel, initramfs;
  std::string key;  // template_key() as the asker computes it
  ImageToRun image;
  // make_prepared_request() as bytes: what is given may have such a container already, created and waiting, and then its disk
  // is to be the one that comes with it. Empty: it has none.
  std::string container;
  std::string blank;  // blank_identity() of the container's disk; another one than the keeper's makes `container` of no use

  /// Those of one kind can be given for one another.
  std::string kind() const { return container.empty() ? key : key + image.identity + image.program + "\n" + container; }
};

struct StockCount {
  unsigned templates = 0, warm = 0;
};

/// Nothing: the keeper has nothing yet, and makes it now.
using KeeperAnswer = std::variant<std::monostate, WarmMachine, Template, StockCount>;

/// VMs of the same key can be made of one template: the same QEMU, kernel and initramfs, by their identity on disk, the same
/// devices, memory and processors. Throws where one of the files is not there.
std::string template_key(const KeeperRequest& request);

KeeperRequest make_request(const Configuration& configuration, const MachineShape& shape, Wanted wanted);

/// The UUID of a container's file system that no guest has mounted yet; empty for one that was. Copies of one blank disk have
/// the same. SECURITY: a guest that writes this to its own disk has that replaced by a blank one when it starts next, and
/// nothing else.
std::string blank_identity(const std::filesystem::path& scratch);

/// Of a file: another one under its name, or another content, gives another text. Throws where it is not there.
std::string identity_of(const std::filesystem::path& file);

/// Nothing where no keeper listens. Throws kDeadlineExceeded where it doesn't answer, kDataLoss where it answers nonsense.
KeeperAnswer ask_keeper(const std::filesystem::path& socket, const KeeperRequest& request);

// The keeper's side of a connection.
KeeperRequest receive_request(int connection);
void send_answer(int connection, const KeeperAnswer& answer);

}  // namespace bulkhead::sandbox::vm
