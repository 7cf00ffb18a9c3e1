// The battery as `termux-battery-status` tells it, for phones that close /sys to apps. Owned by the io thread.
//
// The command asks Android by way of the Termux:API app. It takes from a moment to a second, hangs for ever where that
// app is missing, and starts processes that cost far more than all else that is read here: so it runs seldom, on a
// thread of its own, and is killed when its time is up. Taking half a second of computing for one run (our assumption:
// nobody has measured it on a phone for this), one in kTermuxEvery is 0.28 % of a core. What one run said is told until
// the next has ended; after one that failed nothing is told, and the next try waits for kTermuxAfterFailure.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "node/background_task.h"
#include "node/battery.h"

namespace shoal::node {

inline constexpr auto kTermuxEvery = std::chrono::seconds(180);
inline constexpr auto kTermuxAfterFailure = std::chrono::seconds(600);
inline constexpr auto kTermuxMax = std::chrono::seconds(10);
inline constexpr std::size_t kTermuxBytesMax = 16384;

// The JSON that the command prints; kCorrupt when it is none, or says nothing of a battery.
Result<BatteryReading> parse_termux_battery(std::string_view json);

class TermuxBattery {
 public:
  // `run_max`: when a run is killed.
  TermuxBattery(boost::asio::io_context& io, std::filesystem::path command,
                std::chrono::milliseconds run_max = kTermuxMax);

  // The command on this PATH ("/a:/b"); nullopt when there is none.
  static std::optional<std::filesystem::path> find(std::string_view search_path);

  // Starts a run when one is due; tells what the last one said.
  void read(std::chrono::steady_clock::time_point now, DeviceTelemetry& into);

 private:
  using Run = BackgroundTask<Result<BatteryReading>>;

  boost::asio::io_context& io_;
  std::filesystem::path command_;
  std::chrono::milliseconds run_max_;
  std::optional<std::chrono::steady_clock::time_point> due_;
  std::optional<BatteryReading> reading_;
  BatteryMeter meter_;
  std::unique_ptr<Run> run_;
};

}  // namespace shoal::node
