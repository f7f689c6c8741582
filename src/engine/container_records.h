// Containers on disk: one row each, what never changes apart from what does, so that a state change writes a few hundred
// bytes. Thread-safe; see database.h for what survives which crash.
#pragma once

#include <string>
#include <vector>

#include "engine/container.h"

namespace bulkhead {
class Database;
}

namespace bulkhead::engine {

class ContainerRecords {
 public:
  explicit ContainerRecords(Database& database);

  /// Throws kConflict where the name or id is taken.
  void insert(const Container& container);
  void update_state(const Container& container);
  /// Throws kConflict where the name is taken.
  void rename(const std::string& id, const std::string& name);
  void erase(const std::string& id);
  std::vector<Container> load_all();
  /// The id that holds a name, or "".
  std::string id_of_name(const std::string& name);

 private:
  Database& database_;
};

}  // namespace bulkhead::engine
