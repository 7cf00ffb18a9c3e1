// llama.cpp's log, kept off stderr: its lines go to our debug level, and the last error of a call can be quoted.
// Thread-safe; llama.cpp has one logger a process.
#pragma once

#include <string>

namespace shoal::model {

// Routes the log. Called before any other call of llama.cpp; again is harmless.
void route_llama_log();

// The last error line that llama.cpp wrote on this thread since the call before, without its function name; "" if none.
std::string take_llama_error();

}  // namespace shoal::model
