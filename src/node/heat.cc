#include "node/heat.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "node/device_text.h"

namespace shoal::node {
namespace fs = std::filesystem;
namespace {

// Parts of the names of zones, in lower case. Qualcomm: cpu-0-0-usr, cpuss-0, tsens_tz_sensor0, quiet-therm; Google and
// Samsung: BIG, MID, LITTLE, soc_therm, VIRTUAL-SKIN; MediaTek: mtktscpu; Raspberry Pi: cpu-thermal; Intel:
// x86_pkg_temp; AMD: k10temp. "tsens" are the sensors on the chip itself.
constexpr std::array<std::string_view, 6> kCpuParts = {"cpu", "x86_pkg", "k10temp", "soc_therm", "soc-therm", "tsens"};
constexpr std::array<std::string_view, 3> kCpuNames = {"big", "mid", "little"};
constexpr std::array<std::string_view, 3> kSkinParts = {"skin", "quiet", "shell"};

template <std::size_t size>
bool has_part(std::string_view text, const std::array<std::string_view, size>& parts) {
  return std::any_of(parts.begin(), parts.end(), [&](auto part) { return text.find(part) != std::string_view::npos; });
}

bool is_cpu_zone(std::string_view type) {
  return has_part(type, kCpuParts) || std::find(kCpuNames.begin(), kCpuNames.end(), type) != kCpuNames.end();
}
bool is_cpu_cooler(std::string_view type) {
  return type.find("cpu") != std::string_view::npos || type == "processor";
}

std::optional<std::int32_t> millicelsius_of(std::int64_t value) {
  const auto scaled = [&](std::int64_t factor) { return static_cast<std::int32_t>(value * factor); };
  if (value >= 5 && value <= 125) return scaled(1000);
  if (value >= 200 && value <= 1250) return scaled(100);
  if (value >= 5000 && value <= 125'000) return scaled(1);
  return std::nullopt;
}

std::optional<std::int32_t> hottest(const std::vector<fs::path>& zones) {
  std::optional<std::int32_t> most;
  for (const auto& zone : zones) {
    const auto value = read_number(zone);
    const auto temperature = value ? millicelsius_of(*value) : std::nullopt;
    if (temperature) most = std::max(*temperature, most.value_or(*temperature));
  }
  return most;
}

}  // namespace

void Heat::find() {
  for (const auto& zone : entries_of(sys_ / "class" / "thermal", "thermal_zone")) {
    const std::string type = lower_case(trimmed(read_text(zone / "type").value_or("")));
    auto* kind = has_part(type, kSkinParts) ? &skin_zones_ : is_cpu_zone(type) ? &cpu_zones_ : nullptr;
    if (kind != nullptr && kind->size() < kZonesMax) kind->push_back(zone / "temp");
  }
  for (const auto& cooler : entries_of(sys_ / "class" / "thermal", "cooling_device")) {
    const std::string type = lower_case(trimmed(read_text(cooler / "type").value_or("")));
    if (is_cpu_cooler(type) && coolers_.size() < kCoolersMax) coolers_.push_back(cooler / "cur_state");
  }
  for (const auto& cluster : entries_of(sys_ / "devices" / "system" / "cpu" / "cpufreq", "policy")) {
    const auto khz = read_number(cluster / "cpuinfo_max_freq");
    if (khz && *khz > 0 && *khz <= 100'000'000 && clusters_.size() < kClustersMax) {
      clusters_.push_back({cluster / "scaling_max_freq", *khz});
    }
  }
}

void Heat::read(DeviceTelemetry& into) {
  if (!std::exchange(looked_, true)) find();
  into.cpu_millicelsius = hottest(cpu_zones_);
  into.skin_millicelsius = hottest(skin_zones_);
  for (const auto& cluster : clusters_) {
    const auto khz = read_number(cluster.limit);
    if (!khz || *khz <= 0) continue;
    const auto share = static_cast<std::uint32_t>(std::min(*khz, cluster.highest_khz) * 1000 / cluster.highest_khz);
    into.cpu_limit_permille = std::min(share, into.cpu_limit_permille.value_or(share));
  }
  if (into.cpu_limit_permille) into.throttled = *into.cpu_limit_permille < 1000;
  for (const auto& cooler : coolers_) {
    const auto state = read_number(cooler);
    if (state && *state >= 0) into.throttled = into.throttled.value_or(false) || *state > 0;
  }
}

}  // namespace shoal::node
