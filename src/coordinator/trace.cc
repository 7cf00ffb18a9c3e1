#include "coordinator/trace.h"

#include <algorithm>
#include <utility>

namespace shoal::coordinator {
namespace {

Duration own_time(const TracedPass& pass) {
  return pass.queue + pass.compute + pass.send;
}

// The durations as told, cut where they would not fit into `way`.
std::vector<TracedPass> within(Duration way, std::span<const ToldPass> told) {
  Duration left = way;
  const auto take = [&](Duration wanted) {
    const Duration taken = std::clamp(wanted, Duration::zero(), left);
    left -= taken;
    return taken;
  };
  std::vector<TracedPass> passes;
  passes.reserve(told.size());
  for (const ToldPass& each : told) {
    TracedPass pass;
    pass.queue = take(each.queue);
    pass.compute = take(each.compute);
    pass.send = take(each.send);
    passes.push_back(pass);
  }
  return passes;
}

bool same_stages(const TracedPlan& plan, std::span<const ToldPass> told) {
  return std::equal(plan.stages.begin(), plan.stages.end(), told.begin(), told.end(),
                    [](const TracedPlan::Stage& stage, const ToldPass& pass) { return stage.stage == pass.stage; });
}

}  // namespace

RowCounts count_rows(std::span<const sched::Row> rows) {
  RowCounts counts;
  enum class Kind { kPrompt, kDecode } before = Kind::kPrompt;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool follows = i > 0 && rows[i].sequence == rows[i - 1].sequence;
    if (rows[i].logits == 0 || (follows && rows[i - 1].logits == 0)) {
      before = Kind::kPrompt;
      ++counts.prompt;
    } else if (follows && before == Kind::kDecode) {
      ++counts.draft;
    } else {
      before = Kind::kDecode;
      ++counts.decode;
    }
  }
  return counts;
}

Duration TracedStep::way() const {
  Duration sum = link_back;
  for (const TracedPass& pass : passes) sum += pass.link + own_time(pass);
  return sum;
}

TracedStep lay_out(Time sent, Time returned, std::span<const ToldPass> told) {
  const Duration way = std::max(returned - sent, Duration::zero());
  TracedStep step;
  step.sent = sent;
  step.passes = within(way, told);
  step.clocks_known = std::all_of(told.begin(), told.end(), [](const ToldPass& pass) { return pass.queued; });

  Duration free = way;  // of links, from here to the end
  for (const TracedPass& pass : step.passes) free -= own_time(pass);
  Duration told_before{};  // stages' own time since `sent`
  Duration links{};        // given out so far
  std::size_t first = 0;   // of the links that are not given out yet; link i leads to stage i
  const auto give = [&](std::size_t last, Duration sum) {
    for (std::size_t i = first; i <= last; ++i) {
      const Duration part = sum / static_cast<Duration::rep>(last - i + 1);
      sum -= part;
      free -= part;
      links += part;
      (i < step.passes.size() ? step.passes[i].link : step.link_back) = part;
    }
    first = last + 1;
  };
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (told[i].queued) {
      // Clamped to the way first: a clock may say anything, and the difference must not overflow.
      const Duration at = std::clamp(*told[i].queued, sent, sent + way) - sent;
      give(i, std::clamp(at - told_before - links, Duration::zero(), free));
    }
    told_before += own_time(step.passes[i]);
  }
  give(told.size(), free);
  return step;
}

void TraceRecorder::add_plan(TracedPlan plan) {
  if (!trace_) return;
  if (trace_->plans.size() < kTracedPlansMax) trace_->plans.push_back(std::move(plan));
}

// The newest are asked for most.
TracedPlan* TraceRecorder::plan_of(Epoch epoch) {
  if (!trace_) return nullptr;
  const auto found = std::find_if(trace_->plans.rbegin(), trace_->plans.rend(),
                                  [epoch](const TracedPlan& plan) { return plan.epoch == epoch; });
  return found == trace_->plans.rend() ? nullptr : &*found;
}

void TraceRecorder::set_relayed(Epoch epoch, StageId from_stage) {
  TracedPlan* plan = plan_of(epoch);
  if (plan == nullptr) return;
  for (TracedPlan::Stage& stage : plan->stages) stage.relayed |= stage.stage == from_stage;
}

void TraceRecorder::add_step(Epoch epoch, StepId step, RowCounts rows, Time sent, Time returned,
                             std::span<const ToldPass> told) {
  if (!trace_) return;
  const TracedPlan* plan = plan_of(epoch);
  if (plan == nullptr || told.empty() || !same_stages(*plan, told) || passes_ + told.size() > kTracedPassesMax) {
    ++trace_->steps_left_out;
    return;
  }
  passes_ += told.size();
  TracedStep traced = lay_out(sent, returned, told);
  traced.step = step;
  traced.plan = static_cast<std::size_t>(plan - trace_->plans.data());
  traced.rows = rows;
  trace_->steps.push_back(std::move(traced));
}

Trace TraceRecorder::stop(Time now) {
  if (!trace_) return {};
  Trace trace = *std::exchange(trace_, std::nullopt);
  trace.end = now;
  return trace;
}

}  // namespace shoal::coordinator
