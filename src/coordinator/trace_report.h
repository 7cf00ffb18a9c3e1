// A trace in a few lines: where a token's way goes, and what the shoal waits for. Pure functions; any thread.
//
// It is about one plan, the one with the most steps, and there about the steps that make tokens (those with a decode
// row), or about all of them when none does. Times are medians over those steps; shares are of the sum of their ways.
#pragma once

#include <string>
#include <vector>

#include "coordinator/trace.h"

namespace shoal::coordinator {

struct StageSummary {
  TracedPlan::Stage stage;
  Duration queue{};
  Duration compute{};
  Duration send{};
  double queue_share = 0;
  double share = 0;    // of computing and sending
  double busy = 0;     // of the time in which steps were under way, this stage computed so much (all steps of the plan)
  double slowest = 0;  // in so many of the steps this stage took longest, of all stages and links
};
struct LinkSummary {
  std::string from;  // "stage 1" or "coordinator"
  std::string to;
  bool relayed = false;
  Duration time{};
  double share = 0;
  double slowest = 0;
};

struct TraceSummary {
  Duration window{};
  Epoch epoch;  // of the plan that this is about
  std::size_t plans = 0;
  std::size_t steps = 0;       // of all plans
  std::size_t steps_told = 0;  // that the rest is about
  bool tokens = false;         // those make tokens
  std::uint64_t steps_left_out = 0;
  RowCounts rows;  // of all steps
  Duration way{};  // median
  Duration way_p95{};
  double steps_under_way = 0;  // in the mean, while there was one
  double active = 0;           // share of the window in which there was one
  bool clocks_known = false;   // of every stage in every step told
  double compute_share = 0;    // of all stages together, and so on
  double queue_share = 0;
  double send_share = 0;
  double link_share = 0;
  std::vector<StageSummary> stages;  // in pipeline order
  std::vector<LinkSummary> links;    // link i leads to stage i, the last one back to the coordinator
  std::string bottleneck;            // one sentence; "" when there are no steps
};

TraceSummary summarise(const Trace& trace);

}  // namespace shoal::coordinator
