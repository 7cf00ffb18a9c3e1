// Other programs: what one prints, and what none of them inherits.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace shoal {

// Descriptors that libraries opened (sockets of the event loop) or that we were started with: from here on none of them
// is a child's. One that held our socket, or another child's pipe, would keep it open after our end.
void keep_descriptors_from_children();

// As exec and posix_spawn take them: they change nothing in the texts, whatever their types say. Holds as long as
// `arguments` does.
std::vector<char*> argv_of(const std::vector<std::string>& arguments);

// Runs `arguments` (arguments[0] is the program's path) to its end, without input, and returns what it wrote to its
// standard output; its errors go nowhere. Blocks the calling thread, so not for the io thread. When it has not ended
// after `time_max` (kDeadlineExceeded), has printed more than `bytes_max` (kResourceExhausted) or `stopping` says so,
// asked some 20 times a second (kCancelled), it is killed, with all that it has started in its process group.
// kInternal: it cannot be started, or ended with another exit code than 0.
Result<std::string> output_of(const std::vector<std::string>& arguments, Duration time_max, std::size_t bytes_max,
                              const std::function<bool()>& stopping);

}  // namespace shoal
