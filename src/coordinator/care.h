// What may be asked of a node, by its battery, its heat and its owner's limits: all, less, or nothing (it is drained:
// what it hosts moves to others, and it serves on until they have it).
//
// One object a node. It is told every telemetry and gives a verdict: the share of what the device could do that it is
// to get, and why, in words. Pure: no I/O, no clock, no threads.
//
// The rules, and what their numbers are taken from. The strictest counts:
// - Battery, not charging: nothing below the owner's limit (20 %), less in the 10 points above it. Android warns at
//   15 % (config_lowBatteryWarningLevel) and saves power from there on, which makes a node slow; 5 points are time to
//   move. A battery that does not say whether it is charging counts as not charging.
// - Battery and case: nothing above the limit (45 °C), less in the 5 degrees below. Li-ion cells are charged up to
//   45 °C (JEITA; devices slow charging down there, and switch off from 55 °C on); ECMA-287 allows 43 °C for what is
//   held.
// - Processor: nothing above its limit (85 °C), less in the 5 degrees below. A Raspberry Pi throttles from 80 °C on and
//   has its limit at 85; the device trees of Qualcomm's phones throttle at 90 and switch off at 110. Laptops are made
//   for more: their owners raise it.
// - A processor that its system slows down gets as much less as its clock does: what it does for long is what counts,
//   not what it can do for a minute.
// - Memory: nothing when tasks waited for it in half of the last 10 s (pressure stall information), less from a tenth
//   on: Linux hands out memory that it does not have, and kills. systemd-oomd kills at 60 % for 30 s; Android's lmkd at
//   stalls of 70 ms a second (some) for what nobody looks at, and of 700 (full) for what is in front.
// - "Only while charging": nothing on the battery, and nothing where the device cannot tell.
// A value that is unknown decides nothing, but for the last rule.
//
// No flapping:
// - A share is one of five (0, 250, .. 1000 permille), so that small changes change nothing.
// - Worse needs kWorseFor of reports that agree, so that one odd reading drains nobody. Only the first report of a
//   node, and the first under other limits of its owner, counts at once: it may host nothing yet.
// - Better needs a margin in the value, kBetterFor of reports that agree, and kRestMin since it last got better. If it
//   gets worse again within kRelapse, that rest doubles, up to kRestMax: a phone that overheats at each try gets to the
//   share that it can keep up. So between two times that it gets better lies kRestMin at the least, and at most four
//   times that it gets worse.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/owner_limits.h"
#include "base/telemetry.h"

namespace shoal::coordinator {

inline constexpr std::uint32_t kWholeShare = 1000;  // permille
inline constexpr std::uint32_t kShareStep = 250;

// Batteries and sensors are read every 2 s and told every 500 ms: two readings must agree.
inline constexpr Duration kWorseFor = std::chrono::seconds(3);
inline constexpr Duration kBetterFor = std::chrono::seconds(5);
// Moving a stage there and back costs two loads of a shard, seconds each from flash: a few percent of this.
inline constexpr Duration kRestMin = std::chrono::minutes(1);
inline constexpr Duration kRestMax = std::chrono::minutes(16);
// Phones throttle after minutes of load; who has held out so long can keep it up.
inline constexpr Duration kRelapse = std::chrono::minutes(10);
// Until when a value that held the node back, and is not told any more, counts as it was last told.
inline constexpr Duration kUnknownKept = std::chrono::minutes(10);

inline constexpr std::uint32_t kBatteryBandPercent = 10;       // less: so much above the limit; back from there
inline constexpr std::uint32_t kBatteryChargedPercent = 5;     // back on a charger: so much above it
inline constexpr std::int32_t kHeatBandMillicelsius = 5000;    // less: so much below the limit; back from there
inline constexpr std::int32_t kHeatMarginMillicelsius = 2000;  // between the steps of less
inline constexpr std::uint32_t kThrottledShare =
    750;  // where the system does not say how much; papers measured 10-44 %
inline constexpr std::uint32_t kClockMarginPermille = 50;
inline constexpr std::uint32_t kPressureMostPermille = 500;   // above: nothing
inline constexpr std::uint32_t kPressureBandPermille = 400;   // less: so much below it; back from there
inline constexpr std::uint32_t kPressureMarginPermille = 50;  // between the steps of less

struct CareVerdict {
  std::uint32_t share_permille = kWholeShare;  // 0: drained
  std::string reason;  // without the node's name: "battery 14 %, below its 20 %"; "": all is well
  bool drained() const { return share_permille == 0; }
};

enum class CareStep { kLess, kDrained, kMore, kBack };
struct CareChange {
  CareStep step;
  std::string text;  // one sentence without the node's name: "drained: battery 14 %, below its 20 %"
};

class Care {
 public:
  // The node joins, for the first time or again. The verdict stays until it reports.
  void joined(const OwnerLimits& limits);
  // What changed, if the share did. Times must not go back.
  std::optional<CareChange> report(const DeviceTelemetry& device, Time now);
  // Of a node that works only while it charges, and has not told yet whether it does: drained.
  const CareVerdict& verdict() const { return waits_ ? kWaits : verdict_; }

 private:
  struct Trend {  // reports in a row that all say worse, or better
    Time since;
    std::uint32_t share_permille;  // that all of them would give at the most (better) or at the least (worse)
  };
  void set_share(std::uint32_t share_permille, Time now);
  void consider_worse(std::uint32_t share_permille, Time now);
  void consider_better(std::uint32_t share_permille, bool known, Time now);
  std::string reason(const DeviceTelemetry& device, const std::string& what) const;
  std::optional<CareChange> change_from(std::uint32_t before, const std::string& what) const;

  static const CareVerdict kWaits;

  OwnerLimits limits_;
  CareVerdict verdict_;
  bool waits_ = false;
  std::size_t cause_ = 0;  // the rule that held it back last
  bool fresh_ = true;      // no report since the limits are what they are
  std::optional<Trend> worse_;
  std::optional<Trend> better_;
  std::optional<Time> better_at_;  // when it last got better
  bool relapsed_ = false;          // worse since then
  Duration rest_ = kRestMin;
};

}  // namespace shoal::coordinator
