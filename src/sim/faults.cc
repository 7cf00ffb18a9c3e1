#include "sim/faults.h"

#include "sim/world.h"

namespace shoal::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::span<const FaultKind> fault_kinds() {
  using W = World;
  static constexpr FaultKind kKinds[] = {
      {"kill", "a phone's process dies and is started again", 14, milliseconds(10), seconds(20), &W::begin_kill,
       &W::begin_phone},
      {"power", "a phone goes without closing its links", 6, milliseconds(500), seconds(20), &W::begin_power_loss,
       &W::begin_phone},
      {"stop", "a phone does nothing for a time (SIGSTOP)", 10, milliseconds(200), seconds(10), &W::begin_stop,
       &W::end_stop},
      {"doze", "a phone sends and receives in batches, 0.1 to 2 s apart", 8, seconds(1), seconds(20), &W::begin_doze,
       &W::end_doze},
      {"cut", "nothing arrives in one direction: phone to coordinator, back, to another phone, or all of a phone's", 14,
       milliseconds(200), seconds(20), &W::begin_cut, &W::end_cut},
      {"reset", "a data link or a control link is closed by something between", 10, milliseconds(1), milliseconds(1),
       &W::begin_reset, nullptr},
      {"delay", "a phone's links take 10 to 100 times as long", 8, seconds(1), seconds(15), &W::begin_delay,
       &W::end_delay},
      {"slow", "a phone computes 2 to 10 times slower", 8, seconds(1), seconds(30), &W::begin_slowness,
       &W::end_slowness},
      {"memory", "a phone is out of memory: stages refuse steps, or do not load", 6, milliseconds(100), seconds(8),
       &W::begin_out_of_memory, &W::end_out_of_memory},
      {"repeat", "what a phone says comes again, up to 5 s later", 8, seconds(1), seconds(30), &W::begin_repetitions,
       &W::end_repetitions},
      {"pause", "a phone's owner pauses it", 4, milliseconds(100), seconds(30), &W::begin_pause, &W::end_pause},
      {"restart", "the coordinator dies and is started again", 4, milliseconds(100), seconds(5), &W::begin_restart,
       &W::end_restart},
  };
  return kKinds;
}

}  // namespace shoal::sim
