// Memory that was freed, given back.
#pragma once

namespace shoal {

// What free() keeps for later goes back to the system, where the C library can do that (glibc: malloc_trim); else
// nothing happens. For after tens of MiB were freed that nobody asks for again soon. Takes the time of a walk over the
// heap (a millisecond, as a rule), in which other threads wait to allocate. Any thread.
void release_freed_memory();

}  // namespace shoal
