// What telemetry costs a node: reading the device, and a frame of it. Each benchmark tells `core_s_per_s`, what two a
// second take of a core (the goal is under 0.005), and the frame's also `bytes`.
//   build/release/bin/telemetry_bench
// /proc is this system's. Machines for benchmarks have no sensors, so /sys is a folder of files as a phone has them;
// what a phone's drivers take to answer is not in it.
#include <filesystem>
#include <fstream>
#include <string>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "node/system_device.h"
#include "wire/frame.h"

namespace shoal::node {
namespace {

// 100 thermal zones, 30 coolers, 8 clusters and a battery.
class PhoneTree {
 public:
  PhoneTree() {
    std::string pattern = (std::filesystem::temp_directory_path() / "shoal-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) root_ = pattern;
    for (int i = 0; i < 100; ++i) {
      file(fmt::format("class/thermal/thermal_zone{}/type", i), i % 2 == 0 ? "cpu-0-0-usr" : "skin-therm");
      file(fmt::format("class/thermal/thermal_zone{}/temp", i), "41000");
    }
    for (int i = 0; i < 30; ++i) {
      file(fmt::format("class/thermal/cooling_device{}/type", i), "thermal-cpufreq-0");
      file(fmt::format("class/thermal/cooling_device{}/cur_state", i), "0");
    }
    for (int i = 0; i < 8; ++i) {
      file(fmt::format("devices/system/cpu/cpufreq/policy{}/cpuinfo_max_freq", i), "2000000");
      file(fmt::format("devices/system/cpu/cpufreq/policy{}/scaling_max_freq", i), "2000000");
    }
    for (const auto& [name, value] : {std::pair{"type", "Battery"},
                                      {"status", "Discharging"},
                                      {"capacity", "84"},
                                      {"current_now", "-512500"},
                                      {"voltage_now", "4012500"},
                                      {"temp", "312"}}) {
      file(fmt::format("class/power_supply/battery/{}", name), value);
    }
  }
  ~PhoneTree() {
    std::error_code error;
    if (!root_.empty()) std::filesystem::remove_all(root_, error);
  }
  PhoneTree(const PhoneTree&) = delete;
  PhoneTree& operator=(const PhoneTree&) = delete;
  const std::filesystem::path& root() const { return root_; }

 private:
  void file(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  std::filesystem::path root_;
};

// As a node has it: half a second between two readings, so that /sys is read with every fourth, on its own thread.
void BM_ReadDevice(benchmark::State& state) {
  const PhoneTree phone;
  boost::asio::io_context io;
  SystemDevice device(io, {"/proc", phone.root(), {}});
  auto now = std::chrono::steady_clock::time_point();
  for (auto _ : state) {
    benchmark::DoNotOptimize(device.read(now += std::chrono::milliseconds(500)));
    io.restart();
    io.poll();
  }
  state.counters["core_s_per_s"] = benchmark::Counter(static_cast<double>(state.iterations()) / 2,
                                                      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_ReadDevice)->MeasureProcessCPUTime();

void BM_EncodeFrame(benchmark::State& state) {
  Telemetry telemetry;
  for_each_field(telemetry.device, [](std::string_view, auto& value, FieldRange range) {
    value = static_cast<typename std::remove_reference_t<decltype(value)>::value_type>(range.most);
  });
  telemetry.coordinator_rtt_us = 10'000;
  telemetry.neighbours.assign(2, {{Sha256::of({})}, 10'000});
  telemetry.stages.assign(2, {{1000}, 10, 1'000'000, 50'000, 20'000});
  std::size_t bytes = 0;
  for (auto _ : state) bytes = wire::encode_frame(telemetry, 0).size();
  state.counters["bytes"] = static_cast<double>(bytes);
  state.counters["core_s_per_s"] = benchmark::Counter(static_cast<double>(state.iterations()) / 2,
                                                      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_EncodeFrame);

}  // namespace
}  // namespace shoal::node

BENCHMARK_MAIN();
