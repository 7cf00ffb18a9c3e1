#include "node/system_device.h"

#include <cstdlib>

namespace shoal::node {

SystemDevice::Options SystemDevice::Options::of_this_system() {
  Options options;
  if (const char* path = std::getenv("PATH")) options.termux = TermuxBattery::find(path);
  return options;
}

SystemDevice::SystemDevice(boost::asio::io_context& io, const Options& options)
    : io_(io), proc_(options.proc), slow_{SysBattery(options.sys), Heat(options.sys)} {
  if (options.termux) termux_.emplace(io, *options.termux);
}

DeviceTelemetry SystemDevice::read(std::chrono::steady_clock::time_point now) {
  if (!reading_ && (!slow_due_ || now >= *slow_due_)) {
    slow_due_ = now + kSlowEvery;
    reading_ = std::make_unique<Reading>(
        io_,
        [this](Reading&) {
          DeviceTelemetry told;
          slow_.battery.read(told);
          slow_.heat.read(told);
          return told;
        },
        [this](const DeviceTelemetry& told) {
          reading_.reset();
          slow_told_ = told;
        });
  }
  if (reading_ && now >= *slow_due_ - kSlowEvery + kSlowMax) slow_told_.reset();
  DeviceTelemetry told = slow_told_.value_or(DeviceTelemetry());
  const bool sys_has_battery = told.battery_percent || told.battery_state;
  if (termux_ && slow_told_ && !sys_has_battery) termux_->read(now, told);
  proc_.read(now, told);
  return told;
}

}  // namespace shoal::node
