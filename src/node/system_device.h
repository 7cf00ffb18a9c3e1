// What this device tells of itself, from the system it runs on: /proc, /sys, and Termux where /sys is closed.
//
// Read with every telemetry: /proc (proc_reader.h). Read every kSlowEvery, on a thread of its own, because a driver may
// take milliseconds to answer: battery (battery.h), temperatures and throttling (heat.h), which change slowly; when one
// hangs for more than kSlowMax all of these are unknown, not what they were (and the end of this object waits for it).
// Run seldom: termux-battery-status (termux_battery.h), and only where /sys has no battery and the command is there.
// All this costs well under 0.5 % of a core (measured by system_device_test.cc and bench/telemetry_bench.cc). Owned by
// the io thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include <boost/asio/io_context.hpp>

#include "node/background_task.h"
#include "node/battery.h"
#include "node/device_source.h"
#include "node/heat.h"
#include "node/proc_reader.h"
#include "node/termux_battery.h"

namespace shoal::node {

inline constexpr auto kSlowEvery = std::chrono::seconds(2);
inline constexpr auto kSlowMax = std::chrono::seconds(10);

class SystemDevice final : public DeviceSource {
 public:
  struct Options {
    std::filesystem::path proc = "/proc";
    std::filesystem::path sys = "/sys";
    std::optional<std::filesystem::path> termux;  // termux-battery-status
    static Options of_this_system();              // looks for Termux's command on $PATH
  };
  SystemDevice(boost::asio::io_context& io, const Options& options);

  DeviceTelemetry read(std::chrono::steady_clock::time_point now) override;

 private:
  // Used by one task at a time.
  struct Slow {
    SysBattery battery;
    Heat heat;
  };
  using Reading = BackgroundTask<DeviceTelemetry>;

  boost::asio::io_context& io_;
  ProcReader proc_;
  Slow slow_;
  std::optional<DeviceTelemetry> slow_told_;
  std::optional<std::chrono::steady_clock::time_point> slow_due_;
  std::optional<TermuxBattery> termux_;
  std::unique_ptr<Reading> reading_;  // last: it uses slow_
};

}  // namespace shoal::node
