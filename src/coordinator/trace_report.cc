#include "coordinator/trace_report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>

#include <fmt/format.h>

namespace shoal::coordinator {
namespace {

using Steps = std::vector<const TracedStep*>;

constexpr double kSaturated = 0.8;    // a stage that computes so much of the time is what holds up the others
constexpr double kDominant = 0.4;     // a part of the way that is worth a sentence
constexpr double kUneven = 1.5;       // a stage that computes so many times its fair share
constexpr double kFewUnderWay = 1.5;  // steps; fewer leave most stages idle however fast they are

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}
double ratio(Duration part, Duration whole) {
  return ratio(static_cast<double>(part.count()), static_cast<double>(whole.count()));
}
long percent(double share) {
  return std::lround(share * 100);
}

Duration quantile(std::vector<Duration> values, double q) {
  if (values.empty()) return {};
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

struct Measured {
  Duration median{};
  Duration sum{};
};
Measured measure(const Steps& steps, const std::function<Duration(const TracedStep&)>& part) {
  std::vector<Duration> values;
  values.reserve(steps.size());
  Measured measured;
  for (const TracedStep* step : steps) {
    values.push_back(part(*step));
    measured.sum += values.back();
  }
  measured.median = quantile(std::move(values), 0.5);
  return measured;
}

// The time in which at least one of the steps was under way.
Duration covered(const Steps& steps) {
  std::vector<std::pair<Time, Time>> ways;
  ways.reserve(steps.size());
  for (const TracedStep* step : steps) ways.emplace_back(step->sent, step->sent + step->way());
  std::sort(ways.begin(), ways.end());
  Duration sum{};
  Time seen = ways.empty() ? Time() : ways.front().first;
  for (const auto& [begin, end] : ways) {
    if (end <= seen) continue;
    sum += end - std::max(begin, seen);
    seen = end;
  }
  return sum;
}

Duration link_of(const TracedStep& step, std::size_t i) {
  return i < step.passes.size() ? step.passes[i].link : step.link_back;
}

// Whether a stage or a link took longest in a step, and which one.
struct Slowest {
  bool link = false;
  std::size_t index = 0;
};
Slowest slowest_of(const TracedStep& step) {
  Slowest slowest;
  Duration most(-1);
  for (std::size_t i = 0; i <= step.passes.size(); ++i) {
    if (i < step.passes.size()) {
      const Duration own = step.passes[i].compute + step.passes[i].send;
      if (own > most) most = own, slowest = {false, i};
    }
    if (const Duration link = link_of(step, i); link > most) most = link, slowest = {true, i};
  }
  return slowest;
}

std::string stage_name(std::size_t index) {
  return fmt::format("stage {}", index + 1);
}
std::string on_node(const TraceSummary& summary, std::size_t index) {
  return fmt::format("{} on {}", stage_name(index), summary.stages[index].stage.node_name);
}
std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

template <typename Range, typename Value>
std::size_t index_of_most(const Range& range, Value value) {
  const auto most =
      std::max_element(range.begin(), range.end(), [&](const auto& a, const auto& b) { return value(a) < value(b); });
  return static_cast<std::size_t>(most - range.begin());
}

std::string link_sentence(const TraceSummary& summary) {
  const std::size_t worst = index_of_most(summary.links, [](const LinkSummary& link) { return link.share; });
  const LinkSummary& link = summary.links[worst];
  const std::string advice = link.relayed ? " (it goes through the coordinator: see why in its log)"
                             : summary.steps_under_way < kFewUnderWay
                                 ? "; more requests at once would use the stages meanwhile"
                                 : "";
  if (summary.clocks_known) {
    return fmt::format("Links take {} % of a step, the slowest is from {} to {} with {} %{}.",
                       percent(summary.link_share + summary.send_share), link.from, link.to, percent(link.share),
                       advice);
  }
  return fmt::format("Links take {} % of a step{}.", percent(summary.link_share + summary.send_share), advice);
}

std::string sentence(const TraceSummary& summary) {
  const std::size_t count = summary.stages.size();
  const std::size_t busiest = index_of_most(summary.stages, [](const StageSummary& stage) { return stage.busy; });
  const double most = summary.stages[busiest].busy;
  double busy = 0;
  for (const StageSummary& stage : summary.stages) busy += stage.busy / static_cast<double>(count);

  if (most >= kSaturated) {
    if (count == 1) return fmt::format("The only stage computes {} % of the time: it is the limit.", percent(most));
    if (busy >= kSaturated) {
      return fmt::format("The pipeline is full: its stages compute {} % of the time, {} most.", percent(busy),
                         on_node(summary, busiest));
    }
    return fmt::format("{} computes {} % of the time: the others wait for it.", capitalised(on_node(summary, busiest)),
                       percent(most));
  }
  if (summary.link_share + summary.send_share >= kDominant) return link_sentence(summary);
  if (summary.queue_share >= kDominant) {
    const std::size_t at = index_of_most(summary.stages, [](const StageSummary& stage) { return stage.queue_share; });
    return fmt::format("Steps wait in queues for {} % of their way, longest before {}.", percent(summary.queue_share),
                       on_node(summary, at));
  }
  const std::size_t slowest = index_of_most(summary.stages, [](const StageSummary& stage) { return stage.share; });
  const double share = summary.stages[slowest].share;
  const double fair = (summary.compute_share + summary.send_share) / static_cast<double>(count);
  if (count > 1 && share >= kUneven * fair) {
    return fmt::format("{} computes for {} % of a step: the others wait for it.",
                       capitalised(on_node(summary, slowest)), percent(share));
  }
  return fmt::format(
      "The stages are idle {} % of the time with {:.1f} steps under way: more requests at once would "
      "use it.",
      percent(1 - busy), summary.steps_under_way);
}

void summarise_stages(const TracedPlan& plan, const Steps& told, const Steps& all, TraceSummary& into) {
  const Duration ways = measure(told, [](const TracedStep& step) { return step.way(); }).sum;
  const Duration active = covered(all);
  const std::size_t count = plan.stages.size();
  for (std::size_t i = 0; i <= count; ++i) {
    const Measured link = measure(told, [i](const TracedStep& step) { return link_of(step, i); });
    LinkSummary summary;
    summary.from = i == 0 ? "coordinator" : stage_name(i - 1);
    summary.to = i == count ? "coordinator" : stage_name(i);
    summary.relayed = i > 0 && i < count && plan.stages[i - 1].relayed;
    summary.time = link.median;
    summary.share = ratio(link.sum, ways);
    into.link_share += summary.share;
    into.links.push_back(std::move(summary));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const Measured queue = measure(told, [i](const TracedStep& step) { return step.passes[i].queue; });
    const Measured compute = measure(told, [i](const TracedStep& step) { return step.passes[i].compute; });
    const Measured send = measure(told, [i](const TracedStep& step) { return step.passes[i].send; });
    StageSummary summary;
    summary.stage = plan.stages[i];
    summary.queue = queue.median;
    summary.compute = compute.median;
    summary.send = send.median;
    summary.queue_share = ratio(queue.sum, ways);
    summary.share = ratio(compute.sum + send.sum, ways);
    summary.busy = ratio(measure(all, [i](const TracedStep& step) { return step.passes[i].compute; }).sum, active);
    into.queue_share += summary.queue_share;
    into.compute_share += ratio(compute.sum, ways);
    into.send_share += ratio(send.sum, ways);
    into.stages.push_back(std::move(summary));
  }
  for (const TracedStep* step : told) {
    const Slowest slowest = slowest_of(*step);
    double& share = slowest.link ? into.links[slowest.index].slowest : into.stages[slowest.index].slowest;
    share += 1.0 / static_cast<double>(told.size());
  }
}

}  // namespace

TraceSummary summarise(const Trace& trace) {
  TraceSummary summary;
  summary.window = trace.end - trace.begin;
  summary.plans = trace.plans.size();
  summary.steps = trace.steps.size();
  summary.steps_left_out = trace.steps_left_out;
  std::vector<Steps> of_plan(trace.plans.size());
  Steps every;
  for (const TracedStep& step : trace.steps) {
    summary.rows.decode += step.rows.decode;
    summary.rows.prompt += step.rows.prompt;
    summary.rows.draft += step.rows.draft;
    of_plan[step.plan].push_back(&step);
    every.push_back(&step);
  }
  if (every.empty()) return summary;

  const std::size_t chosen = index_of_most(of_plan, [](const Steps& steps) { return steps.size(); });
  const Steps& all = of_plan[chosen];
  Steps told;
  std::copy_if(all.begin(), all.end(), std::back_inserter(told),
               [](const TracedStep* step) { return step->rows.decode > 0; });
  summary.tokens = !told.empty();
  if (told.empty()) told = all;
  summary.epoch = trace.plans[chosen].epoch;
  summary.steps_told = told.size();
  summary.clocks_known =
      std::all_of(told.begin(), told.end(), [](const TracedStep* step) { return step->clocks_known; });

  std::vector<Duration> ways;
  for (const TracedStep* step : told) ways.push_back(step->way());
  summary.way = quantile(ways, 0.5);
  summary.way_p95 = quantile(ways, 0.95);
  const Duration active = covered(every);
  summary.steps_under_way = ratio(measure(every, [](const TracedStep& step) { return step.way(); }).sum, active);
  summary.active = std::min(1.0, ratio(active, summary.window));
  summarise_stages(trace.plans[chosen], told, all, summary);
  summary.bottleneck = sentence(summary);
  return summary;
}

}  // namespace shoal::coordinator
