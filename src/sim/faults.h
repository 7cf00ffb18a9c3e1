// The kinds of faults of the faults form (Options::all_faults), in a table. Each is drawn with a chance that the table
// says, lasts for a drawn time and is over by Options::faults_until; any number of them overlap. Most seeds draw all
// kinds, others a few, so that each is also seen alone.
#pragma once

#include <cstdint>
#include <span>

#include "base/clock.h"

namespace shoal::sim {

class World;

struct Fault {
  std::size_t phone = 0;
  std::size_t other = 0;   // another phone; the same one where there is just one
  std::uint64_t draw = 0;  // what else the kind leaves open
};

struct FaultKind {
  const char* name;
  const char* what;
  std::uint32_t weight;
  Duration shortest;
  Duration longest;
  void (World::*begin)(const Fault&);
  void (World::*end)(const Fault&);  // nullptr: there is nothing to end
};

std::span<const FaultKind> fault_kinds();

}  // namespace shoal::sim
