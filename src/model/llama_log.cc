#include "model/llama_log.h"

#include <mutex>
#include <string_view>

#include "base/log.h"
#include "llama.h"

namespace shoal::model {
namespace {

thread_local std::string last_error;

void receive(ggml_log_level level, const char* text, void*) {
  std::string_view line = text == nullptr ? std::string_view() : std::string_view(text);
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (line.empty()) return;
  // The first error names the cause; those after it only say that their caller failed as well.
  if (level == GGML_LOG_LEVEL_ERROR && last_error.empty()) last_error = line;
  log_debug("llama.cpp: {}", line);
}

}  // namespace

void route_llama_log() {
  static std::once_flag once;
  std::call_once(once, [] { llama_log_set(receive, nullptr); });
}

std::string take_llama_error() {
  std::string error = std::move(last_error);
  last_error.clear();
  // "llama_model_load: error loading model: ..." -> what stands behind the last of the known prefixes
  for (const std::string_view prefix : {"llama_model_load: ", "error loading model: "}) {
    if (error.starts_with(prefix)) error.erase(0, prefix.size());
  }
  return error;
}

}  // namespace shoal::model
