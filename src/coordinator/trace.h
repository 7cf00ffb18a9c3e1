// What the steps of a window of time spent where: what `shoal trace` and GET /shoal/v1/trace record.
//
// A step's way is: a link to the first stage, its queue, its computing, its sending; a link to the next stage, and so
// on; a link back. Queue, compute and send are durations that each stage measured. A link has what is left between two
// of them: frames being encrypted, the network, being decrypted, and what the two io threads did meanwhile. How much is
// left in all is exact: the way is measured by one clock, the coordinator's. How it divides between the links follows
// from when the step was in each stage's queue, told by the node's clock and read on ours (net::Link::clock_offset):
// right to half of what a round trip takes longer in one direction than in the other. Where a clock is not known, what
// is left between two stages whose clocks are is divided evenly over the links between them (clocks_known says so).
//
// A value of the coordinator's io thread. Memory: kTracedPassesMax passes, about 1.5 MiB, and kTracedPlansMax plans;
// steps beyond are counted and not kept. While nothing is recorded it costs a comparison a step.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/stage_spec.h"
#include "sched/scheduler.h"

namespace shoal::coordinator {

inline constexpr std::size_t kTracedPassesMax = 16384;  // a pass: one step through one stage
inline constexpr std::size_t kTracedPlansMax = 64;
inline constexpr std::chrono::seconds kTraceWindowMax{60};

struct RowCounts {
  std::uint32_t decode = 0;  // a token follows from each
  std::uint32_t prompt = 0;
  std::uint32_t draft = 0;  // guessed ahead, behind a decode row
};
// A row that wants logits is a decode row unless the row before it is its own prompt's; those behind it are drafts.
RowCounts count_rows(std::span<const sched::Row> rows);

struct TracedPlan {
  struct Stage {
    StageId stage;
    NodeId node;
    std::string node_name;
    LayerRange range;
    bool relayed = false;  // its results reach the next stage through the coordinator
  };
  Epoch epoch;
  std::vector<Stage> stages;  // in pipeline order
};

// What a stage told of a step.
struct ToldPass {
  StageId stage;
  Duration queue{};
  Duration compute{};
  Duration send{};             // from computed until the link had it
  std::optional<Time> queued;  // when it was in the stage's queue, on the coordinator's clock; nullopt: not known
};

struct TracedPass {
  Duration link{};  // on the way to this stage
  Duration queue{};
  Duration compute{};
  Duration send{};
};

// The parts follow each other without a gap from `sent` on, and end with link_back.
struct TracedStep {
  StepId step;
  std::size_t plan = 0;  // index in Trace::plans
  RowCounts rows;
  Time sent;
  std::vector<TracedPass> passes;  // one a stage of the plan, in its order
  Duration link_back{};
  bool clocks_known = false;  // of every stage
  Duration way() const;
};

struct Trace {
  Time begin;
  Time end;
  std::vector<TracedPlan> plans;
  std::vector<TracedStep> steps;     // as they came back; one may have been sent before `begin`
  std::uint64_t steps_left_out = 0;  // for want of memory, or because the stages did not tell what the plan says
};

// Lays the parts of a step's way between `sent` and `returned`. Never fails: where stages tell more than fits, the
// later parts are cut to what is left, and a clock that contradicts the durations yields to them.
TracedStep lay_out(Time sent, Time returned, std::span<const ToldPass> told);

class TraceRecorder {
 public:
  bool recording() const { return trace_.has_value(); }
  void start(Time now) { trace_ = Trace{now, now, {}, {}, 0}, passes_ = 0; }
  // A plan of steps that follow.
  void add_plan(TracedPlan plan);
  void set_relayed(Epoch epoch, StageId from_stage);
  // A step of the plan with that epoch has come back.
  void add_step(Epoch epoch, StepId step, RowCounts rows, Time sent, Time returned, std::span<const ToldPass> told);
  // What was recorded; an empty Trace if nothing is.
  Trace stop(Time now);

 private:
  TracedPlan* plan_of(Epoch epoch);  // nullptr: none was added

  std::optional<Trace> trace_;
  std::size_t passes_ = 0;
};

}  // namespace shoal::coordinator
