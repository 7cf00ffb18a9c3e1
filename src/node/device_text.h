// The small texts of /proc and /sys: untrusted, as all that comes from outside. A file that is not there, may not be
// read, is a directory or a pipe, or says something else than was asked for, is nullopt. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::node {

// The beginning of a file, at most this much: all of any file read here, or the part that is asked for.
inline constexpr std::size_t kDeviceTextBytesMax = 4096;
std::optional<std::string> read_text(const std::filesystem::path& path);

// Without the white space around it.
std::string_view trimmed(std::string_view text);
std::string lower_case(std::string_view text);
// A decimal number and nothing else but white space around it; nullopt also for one beyond 64 bits.
std::optional<std::int64_t> parse_number(std::string_view text);
std::optional<std::int64_t> read_number(const std::filesystem::path& path);
// The text between white space; at most `words_max` of them.
std::vector<std::string_view> words_of(std::string_view text, std::size_t words_max);

// The entries of a folder whose names begin so, in the order of their names, shorter ones first (zone2 before zone10).
// At most kEntriesMax are looked at.
inline constexpr std::size_t kEntriesMax = 1024;
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder, std::string_view prefix);

}  // namespace shoal::node
