// In which type hidden states should travel over a link where exact answers are not asked for. Pure.
#pragma once

#include "base/activations.h"
#include "base/clock.h"

namespace shoal::plan {

// A chunk of a prompt, as it is sent before its best size is known (sched/step_cost.h).
inline constexpr std::size_t kActivationChunkRows = 32;

struct ActivationLink {
  std::size_t embedding_length = 0;
  Duration rtt{};
  double bytes_per_s = 0;    // 0: not measured
  Duration chunk_compute{};  // of kActivationChunkRows rows in the slowest stage; 0: not measured
};

// f32 unless the link is the bottleneck: unless a chunk keeps it busy for longer than the slowest stage. Then f16, and
// q8_0 if that is not enough, or the smallest there is for rows of this length. A larger type than the one in use
// `now` needs a fifth of that time to spare, so that a choice at the edge does not swing. f32, too, where fewer bytes
// shorten the way of a chunk over stage and link by less than a tenth: half a round trip stays what it is.
ActivationType choose_activation_type(const ActivationLink& link, ActivationType now);

}  // namespace shoal::plan
