#include "node/proc_reader.h"

#include <algorithm>
#include <array>

#include <unistd.h>

#include "node/device_text.h"

namespace shoal::node {
namespace {

constexpr std::int64_t kTicksMax = std::int64_t{1} << 52;  // of one counter; so that sums of them are in range

std::optional<std::int64_t> ticks_of(std::string_view word) {
  const auto ticks = parse_number(word);
  return ticks && *ticks >= 0 && *ticks <= kTicksMax ? ticks : std::nullopt;
}

// The line that begins with this word, without it.
std::optional<std::string_view> line_of(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.starts_with(word)) return line.substr(word.size());
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

// "  1234 kB"
std::optional<std::uint64_t> kib_of(std::optional<std::string_view> line) {
  if (!line) return std::nullopt;
  const auto words = words_of(*line, 2);
  if (words.size() != 2 || words[1] != "kB") return std::nullopt;
  const auto kib = parse_number(words[0]);
  if (!kib || *kib < 0 || *kib > INT64_MAX / 1024) return std::nullopt;
  return static_cast<std::uint64_t>(*kib) * 1024;
}

// " avg10=1.53 avg60=...": the kernel always writes two digits behind the point.
std::optional<std::uint32_t> pressure_permille(std::optional<std::string_view> line) {
  constexpr std::string_view kName = "avg10=";
  const auto words = line ? words_of(*line, 1) : std::vector<std::string_view>();
  if (words.empty() || !words[0].starts_with(kName)) return std::nullopt;
  const std::string_view value = words[0].substr(kName.size());
  const std::size_t point = value.find('.');
  if (point == std::string_view::npos || value.size() != point + 3) return std::nullopt;
  const auto whole = ticks_of(value.substr(0, point));
  const auto hundredths = ticks_of(value.substr(point + 1));
  if (!whole || !hundredths || *whole > 100) return std::nullopt;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(*whole * 10 + (*hundredths + 5) / 10, 1000));
}

std::uint32_t permille(std::int64_t part, std::int64_t whole) {
  const double share = static_cast<double>(part) / static_cast<double>(whole);
  return static_cast<std::uint32_t>(std::clamp(share, 0.0, 1.0) * 1000 + 0.5);
}

}  // namespace

ProcReader::Units ProcReader::Units::of_this_system() {
  // Not those that this process may run on: its share is of all, as /proc/stat's would be.
  return {std::max<std::int64_t>(::sysconf(_SC_NPROCESSORS_ONLN), 1), std::max<std::int64_t>(::sysconf(_SC_CLK_TCK), 1),
          ::sysconf(_SC_PAGESIZE)};
}

ProcReader::ProcReader(std::filesystem::path proc, Units units) : proc_(std::move(proc)), units_(units) {}

void ProcReader::read(std::chrono::steady_clock::time_point now, DeviceTelemetry& into) {
  if (!last_ || now - last_->at >= kCpuWindowMin) {
    const CpuTimes times = cpu_times(now);
    if (last_) use_ = use_between(*last_, times);
    last_ = times;
  }
  into.cpu_own_permille = use_.own_permille;
  into.cpu_others_permille = use_.others_permille;
  read_memory(into);
  read_pressure(into);
}

ProcReader::CpuTimes ProcReader::cpu_times(std::chrono::steady_clock::time_point now) const {
  CpuTimes times{now, {}, {}, 0};
  // "cpu  user nice system idle iowait irq softirq steal guest guest_nice": guests are counted in user and nice too.
  if (const auto text = read_text(proc_ / "stat")) {
    const auto words = words_of(line_of(*text, "cpu ").value_or(""), 8);
    std::array<std::int64_t, 8> ticks{};
    bool good = words.size() >= 4;  // kernels before 2.6 had no more
    for (std::size_t i = 0; good && i < words.size(); ++i) {
      const auto each = ticks_of(words[i]);
      good = each.has_value();
      ticks[i] = each.value_or(0);
    }
    if (good) {
      times.all = 0;
      for (const std::int64_t each : ticks) *times.all += each;
      times.idle = ticks[3] + ticks[4];
    }
  }
  // "pid (name) state ppid ...": the name may hold anything, also ")". utime and stime are the 12th and 13th behind it.
  if (const auto text = read_text(proc_ / "self" / "stat")) {
    const std::size_t name_end = text->rfind(')');
    if (name_end == std::string::npos) return times;
    const auto words = words_of(std::string_view(*text).substr(name_end + 1), 13);
    if (words.size() < 13) return times;
    const auto user = ticks_of(words[11]);
    const auto system = ticks_of(words[12]);
    if (user && system) times.own = *user + *system;
  }
  return times;
}

ProcReader::CpuUse ProcReader::use_between(const CpuTimes& before, const CpuTimes& after) const {
  CpuUse use;
  const auto own = before.own && after.own ? std::optional(*after.own - *before.own) : std::nullopt;
  if (own && *own < 0) return use;
  if (before.all && after.all) {
    const std::int64_t all = *after.all - *before.all;
    const std::int64_t idle = after.idle - before.idle;  // iowait may count backwards
    if (all <= 0 || idle < 0 || idle > all) return use;
    if (own) use.own_permille = permille(*own, all);
    if (own) use.others_permille = permille(all - idle - *own, all);
  } else if (own) {
    const double seconds = std::chrono::duration<double>(after.at - before.at).count();
    const auto all = static_cast<std::int64_t>(seconds * static_cast<double>(units_.ticks_per_second * units_.cores));
    if (all > 0) use.own_permille = permille(*own, all);
  }
  return use;
}

void ProcReader::read_memory(DeviceTelemetry& into) const {
  if (const auto text = read_text(proc_ / "meminfo")) {
    into.memory_total_bytes = kib_of(line_of(*text, "MemTotal:"));
    into.memory_available_bytes = kib_of(line_of(*text, "MemAvailable:"));
  }
  if (const auto text = read_text(proc_ / "self" / "statm")) {
    const auto words = words_of(*text, 2);
    const auto pages = words.size() == 2 ? ticks_of(words[1]) : std::nullopt;
    if (pages && *pages <= INT64_MAX / units_.page_bytes) {
      into.resident_bytes = static_cast<std::uint64_t>(*pages * units_.page_bytes);
    }
  }
}

void ProcReader::read_pressure(DeviceTelemetry& into) const {
  const auto text = read_text(proc_ / "pressure" / "memory");
  if (!text) return;
  into.memory_some_permille = pressure_permille(line_of(*text, "some "));
  into.memory_full_permille = pressure_permille(line_of(*text, "full "));
}

}  // namespace shoal::node
