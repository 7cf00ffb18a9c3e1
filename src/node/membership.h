// What a node remembers of its shoal: which coordinator it is paired with and where that was last reached. A small JSON
// file in the state directory, replaced atomically. Owned by the io thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "net/transport.h"

namespace shoal::node {

struct Membership {
  NodeId coordinator;
  std::string coordinator_name;
  std::vector<net::Endpoint> endpoints;  // most recently used first

  // nullopt when the device was never paired. kCorrupt: the file is damaged (says which, and to join again).
  static Result<std::optional<Membership>> load(const std::filesystem::path& state_directory);
  Status save(const std::filesystem::path& state_directory) const;
};

}  // namespace shoal::node
