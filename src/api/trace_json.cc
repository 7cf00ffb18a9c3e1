#include "api/trace_json.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/trace_report.h"

namespace shoal::api {
namespace {

using coordinator::Trace;
using coordinator::TracedPass;
using coordinator::TracedPlan;
using coordinator::TracedStep;
using Json = nlohmann::ordered_json;

constexpr unsigned kCoordinatorPid = 1;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct Span {
  Time begin;
  Duration length{};
  const TracedStep* step = nullptr;
  bool whole = false;  // the step itself, not a part of it
};

// Where a span is drawn. In the order in which a viewer shall show them.
struct TrackKey {
  unsigned pid = 0;
  std::size_t place = 0;  // of the stage in its pipeline
  unsigned part = 0;
  std::string name;
  auto operator<=>(const TrackKey&) const = default;
};
struct Track {
  const char* event = "";
  std::vector<Span> spans;
};

class Tracks {
 public:
  explicit Tracks(const Trace& trace) : trace_(trace) {
    base_ = trace.steps.empty() ? trace.begin : trace.steps.front().sent;
    for (const TracedStep& step : trace.steps) base_ = std::min(base_, step.sent);
    for (const TracedPlan& plan : trace.plans) {
      for (const TracedPlan::Stage& stage : plan.stages) {
        if (pids_.try_emplace(stage.node, kCoordinatorPid + 1 + static_cast<unsigned>(pids_.size())).second) {
          processes_.push_back(stage.node_name);
        }
      }
    }
    for (const TracedStep& step : trace.steps) add(step);
  }

  // The elements of traceEvents.
  std::string events() {
    std::string out;
    name_process(kCoordinatorPid, "coordinator", out);
    for (std::size_t i = 0; i < processes_.size(); ++i) {
      name_process(kCoordinatorPid + 1 + static_cast<unsigned>(i), "node " + processes_[i], out);
    }
    for (auto& [key, track] : tracks_) write(key, track, out);
    return out;
  }

 private:
  void add(const TracedStep& step) {
    const TracedPlan& plan = trace_.plans[step.plan];
    put({kCoordinatorPid, 0, 0, "steps"}, "step", {step.sent, step.way(), &step, true});
    Time at = step.sent;
    const auto part = [&](const TrackKey& key, const char* event, Duration length) {
      put(key, event, {at, length, &step, false});
      at += length;
    };
    std::string from = "coordinator";
    for (std::size_t i = 0; i < step.passes.size(); ++i) {
      const TracedPass& pass = step.passes[i];
      const unsigned pid = pids_.at(plan.stages[i].node);
      const std::string stage = fmt::format("stage {}", i + 1);
      part({pid, i, 0, fmt::format("{}: link from {}", stage, from)}, "link", pass.link);
      part({pid, i, 1, stage + ": queue"}, "queue", pass.queue);
      part({pid, i, 2, stage + ": compute"}, "compute", pass.compute);
      part({pid, i, 3, stage + ": send"}, "send", pass.send);
      from = stage;
    }
    part({kCoordinatorPid, 0, 1, "link from " + from}, "link", step.link_back);
  }

  void put(const TrackKey& key, const char* event, const Span& span) {
    if (span.length <= Duration::zero()) return;
    Track& track = tracks_[key];
    track.event = event;
    track.spans.push_back(span);
  }

  static void comma(std::string& out) {
    if (!out.empty()) out += ",\n";
  }
  static void name_process(unsigned pid, const std::string& name, std::string& out) {
    comma(out);
    fmt::format_to(std::back_inserter(out), R"({{"name":"process_name","ph":"M","pid":{},"args":{{"name":{}}}}})", pid,
                   text_of(name));
  }

  // A track as so many threads as its spans need to stand beside each other.
  void write(const TrackKey& key, Track& track, std::string& out) {
    std::sort(track.spans.begin(), track.spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
    struct Lane {
      unsigned tid;
      Time end;
    };
    std::vector<Lane> lanes;
    for (const Span& span : track.spans) {
      auto lane = std::find_if(lanes.begin(), lanes.end(), [&](const Lane& each) { return each.end <= span.begin; });
      if (lane == lanes.end()) {
        lane = lanes.insert(lanes.end(), {++last_tid_, Time()});
        comma(out);
        fmt::format_to(std::back_inserter(out),
                       R"({{"name":"thread_name","ph":"M","pid":{0},"tid":{1},"args":{{"name":{2}}}}},)"
                       "\n"
                       R"({{"name":"thread_sort_index","ph":"M","pid":{0},"tid":{1},"args":{{"sort_index":{1}}}}})",
                       key.pid, lane->tid, text_of(key.name));
      }
      lane->end = span.begin + span.length;
      comma(out);
      write(key.pid, lane->tid, track.event, span, out);
    }
  }

  void write(unsigned pid, unsigned tid, const char* event, const Span& span, std::string& out) const {
    const TracedStep& step = *span.step;
    fmt::format_to(std::back_inserter(out),
                   R"({{"name":"{}","ph":"X","pid":{},"tid":{},"ts":{},"dur":{},"args":{{"step":{})", event, pid, tid,
                   (span.begin - base_).count(), span.length.count(), step.step.value);
    if (span.whole) {
      fmt::format_to(std::back_inserter(out),
                     R"(,"epoch":{},"decode_rows":{},"prompt_rows":{},"draft_rows":{},"links_measured":{})",
                     trace_.plans[step.plan].epoch.value, step.rows.decode, step.rows.prompt, step.rows.draft,
                     step.clocks_known);
    }
    out += "}}";
  }

  const Trace& trace_;
  Time base_;
  std::map<NodeId, unsigned> pids_;
  std::vector<std::string> processes_;  // names, from the first pid behind the coordinator's on
  std::map<TrackKey, Track> tracks_;
  unsigned last_tid_ = 0;
};

Json summary_object(const coordinator::TraceSummary& summary) {
  Json stages = Json::array();
  for (const coordinator::StageSummary& stage : summary.stages) {
    stages.push_back({{"node", stage.stage.node.hex()},
                      {"node_name", stage.stage.node_name},
                      {"layers", {{"first", stage.stage.range.first}, {"last", stage.stage.range.last}}},
                      {"queue_us", stage.queue.count()},
                      {"compute_us", stage.compute.count()},
                      {"send_us", stage.send.count()},
                      {"queue_share", stage.queue_share},
                      {"share", stage.share},
                      {"busy", stage.busy},
                      {"slowest", stage.slowest}});
  }
  Json links = Json::array();
  for (const coordinator::LinkSummary& link : summary.links) {
    links.push_back({{"from", link.from},
                     {"to", link.to},
                     {"relayed", link.relayed},
                     {"time_us", link.time.count()},
                     {"share", link.share},
                     {"slowest", link.slowest}});
  }
  return {{"window_s", static_cast<double>(summary.window.count()) / 1e6},
          {"epoch", summary.epoch.value},
          {"plans", summary.plans},
          {"steps", summary.steps},
          {"steps_left_out", summary.steps_left_out},
          {"decode_rows", summary.rows.decode},
          {"prompt_rows", summary.rows.prompt},
          {"draft_rows", summary.rows.draft},
          {"steps_summarised", summary.steps_told},
          {"tokens", summary.tokens},
          {"way_us", summary.way.count()},
          {"way_p95_us", summary.way_p95.count()},
          {"steps_under_way", summary.steps_under_way},
          {"active", summary.active},
          {"links_measured", summary.clocks_known},
          {"shares",
           {{"queue", summary.queue_share},
            {"compute", summary.compute_share},
            {"send", summary.send_share},
            {"link", summary.link_share}}},
          {"stages", std::move(stages)},
          {"links", std::move(links)},
          {"bottleneck", summary.bottleneck}};
}

}  // namespace

std::string trace_json(const Trace& trace) {
  return fmt::format("{{\"displayTimeUnit\":\"ms\",\"otherData\":{},\"traceEvents\":[\n{}\n]}}\n",
                     text_of(summary_object(coordinator::summarise(trace))), Tracks(trace).events());
}

}  // namespace shoal::api
