#include "coordinator/net_bench.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "base/bytes.h"

namespace shoal::coordinator {

Duration MeasuredLink::time_for(std::size_t bytes) const {
  SHOAL_ASSERT(speed.has_value());
  const double transfer_us = static_cast<double>(bytes) / speed->bytes_per_s * 1e6;
  return speed->rtt / 2 + Duration(static_cast<std::int64_t>(transfer_us));
}

std::string slowest_link(const NetBench& bench) {
  const std::size_t step_bytes = bench.row_bytes() * kStepRowsMax;
  const MeasuredLink* slowest = nullptr;
  for (const LinkKind kind : {LinkKind::kData, LinkKind::kControl}) {
    if (slowest != nullptr) break;
    for (const MeasuredLink& link : bench.links) {
      if (link.kind != kind || !link.speed) continue;
      if (slowest == nullptr || link.time_for(step_bytes) > slowest->time_for(step_bytes)) slowest = &link;
    }
  }
  if (slowest == nullptr) return "No link was measured.";
  const auto ms = [](Duration time) { return static_cast<double>(time.count()) / 1000; };
  return fmt::format(
      "The slowest {} link is from {} to {}{}: {:.2f} ms for one row of hidden states ({}), {:.2f} ms for {}.",
      to_string(slowest->kind), slowest->from_name, slowest->to_name,
      slowest->path == LinkPath::kRelay ? ", through the coordinator" : "", ms(slowest->time_for(bench.row_bytes())),
      format_size(bench.row_bytes()), ms(slowest->time_for(step_bytes)), kStepRowsMax);
}

}  // namespace shoal::coordinator
