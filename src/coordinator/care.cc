#include "coordinator/care.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace shoal::coordinator {
namespace {

// What a node has now: a rule asks for more than its number before it gives back what it took.
enum class Held { kNothing, kLess, kDrained };

struct Finding {
  bool known = false;  // the device tells what the rule needs, and the rule is in force
  std::uint32_t share_permille = kWholeShare;
  std::string what;  // as it is: "battery 14 %"
  std::string why;   // it may not have all: ", below its 20 %"
  bool cannot_tell = false;
};

// The share for what is left of a band: whole steps, and the last one down to its end.
std::uint32_t share_of(std::int64_t left, std::int64_t band) {
  const std::int64_t share = left * kWholeShare / band / kShareStep * kShareStep;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(share, kShareStep, kWholeShare));
}

bool on_power(BatteryState state) {
  return state != BatteryState::kDischarging;
}

std::string battery_text(std::uint32_t percent, std::optional<BatteryState> state) {
  constexpr std::array<std::string_view, 4> kStates = {"", ", charging", ", on external power", ", full"};
  return fmt::format("battery {} %{}", percent, state ? kStates[static_cast<std::size_t>(*state)] : "");
}

Finding battery_rule(const OwnerLimits& limits, const DeviceTelemetry& device, Held held) {
  if (limits.battery_min_percent == 0 || !device.battery_percent) return {};
  const std::int64_t percent = *device.battery_percent;
  const std::int64_t least = limits.battery_min_percent;
  Finding found{true, kWholeShare, battery_text(*device.battery_percent, device.battery_state), "", false};
  if (device.battery_state && on_power(*device.battery_state)) {
    const std::int64_t back = least + kBatteryChargedPercent;
    if (held == Held::kNothing || percent >= back) return found;
    found.share_permille = 0;
    found.why = fmt::format("; back from {} %", back);
    return found;
  }
  const std::int64_t left = percent - least - (held == Held::kNothing ? 0 : kBatteryBandPercent);
  found.share_permille = left < 0 ? 0 : share_of(left, kBatteryBandPercent);
  if (held == Held::kDrained) {
    found.why = fmt::format("; back from {} %, or from {} % on a charger", least + kBatteryBandPercent,
                            least + kBatteryChargedPercent);
  } else if (held == Held::kLess) {
    found.why = "; all again on a charger";
  } else if (found.share_permille < kWholeShare) {
    found.why = fmt::format(", {} its {} %", left < 0 ? "below" : "near", least);
  }
  return found;
}

Finding heat_finding(std::int32_t millicelsius, std::string_view where, std::uint32_t limit_celsius, Held held) {
  const std::int64_t limit = std::int64_t{limit_celsius} * 1000;
  const std::int64_t back = limit - kHeatBandMillicelsius;
  Finding found{true, kWholeShare, fmt::format("{} at {:.1f} °C", where, millicelsius / 1000.0), "", false};
  const std::int64_t left = limit - millicelsius - (held == Held::kNothing ? 0 : kHeatMarginMillicelsius);
  const bool too_hot = held == Held::kDrained ? millicelsius > back : left < 0;
  found.share_permille = too_hot ? 0 : share_of(left, kHeatBandMillicelsius);
  if (found.share_permille == kWholeShare) return found;
  if (held == Held::kNothing) {
    found.why = fmt::format(", {} its {} °C", too_hot ? "above" : "near", limit_celsius);
  } else {
    found.why = fmt::format("; {} at {} °C", held == Held::kDrained ? "back" : "all again",
                            (held == Held::kDrained ? back : back - kHeatMarginMillicelsius) / 1000);
  }
  return found;
}

Finding heat_rule(const OwnerLimits& limits, const DeviceTelemetry& device, Held held) {
  const auto battery = device.battery_millicelsius;
  const auto skin = device.skin_millicelsius;
  if (limits.temperature_max_celsius == 0 || (!battery && !skin)) return {};
  const bool is_skin = skin && (!battery || *skin > *battery);
  return heat_finding(is_skin ? *skin : *battery, is_skin ? "case" : "battery", limits.temperature_max_celsius, held);
}

Finding cpu_heat_rule(const OwnerLimits& limits, const DeviceTelemetry& device, Held held) {
  if (limits.cpu_temperature_max_celsius == 0 || !device.cpu_millicelsius) return {};
  return heat_finding(*device.cpu_millicelsius, "processor", limits.cpu_temperature_max_celsius, held);
}

Finding clock_rule(const OwnerLimits&, const DeviceTelemetry& device, Held held) {
  if (!device.throttled && !device.cpu_limit_permille) return {};
  const std::uint32_t clock = device.cpu_limit_permille.value_or(kWholeShare);
  if (clock < kWholeShare) {
    const std::uint32_t sure = clock - std::min(clock, held == Held::kNothing ? 0 : kClockMarginPermille);
    const std::uint32_t nearest = (sure + kShareStep / 2) / kShareStep * kShareStep;
    return {true, std::clamp(nearest, kShareStep, kWholeShare),
            fmt::format("processor held at {} % of its clock", (clock + 5) / 10), "", false};
  }
  if (device.throttled.value_or(false))
    return {true, kThrottledShare, "processor slowed down by its system", "", false};
  return {true, kWholeShare, "processor at its full clock", "", false};
}

Finding memory_rule(const OwnerLimits&, const DeviceTelemetry& device, Held held) {
  if (!device.memory_some_permille) return {};
  const std::int64_t pressure = *device.memory_some_permille;
  Finding found{true, kWholeShare, fmt::format("waits for memory {} % of the time", (pressure + 5) / 10), "", false};
  const std::int64_t margin = held == Held::kNothing ? 0 : kPressureMarginPermille;
  const std::int64_t left = std::int64_t{kPressureMostPermille} - pressure - margin;
  const std::int64_t back = std::int64_t{kPressureMostPermille} - kPressureBandPermille;
  const bool too_much = held == Held::kDrained ? pressure > back : left < 0;
  found.share_permille = too_much ? 0 : share_of(left, kPressureBandPermille);
  if (found.share_permille == kWholeShare) return found;
  if (held != Held::kNothing) {
    found.why = fmt::format("; {} at {} %", held == Held::kDrained ? "back" : "all again",
                            (held == Held::kDrained ? back : back - margin) / 10);
  }
  return found;
}

Finding charging_rule(const OwnerLimits& limits, const DeviceTelemetry& device, Held) {
  if (!limits.only_while_charging) return {};
  if (!device.battery_state) {
    return {true, 0, "cannot tell whether it is charging", ", and its owner gives it only then", true};
  }
  if (on_power(*device.battery_state))
    return {true, kWholeShare, std::string(to_string(*device.battery_state)), "", false};
  return {true, 0, "not charging", ", and its owner gives it only then", false};
}

using Rule = Finding (*)(const OwnerLimits&, const DeviceTelemetry&, Held);
constexpr std::array<Rule, 6> kRules = {battery_rule, charging_rule, heat_rule, cpu_heat_rule, clock_rule, memory_rule};

struct Strictest {
  std::size_t rule = 0;
  Finding found;
  bool told = false;  // the device tells something that a rule needs
};
Strictest strictest(const OwnerLimits& limits, const DeviceTelemetry& device, Held held) {
  Strictest strictest;
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    Finding found = kRules[i](limits, device, held);
    strictest.told |= found.known && !found.cannot_tell;
    if (!found.known || found.share_permille >= strictest.found.share_permille) continue;
    strictest.rule = i;
    strictest.found = std::move(found);
  }
  return strictest;
}

Held held_at(std::uint32_t share_permille) {
  return share_permille == 0 ? Held::kDrained : share_permille < kWholeShare ? Held::kLess : Held::kNothing;
}

constexpr std::string_view kSilent = "what held it back is not told any more";

}  // namespace

const CareVerdict Care::kWaits{0, "has not told yet whether it is charging"};

void Care::joined(const OwnerLimits& limits) {
  worse_.reset();  // what it said before it was away is no report in a row
  better_.reset();
  fresh_ = fresh_ || limits != limits_;
  limits_ = limits;
  waits_ = fresh_ && limits.only_while_charging && !verdict_.drained();
}

std::optional<CareChange> Care::report(const DeviceTelemetry& device, Time now) {
  const std::uint32_t before = verdict_.share_permille;
  const Strictest is = strictest(limits_, device, Held::kNothing);
  const Finding cause = kRules[cause_](limits_, device, held_at(before));
  if (fresh_ && is.told && !is.found.cannot_tell) {
    fresh_ = waits_ = false;
    set_share(is.found.share_permille, now);
  } else {
    const Strictest gives = strictest(limits_, device, held_at(before));
    consider_worse(is.found.share_permille, now);
    consider_better(gives.found.share_permille, cause.known, now);
  }
  if (verdict_.share_permille < kWholeShare && is.found.share_permille <= verdict_.share_permille) cause_ = is.rule;
  if (verdict_.drained()) waits_ = false;
  const std::string what = cause.known ? cause.what : std::string(kSilent);
  verdict_.reason = reason(device, what);
  return change_from(before, what);
}

std::string Care::reason(const DeviceTelemetry& device, const std::string& what) const {
  const std::uint32_t share = verdict_.share_permille;
  if (share == kWholeShare) return "";
  for (const Held held : {Held::kNothing, held_at(share)}) {
    const Finding found = strictest(limits_, device, held).found;
    if (found.share_permille <= share) return found.what + found.why;
  }
  return what + "; waits to see that it lasts";
}

void Care::set_share(std::uint32_t share_permille, Time now) {
  if (share_permille > verdict_.share_permille) {
    better_at_ = now;
    relapsed_ = false;
  } else if (share_permille < verdict_.share_permille) {
    if (better_at_ && !relapsed_) {
      rest_ = now - *better_at_ < kRelapse ? std::min(2 * rest_, kRestMax) : kRestMin;
    }
    relapsed_ = true;
  }
  verdict_.share_permille = share_permille;
  worse_.reset();
  better_.reset();
}

void Care::consider_worse(std::uint32_t share_permille, Time now) {
  if (share_permille >= verdict_.share_permille) return worse_.reset();
  if (!worse_) worse_ = {now, share_permille};
  worse_->share_permille = std::max(worse_->share_permille, share_permille);
  if (now - worse_->since >= kWorseFor) set_share(worse_->share_permille, now);
}

void Care::consider_better(std::uint32_t share_permille, bool known, Time now) {
  if (share_permille <= verdict_.share_permille) return better_.reset();
  if (!better_) better_ = {now, share_permille};
  better_->share_permille = std::min(better_->share_permille, share_permille);
  if (now - better_->since < (known ? kBetterFor : kUnknownKept)) return;
  if (better_at_ && now - *better_at_ < rest_) return;
  set_share(better_->share_permille, now);
}

std::optional<CareChange> Care::change_from(std::uint32_t before, const std::string& what) const {
  const std::uint32_t share = verdict_.share_permille;
  if (share == before) return std::nullopt;
  const std::uint32_t percent = share / 10;
  if (share == 0) return CareChange{CareStep::kDrained, fmt::format("drained: {}", verdict_.reason)};
  if (share < before) return CareChange{CareStep::kLess, fmt::format("gets less, {} %: {}", percent, verdict_.reason)};
  const std::string& why = share < kWholeShare ? verdict_.reason : what;
  const std::string with = share < kWholeShare ? fmt::format(" with {} %", percent) : "";
  if (before == 0) return CareChange{CareStep::kBack, fmt::format("comes back{}: {}", with, why)};
  if (share < kWholeShare) return CareChange{CareStep::kMore, fmt::format("gets more, {} %: {}", percent, why)};
  return CareChange{CareStep::kMore, fmt::format("gets its whole share again: {}", why)};
}

}  // namespace shoal::coordinator
