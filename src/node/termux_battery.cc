#include "node/termux_battery.h"

#include <cmath>

#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/command.h"
#include "base/log.h"

namespace shoal::node {
namespace {

using nlohmann::json;

// `name` times `factor`, rounded; nullopt when it is no number, or beyond what any battery says.
std::optional<std::int64_t> number_of(const json& object, const char* name, double factor) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  const double value = found->get<double>() * factor;
  if (!std::isfinite(value) || std::abs(value) > 1e12) return std::nullopt;
  return std::llround(value);
}

}  // namespace

Result<BatteryReading> parse_termux_battery(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return Error{ErrorCode::kCorrupt, "termux-battery-status printed no JSON object"};
  BatteryReading reading;
  reading.percent = number_of(object, "percentage", 1);
  if (const auto state = object.find("status"); state != object.end() && state->is_string()) {
    reading.state = parse_battery_state(state->get<std::string>());
  }
  reading.current = number_of(object, "current", 1);
  reading.voltage_uv = number_of(object, "voltage", 1000);        // millivolts; of newer versions
  reading.millicelsius = number_of(object, "temperature", 1000);  // degrees
  if (!reading.percent && !reading.state) {
    return Error{ErrorCode::kCorrupt, "termux-battery-status says nothing of a battery"};
  }
  return reading;
}

TermuxBattery::TermuxBattery(boost::asio::io_context& io, std::filesystem::path command,
                             std::chrono::milliseconds run_max)
    : io_(io), command_(std::move(command)), run_max_(run_max) {}

std::optional<std::filesystem::path> TermuxBattery::find(std::string_view search_path) {
  while (!search_path.empty()) {
    const std::size_t end = std::min(search_path.find(':'), search_path.size());
    const std::filesystem::path folder(search_path.substr(0, end));
    const auto path = folder / "termux-battery-status";
    if (folder.is_absolute() && ::access(path.c_str(), X_OK) == 0) return path;
    search_path.remove_prefix(std::min(end + 1, search_path.size()));
  }
  return std::nullopt;
}

void TermuxBattery::read(std::chrono::steady_clock::time_point now, DeviceTelemetry& into) {
  if (!run_ && (!due_ || now >= *due_)) {
    due_ = now + kTermuxEvery;
    run_ = std::make_unique<Run>(
        io_,
        [command = command_.string(), run_max = run_max_](Run& run) -> Result<BatteryReading> {
          SHOAL_ASSIGN_OR_RETURN(const std::string output,
                                 output_of({command}, run_max, kTermuxBytesMax, [&run] { return run.stopping(); }));
          return parse_termux_battery(output);
        },
        [this, now](Result<BatteryReading> reading) {
          run_.reset();
          reading_ = reading.ok() ? std::optional(*reading) : std::nullopt;
          if (reading.ok()) return;
          due_ = now + kTermuxAfterFailure;
          log_info("the battery is not known: {}", reading.error().message);
        });
  }
  if (reading_) meter_.tell(*reading_, into);
}

}  // namespace shoal::node
