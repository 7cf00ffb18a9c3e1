// The names of things: types that cannot be mixed up.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include "base/sha256.h"

namespace shoal {

// A number that only compares with its own kind. 0 is "none".
template <typename Tag>
struct Id {
  std::uint64_t value = 0;
  auto operator<=>(const Id&) const = default;
  explicit operator bool() const { return value != 0; }
};

using SequenceId = Id<struct SequenceTag>;  // made by the scheduler, never used twice within a coordinator's life
using StageId = Id<struct StageTag>;        // one loaded stage; a reload is another stage
using StepId = Id<struct StepTag>;          // one micro-batch on its way through a pipeline
using Epoch = Id<struct EpochTag>;          // the version of the plan; grows by one

// SHA-256 of the device's public key (its DER SubjectPublicKeyInfo).
struct NodeId {
  Digest key;
  auto operator<=>(const NodeId&) const = default;
  std::string hex() const { return key.hex(); }
  std::string short_hex() const { return key.short_hex(); }
};

}  // namespace shoal

template <typename Tag>
struct std::hash<shoal::Id<Tag>> {
  std::size_t operator()(shoal::Id<Tag> id) const noexcept { return std::hash<std::uint64_t>()(id.value); }
};
template <>
struct std::hash<shoal::NodeId> {
  std::size_t operator()(const shoal::NodeId& id) const noexcept { return std::hash<shoal::Digest>()(id.key); }
};
