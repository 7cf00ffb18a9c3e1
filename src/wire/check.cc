#include "wire/check.h"

#include <cmath>

#include <fmt/format.h>

#include "wire/frame.h"
#include "wire/text.h"

namespace shoal::wire {

void Check::fail(std::string_view field, std::string_view what) {
  if (problem_.empty()) problem_ = fmt::format("{}.{}: {}", message_name_, field, what);
}

void Check::text(std::string_view field, const std::string& value, std::size_t bytes_max) {
  if (!texts_) return;
  if (value.size() > bytes_max) return fail(field, fmt::format("{} bytes, at most {}", value.size(), bytes_max));
  that(is_clean_text(value), field, "control characters or no UTF-8");
}

void Check::at_most(std::string_view field, std::uint64_t value, std::uint64_t max) {
  if (value > max) fail(field, fmt::format("{}, at most {}", value, max));
}

void Check::range(std::string_view field, const LayerRange& range) {
  if (range.first >= range.last) fail(field, fmt::format("layers {} are empty", range.text()));
}

void Check::addresses(std::string_view field, const std::vector<std::string>& addresses) {
  at_most(field, addresses.size(), kAddressesMax);
  for (const std::string& address : addresses) text(field, address, kAddressBytesMax);
}

void check(const JoinRequest& m, Check& check) {
  check.that(!m.secret.empty(), "secret", "empty");
  check.at_most("secret", m.secret.size(), kSecretBytesMax);
  check.text("name", m.name, kNameBytesMax);
}

void check(const JoinAccepted& m, Check& check) {
  check.text("coordinator_name", m.coordinator_name, kNameBytesMax);
}

void check(const Reject& m, Check& check) {
  check.text("message", m.message, kTextBytesMax);
}

void check(const Hello& m, Check& check) {
  check.text("name", m.name, kNameBytesMax);
  check.text("software", m.software, kNameBytesMax);
  check.text("kernel_family", m.kernel_family, kTextBytesMax);
  check.addresses("addresses", m.addresses);
  check.at_most("battery_min_percent", m.limits.battery_min_percent, kBatteryMinPercentMost);
  const auto temperature = [&](std::string_view field, std::uint32_t celsius) {
    check.that(is_temperature_limit(celsius), field,
               fmt::format("{}, not 0 or {} to {}", celsius, kTemperatureMaxCelsiusLeast, kTemperatureMaxCelsiusMost));
  };
  temperature("temperature_max_celsius", m.limits.temperature_max_celsius);
  temperature("cpu_temperature_max_celsius", m.limits.cpu_temperature_max_celsius);
}

void check(const Welcome& m, Check& check) {
  check.that(m.telemetry_interval_ms > 0, "telemetry_interval_ms", "0");
  check.at_most("telemetry_interval_ms", m.telemetry_interval_ms, kTelemetryIntervalMsMax);
  check.text("coordinator_name", m.coordinator_name, kNameBytesMax);
}

void check(const Telemetry& m, Check& check) {
  for_each_field(m.device, [&](std::string_view name, const auto& value, FieldRange range) {
    if (!value || in_range(*value, range)) return;
    if constexpr (std::is_same_v<decltype(*value), const BatteryState&>) {
      check.fail(name, "unknown");
    } else {
      check.fail(name, fmt::format("{}, not {} to {}", *value, range.least, range.most));
    }
  });
  check.at_most("neighbours", m.neighbours.size(), kNeighboursMax);
  check.at_most("stages", m.stages.size(), kPlanStagesMax);
}

void check(const Plan& m, Check& check) {
  check.at_most("stages", m.stages.size(), kPlanStagesMax);
  for (const PlanStage& stage : m.stages) {
    check.range("stages.range", stage.range);
    check.text("stages.node_name", stage.node_name, kNameBytesMax);
    check.addresses("stages.addresses", stage.addresses);
  }
}

void check(const LoadStage& m, Check& check) {
  check.range("range", m.range);
  check.at_most("pieces", m.pieces.size(), kPiecesMax);
  for (const ShardPiece& piece : m.pieces) {
    check.that(piece.offset <= m.shard_bytes && piece.size_bytes <= m.shard_bytes - piece.offset, "pieces",
               "a piece lies outside the shard");
  }
  check.at_most("sources", m.sources.size(), kSourcesMax);
  for (const PieceSource& source : m.sources) check.addresses("sources.addresses", source.addresses);
}

void check(const StageReady& m, Check& check) {
  check.text("exact_reason", m.exactness.reason, kTextBytesMax);
}
void check(const StageFailed& m, Check& check) {
  check.text("message", m.message, kTextBytesMax);
}
void check(const LinkReport& m, Check& check) {
  check.text("reason", m.reason, kTextBytesMax);
}
void check(const StepFailed& m, Check& check) {
  check.text("message", m.message, kTextBytesMax);
}

void check(const Step& m, Check& check) {
  check.at_most("rows", m.rows.size(), kStepRowsMax);
  check.at_most("frees", m.frees.size(), kFreesMax);
  check.at_most("times", m.times.size(), kTimesMax);
  check.at_most("truncations", m.truncations.size(), m.rows.size());
  check.at_most("forks", m.forks.size(), kForksMax);
  check.that(!m.has_tokens || !m.rows.empty(), "tokens", "tokens without rows");
}

void check(const Replay& m, Check& check) {
  check.that(m.count > 0, "count", "0");
  check.at_most("count", m.count, kStepRowsMax);
  check.at_most("first", m.first, UINT32_MAX - kStepRowsMax);
}

void check(const StepResult& m, Check& check) {
  check.at_most("candidate_counts", m.candidate_counts.size(), kStepRowsMax);
  check.that(m.log_sum_exps.size() == m.candidate_counts.size(), "log_sum_exps", "not one a candidate count");
  std::uint64_t candidates = 0;
  for (const std::uint32_t count : m.candidate_counts) {
    check.at_most("candidate_counts", count, kCandidatesMax);
    candidates += count;
  }
  check.at_most("candidate_counts", candidates * 8, kRawBytesMax);
  for (const double value : m.log_sum_exps) check.that(std::isfinite(value), "log_sum_exps", "not finite");
  check.at_most("times", m.times.size(), kTimesMax);
}

void check(const FetchPiece& m, Check& check) {
  check.that(m.length_max > 0, "length_max", "0");
  check.at_most("length_max", m.length_max, kPieceChunkBytesMax);
}

void check(const ProbeKernels& m, Check& check) {
  check.at_most("types", m.types.size(), kWeightTypesMax);
}

void check(const KernelsProbed& m, Check& check) {
  check.that(std::isfinite(m.cost.cost) && m.cost.cost >= 0, "cost", "not a finite share of 0 or more");
  check.text("left_out", m.cost.left_out, kTextBytesMax);
}

void check(const LinkMeasured& m, Check& check) {
  check.text("reason", m.reason, kTextBytesMax);
  check.that(!m.measured || m.bytes_per_s > 0, "bytes_per_s", "0 of a link that was measured");
}

}  // namespace shoal::wire
