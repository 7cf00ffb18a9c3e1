// What the links of a shoal were measured to be, and what hidden states cost on them: values, and the sentence about
// the slowest. `shoal bench net` prints it. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/stage_spec.h"
#include "coordinator/status.h"
#include "net/link_speed.h"

namespace shoal::coordinator {

// Control: between the coordinator and a node, each way for itself. Data: from a stage's node to the next stage's.
enum class LinkKind { kControl, kData };

inline constexpr std::string_view to_string(LinkKind kind) {
  return kind == LinkKind::kControl ? "control" : "data";
}

struct MeasuredLink {
  LinkKind kind = LinkKind::kControl;
  std::optional<NodeId> from;  // nullopt: the coordinator
  std::optional<NodeId> to;
  std::string from_name;
  std::string to_name;
  StageId from_stage;                   // of a data link
  LinkPath path = LinkPath::kNone;      // kNone: not known, because it was not measured
  std::optional<net::LinkSpeed> speed;  // nullopt: not measured
  std::string why_not;
  Epoch epoch = {};  // of a data link: its plan's

  // Until so many bytes are there: half a round trip, and what the rate takes. Only of a link that was measured.
  Duration time_for(std::size_t bytes) const;
};

struct NetBench {
  std::vector<MeasuredLink> links;     // control links, then data links in pipeline order
  std::uint32_t embedding_length = 0;  // of the model: a row of hidden states has so many floats
  std::size_t row_bytes() const { return embedding_length * sizeof(float); }
};

// One sentence that names the link on which a full step (kStepRowsMax rows) takes longest; a control link only if no
// data link was measured, because hidden states take it only where the coordinator relays.
std::string slowest_link(const NetBench& bench);

}  // namespace shoal::coordinator
