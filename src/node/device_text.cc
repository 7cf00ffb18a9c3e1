#include "node/device_text.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"

namespace shoal::node {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSpace = " \t\n\r";

}  // namespace

std::optional<std::string> read_text(const fs::path& path) {
  // O_NONBLOCK: a pipe in a file's place must not hold us up.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) return std::nullopt;
  std::string text(kDeviceTextBytesMax, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;  // a directory, or a driver that has nothing to say
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& each : lower) each = each >= 'A' && each <= 'Z' ? static_cast<char>(each - 'A' + 'a') : each;
  return lower;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  text = trimmed(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> read_number(const fs::path& path) {
  const auto text = read_text(path);
  return text ? parse_number(*text) : std::nullopt;
}

std::vector<std::string_view> words_of(std::string_view text, std::size_t words_max) {
  std::vector<std::string_view> words;
  while (words.size() < words_max) {
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(kSpace, first), text.size());
    words.push_back(text.substr(first, end - first));
    text.remove_prefix(end);
  }
  return words;
}

std::vector<fs::path> entries_of(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> entries;
  std::error_code error;
  std::size_t looked_at = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (++looked_at > kEntriesMax) break;
    if (it->path().filename().string().starts_with(prefix)) entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end(), [](const fs::path& a, const fs::path& b) {
    const std::string& left = a.native();
    const std::string& right = b.native();
    return left.size() != right.size() ? left.size() < right.size() : left < right;
  });
  return entries;
}

}  // namespace shoal::node
