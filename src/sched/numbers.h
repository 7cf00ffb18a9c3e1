// What is counted once for all lanes of a scheduler (scheduler.h), so that no number stands for two things.
#pragma once

#include <cstdint>

namespace shoal::sched {

struct Numbers {
  std::uint64_t epochs = 0;
  std::uint64_t stages = 0;
  std::uint64_t steps = 0;
  std::uint64_t sequences = 0;
  std::uint64_t asks = 0;
  std::uint64_t arrivals = 0;
};

}  // namespace shoal::sched
