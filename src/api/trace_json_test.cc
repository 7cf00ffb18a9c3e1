// Goal: a viewer can draw the file (events of a track do not overlap), and the parts of a step are where they were.
#include "api/trace_json.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace shoal::api {
namespace {

using coordinator::Trace;
using Json = nlohmann::json;

NodeId node(std::uint8_t byte) {
  return {Digest::from_bytes(Bytes(32, byte)).value()};
}

// Steps every 100 us through two stages of 90 us each: two are under way at once, and one waits before stage 2.
Trace overlapping_steps() {
  Trace trace;
  trace.begin = Time(Duration(5000));
  trace.plans.push_back({{4}, {{{1}, node(1), "pixel \"4\"\\", {0, 3}}, {{2}, node(2), "Fairphone\xff", {3, 8}}}});
  for (std::int64_t i = 0; i < 20; ++i) {
    coordinator::TracedStep step;
    step.step = {static_cast<std::uint64_t>(100 + i)};
    step.rows = {2, 30, 1};
    step.sent = Time(Duration(4900 + 100 * i));
    step.passes = {{Duration(10), Duration(0), Duration(90), Duration(1)},
                   {Duration(20), Duration(150), Duration(90), Duration(1)}};
    step.link_back = Duration(8);
    step.clocks_known = true;
    trace.steps.push_back(step);
  }
  trace.end = Time(Duration(9000));
  return trace;
}

TEST(TraceJson, PartsLieInTheirStepAndTracksDoNotOverlap) {
  const Json json = Json::parse(trace_json(overlapping_steps()));
  struct Range {
    std::int64_t begin, end;
  };
  const auto key_of = [](const Json& event) {
    return std::pair(event.at("pid").get<int>(), event.at("tid").get<int>());
  };
  std::map<std::pair<int, int>, std::vector<Range>> tracks;
  std::map<std::uint64_t, Range> whole;
  std::map<std::uint64_t, std::int64_t> parts_us;
  std::map<std::pair<int, int>, std::string> names;
  for (const Json& event : json.at("traceEvents")) {
    if (event.at("ph") == "M" && event.at("name") == "thread_name") {
      names[key_of(event)] = event.at("args").at("name");
    }
    if (event.at("ph") != "X") continue;
    const auto begin = event.at("ts").get<std::int64_t>();
    const Range range{begin, begin + event.at("dur").get<std::int64_t>()};
    EXPECT_GE(range.begin, 0);
    tracks[key_of(event)].push_back(range);
    const auto step = event.at("args").at("step").get<std::uint64_t>();
    if (event.at("name") == "step") {
      whole[step] = range;
      EXPECT_EQ(event.at("args").at("decode_rows"), 2);
      EXPECT_EQ(event.at("args").at("prompt_rows"), 30);
      EXPECT_EQ(event.at("args").at("epoch"), 4);
      EXPECT_EQ(event.at("args").at("links_measured"), true);
    } else {
      parts_us[step] += range.end - range.begin;
    }
  }
  ASSERT_EQ(whole.size(), 20u);
  EXPECT_EQ(whole.at(100).begin, 0) << "the first one";
  EXPECT_EQ(whole.at(103).begin, 300);
  for (const auto& [step, range] : whole) EXPECT_EQ(parts_us[step], range.end - range.begin) << step;
  for (auto& [key, ranges] : tracks) {
    EXPECT_TRUE(names.contains(key)) << key.second;
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < ranges.size(); ++i) EXPECT_GE(ranges[i].begin, ranges[i - 1].end) << names[key];
  }
  std::multiset<std::string> told;
  for (const auto& [key, name] : names) told.insert(name);
  EXPECT_EQ(told.count("steps"), 4u) << "370 us each, one every 100";
  EXPECT_EQ(told.count("stage 2: queue"), 2u);
  EXPECT_EQ(told.count("stage 1: compute"), 1u);
  EXPECT_EQ(told.count("stage 1: queue"), 0u) << "nothing waited there";
  EXPECT_EQ(told.count("link from stage 2"), 1u);
}

TEST(TraceJson, NamesProcessesWhateverTheyAreCalled) {
  const Json json = Json::parse(trace_json(overlapping_steps()));
  std::map<int, std::string> processes;
  for (const Json& event : json.at("traceEvents")) {
    if (event.at("name") == "process_name") processes[event.at("pid").get<int>()] = event.at("args").at("name");
  }
  EXPECT_EQ(processes, (std::map<int, std::string>{
                           {1, "coordinator"}, {2, "node pixel \"4\"\\"}, {3, "node Fairphone\xef\xbf\xbd"}}));
}

TEST(TraceJson, HasTheSummary) {
  const Json summary = Json::parse(trace_json(overlapping_steps())).at("otherData");
  EXPECT_EQ(summary.at("steps"), 20);
  EXPECT_EQ(summary.at("way_us"), 370);
  EXPECT_EQ(summary.at("decode_rows"), 40);
  EXPECT_EQ(summary.at("stages").size(), 2u);
  EXPECT_EQ(summary.at("stages")[0].at("compute_us"), 90);
  EXPECT_EQ(summary.at("stages")[1].at("layers").at("last"), 8);
  EXPECT_EQ(summary.at("links").size(), 3u);
  EXPECT_NE(summary.at("bottleneck"), "");
}

TEST(TraceJson, AnEmptyTraceIsOne) {
  const Json json = Json::parse(trace_json(Trace{}));
  EXPECT_EQ(json.at("otherData").at("steps"), 0);
  EXPECT_EQ(json.at("traceEvents").size(), 1u) << "the coordinator's name";
}

// Goal: what the header says of the size.
TEST(TraceJson, AFullTraceIsAFewMiB) {
  Trace trace = overlapping_steps();
  while (trace.steps.size() < coordinator::kTracedPassesMax / 2) {
    trace.steps.push_back(trace.steps.back());
    trace.steps.back().sent += Duration(100);
    trace.steps.back().step.value = 1'000'000'000 + trace.steps.size();
  }
  EXPECT_LT(trace_json(trace).size(), std::size_t{12} << 20);
}

}  // namespace
}  // namespace shoal::api
