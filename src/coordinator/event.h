// What happened to the shoal, told to a person: values only, any thread. events.h keeps them, event_story.h makes them,
// the API gives them as JSON (GET /shoal/v1/events), `shoal events` prints them.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/log.h"

namespace shoal::coordinator {

enum class EventKind : std::uint8_t {
  kCoordinatorStarted,
  kCoordinatorStopped,
  kNodePaired,
  kNodeConnected,
  kNodeLost,
  kNodeRevoked,
  kNodeShare,      // it is to get less, or more again
  kNodeDrained,    // by its battery, its heat or its owner's limits
  kNodeBack,       // it is drained no more
  kPlanMade,       // layers go to other nodes
  kPlanRestarted,  // the same stages under a new epoch
  kPlanServing,
  kPlanNone,
  kStageReady,
  kStageFailed,
  kStepFailed,
  kSequenceFailed,  // ended with a typed error
  kNodePaused,      // by its owner
  kNodeResumed,
  kSequencesMoved,  // to another pipeline, all for the same reason
};

struct EventKindInfo {
  std::string_view name;  // in the store and in JSON; never changed once released
  LogLevel level;         // of its line in the coordinator's log
};
// By kind.
inline constexpr std::array<EventKindInfo, 20> kEventKinds = {{
    {"coordinator_started", LogLevel::kInfo}, {"coordinator_stopped", LogLevel::kInfo},
    {"node_paired", LogLevel::kInfo},         {"node_connected", LogLevel::kInfo},
    {"node_lost", LogLevel::kInfo},           {"node_revoked", LogLevel::kInfo},
    {"node_share", LogLevel::kInfo},          {"node_drained", LogLevel::kInfo},
    {"node_back", LogLevel::kInfo},           {"plan_made", LogLevel::kInfo},
    {"plan_restarted", LogLevel::kInfo},      {"plan_serving", LogLevel::kInfo},
    {"plan_none", LogLevel::kInfo},           {"stage_ready", LogLevel::kInfo},
    {"stage_failed", LogLevel::kError},       {"step_failed", LogLevel::kWarning},
    {"sequence_failed", LogLevel::kWarning},  {"node_paused", LogLevel::kInfo},
    {"node_resumed", LogLevel::kInfo},        {"sequences_moved", LogLevel::kInfo},
}};
inline constexpr std::string_view to_string(EventKind kind) {
  return kEventKinds[static_cast<std::size_t>(kind)].name;
}
inline constexpr std::optional<EventKind> parse_event_kind(std::string_view name) {
  for (std::size_t i = 0; i < kEventKinds.size(); ++i) {
    if (kEventKinds[i].name == name) return static_cast<EventKind>(i);
  }
  return std::nullopt;
}

inline constexpr std::size_t kEventTextBytesMax = 600;
inline constexpr std::size_t kEventsKeptMax = 10'000;  // in the store; older ones are forgotten
inline constexpr std::size_t kEventsPerPageMax = 1000;
inline constexpr std::chrono::seconds kEventsSinceMax = std::chrono::hours(24 * 366);

struct Event {
  std::uint64_t number = 0;  // 1, 2, 3, ...: goes on over restarts; in the order in which events were told
  std::int64_t unix_ms = 0;  // when it happened, by a wall clock that may have been set since
  EventKind kind = EventKind::kCoordinatorStarted;
  std::optional<NodeId> node;
  std::string node_name;  // as it was then; "" without a node
  std::string text;       // one sentence without the node's name before it; UTF-8, no control characters
  std::optional<std::int64_t> duration_ms = std::nullopt;  // how long it took; the sentence says it too
  std::optional<Epoch> epoch = std::nullopt;               // of the plan that it is about
  std::uint32_t times = 1;  // it is the newest of so many alike (events.h: what storms do)
  bool operator==(const Event&) const = default;
};

// Events above `after`, not older than `since`, oldest first, `limit` of them at most; the newest `limit` where neither
// is given.
struct EventQuery {
  std::optional<std::uint64_t> after = std::nullopt;
  std::optional<std::chrono::seconds> since = std::nullopt;
  std::size_t limit = 100;  // 1 .. kEventsPerPageMax
};
struct EventPage {
  std::vector<Event> events;
  std::uint64_t newest = 0;  // number of the newest event of all; 0: there is none
};

// Its function is called after each event, on the io thread, as long as this is held.
using EventWatch = std::shared_ptr<const std::function<void()>>;

}  // namespace shoal::coordinator
