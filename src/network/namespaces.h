// Network namespaces that outlive their processes: each is kept by a bind mount on <folder>/<id> (see ip-netns(8)), which
// whoever starts the container's first process joins by path.
//
// Thread-safe where different ids are concerned; the caller keeps two threads from one id.
#pragma once

#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace bulkhead::network {

class NamespaceFolder {
 public:
  explicit NamespaceFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path path_of(const std::string& id) const;
  /// Makes a namespace in which new links have IPv6 off, keeps it, and calls `inside(descriptor of the namespace)` in a thread
  /// that is in it. Where something throws, nothing is left.
  void create(const std::string& id, const std::function<void(int descriptor)>& inside);
  /// Lets go of a namespace: the kernel removes it, with the links in it, once no process is in it. Idempotent.
  void remove(const std::string& id);
  std::vector<std::string> list() const;
  /// Makes the folder a mount of its own that shares nothing, where it isn't one yet.
  void prepare();
  /// Undoes `prepare`, where the folder is empty.
  void remove_folder();

 private:
  void keep(const std::filesystem::path& path);

  std::filesystem::path folder_;
  std::mutex preparing_;
};

}  // namespace bulkhead::network
