// The process's log: one line an event, to stderr, through spdlog. Thread-safe.
// Levels: error (somebody must act), warning (it healed or will), info (what happened to which device), debug (every
// step).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace shoal {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// Called once by main() before threads start; without it nothing below kWarning is printed.
void log_start(LogLevel level);
bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view line);

template <typename... Args>
void log_at(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) log_line(level, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::kDebug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::kInfo, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::kWarning, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::kError, format, std::forward<Args>(args)...);
}

}  // namespace shoal
