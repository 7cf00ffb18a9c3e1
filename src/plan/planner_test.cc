// Goal: plans cover the model once, keep every budget, are the best there is, and explain themselves when there is
// none.
#include "plan/planner.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::plan {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kGiB = 1u << 30;

NodeProfile node(std::uint16_t number, std::uint64_t memory_bytes_max) {
  NodeProfile profile;
  profile.node.key.bytes[0] = static_cast<std::uint8_t>(number >> 8);
  profile.node.key.bytes[1] = static_cast<std::uint8_t>(number & 255);
  profile.name = fmt::format("n{}", number);
  profile.memory_bytes_max = memory_bytes_max;
  return profile;
}

ModelShape random_model(SplitMix64& random, std::uint32_t layers_max) {
  ModelShape model = ModelShape::of_equal_layers(1 + static_cast<std::uint32_t>(random.below(layers_max)), 0);
  for (auto& bytes : model.layer_weight_bytes) bytes = 50 + random.below(50);
  for (auto& bytes : model.layer_kv_bytes) bytes = random.below(20);
  for (std::uint32_t i = 1; i < model.layer_count; ++i) model.cut_allowed[i] = random.below(4) != 0;
  model.first_stage_bytes = random.below(200);
  model.last_stage_bytes = random.below(200);
  model.every_stage_bytes = random.below(30);
  return model;
}

std::uint64_t stage_bytes(const ModelShape& model, LayerRange range) {
  std::uint64_t bytes = model.every_stage_bytes;
  for (std::uint32_t i = range.first; i < range.last; ++i)
    bytes += model.layer_weight_bytes[i] + model.layer_kv_bytes[i];
  if (range.first == 0) bytes += model.first_stage_bytes;
  if (range.last == model.layer_count) bytes += model.last_stage_bytes;
  return bytes;
}

double cost(const Plan& plan, const std::map<NodeId, std::uint64_t>& budgets) {
  double sum = 0;
  for (const PlannedStage& stage : plan.stages) {
    const double full = static_cast<double>(stage.memory_bytes) / static_cast<double>(budgets.at(stage.node));
    sum += full * full;
  }
  return sum;
}

// The least cost of layers [first, ..) over the nodes from `at` on, in this order, by trying every split.
double brute_force(const ModelShape& model, const std::vector<std::uint64_t>& budgets, std::size_t at,
                   std::uint32_t first) {
  if (at == budgets.size()) return first == model.layer_count ? 0 : std::numeric_limits<double>::infinity();
  double best = std::numeric_limits<double>::infinity();
  for (std::uint32_t last = first + 1; last <= model.layer_count; ++last) {
    if (last < model.layer_count && !model.cut_allowed[last]) continue;
    const std::uint64_t bytes = stage_bytes(model, {first, last});
    if (bytes > budgets[at]) break;
    const double full = static_cast<double>(bytes) / static_cast<double>(budgets[at]);
    best = std::min(best, full * full + brute_force(model, budgets, at + 1, last));
  }
  return best;
}

TEST(Planner, EightLayersOverEightEqualNodesAreOneEach) {
  std::vector<NodeProfile> nodes;
  for (std::uint16_t i = 0; i < 8; ++i) nodes.push_back(node(i, kGiB));
  const Plan plan = make_plan(ModelShape::of_equal_layers(8, 10 * kMiB), nodes).value();
  ASSERT_EQ(plan.stages.size(), 8u);
  for (const PlannedStage& stage : plan.stages) EXPECT_EQ(stage.range.count(), 1u);
  EXPECT_TRUE(plan.left_out.empty());
}

TEST(Planner, LayersFollowMemory) {
  const Plan plan =
      make_plan(ModelShape::of_equal_layers(12, 10 * kMiB), {node(1, kGiB), node(2, 2 * kGiB), node(3, 3 * kGiB)})
          .value();
  std::map<NodeId, std::uint32_t> layers;
  for (const PlannedStage& stage : plan.stages) layers[stage.node] = stage.range.count();
  EXPECT_GT(layers[node(3, 0).node], layers[node(2, 0).node]);
  EXPECT_GT(layers[node(2, 0).node], layers[node(1, 0).node]);
}

// Goal: by seeds, every plan covers all layers once at allowed cuts, keeps budgets, predicts its bytes rightly, and
// does not depend on the order in which nodes are named.
TEST(Planner, PropertiesHoldForRandomShoals) {
  int planned = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix64 random(seed);
    const ModelShape model = random_model(random, 24);
    std::vector<NodeProfile> nodes;
    std::map<NodeId, std::uint64_t> budgets;
    const std::uint64_t count = 1 + random.below(10);
    for (std::uint16_t i = 0; i < count; ++i) {
      nodes.push_back(node(i, random.below(1200)));
      budgets[nodes.back().node] = nodes.back().memory_bytes_max;
    }
    const auto result = make_plan(model, nodes);
    std::vector<NodeProfile> shuffled = nodes;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    const auto again = make_plan(model, shuffled);
    ASSERT_EQ(result.ok(), again.ok());
    if (!result.ok()) {
      EXPECT_EQ(result.error().code, ErrorCode::kResourceExhausted);
      EXPECT_EQ(result.error().message, again.error().message);
      EXPECT_THAT(result.error().message, HasSubstr("missing"));
      continue;
    }
    ++planned;
    EXPECT_EQ(result->stages, again->stages);
    EXPECT_EQ(result->explanation, again->explanation);
    EXPECT_EQ(result->stages.size() + result->left_out.size(), nodes.size());
    std::uint32_t next = 0;
    std::uint64_t hosting_min = std::numeric_limits<std::uint64_t>::max();
    for (const PlannedStage& stage : result->stages) {
      EXPECT_EQ(stage.range.first, next);
      EXPECT_GT(stage.range.last, stage.range.first);
      EXPECT_TRUE(model.cut_allowed[stage.range.last]);
      EXPECT_EQ(stage.memory_bytes, stage_bytes(model, stage.range));
      EXPECT_LE(stage.memory_bytes, budgets.at(stage.node));
      hosting_min = std::min(hosting_min, budgets.at(stage.node));
      budgets.at(stage.node) = 0;  // a node may host once
      next = stage.range.last;
    }
    EXPECT_EQ(next, model.layer_count);
    for (const NodeId& left_out : result->left_out) EXPECT_LE(budgets.at(left_out), hosting_min);
  }
  EXPECT_GT(planned, 500);
  EXPECT_LT(planned, 1900);
}

// Goal: the cost is the least that any split of as many stages can have, in any order of the same nodes where layers
// are alike and in the tried orders otherwise.
TEST(Planner, MatchesBruteForceOnSmallCases) {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix64 random(seed);
    ModelShape model = random_model(random, 8);
    std::vector<NodeProfile> nodes;
    std::map<NodeId, std::uint64_t> budgets;
    const bool equal_budgets = random.below(2) == 0;
    const std::uint64_t equal = 200 + random.below(1500);
    const std::uint64_t count = 1 + random.below(4);
    for (std::uint16_t i = 0; i < count; ++i) {
      nodes.push_back(node(i, equal_budgets ? equal : 200 + random.below(1500)));
      budgets[nodes.back().node] = nodes.back().memory_bytes_max;
    }
    const auto plan = make_plan(model, nodes);
    if (!plan.ok()) {
      // With the single largest node, and with all of them, in any order: really nothing.
      if (!equal_budgets) continue;
      for (std::size_t used = 1; used <= nodes.size(); ++used) {
        EXPECT_EQ(brute_force(model, std::vector<std::uint64_t>(used, equal), 0, 0),
                  std::numeric_limits<double>::infinity());
      }
      continue;
    }
    std::vector<std::uint64_t> largest;
    for (const PlannedStage& stage : plan->stages) largest.push_back(budgets.at(stage.node));
    std::sort(largest.rbegin(), largest.rend());
    std::vector<std::vector<std::uint64_t>> orders = {largest};
    if (!equal_budgets && largest.size() > 1) {
      std::vector<std::uint64_t> ends = largest;
      std::rotate(ends.begin() + 1, ends.begin() + 2, ends.end());
      orders.push_back(ends);
      for (std::size_t i = 0; i < 2; ++i) orders.push_back({orders[i].rbegin(), orders[i].rend()});
    }
    double best = std::numeric_limits<double>::infinity();
    for (const auto& order : orders) best = std::min(best, brute_force(model, order, 0, 0));
    EXPECT_NEAR(cost(*plan, budgets), best, 1e-12);
    ++compared;
  }
  EXPECT_GT(compared, 300);
}

// Goal: a heavy output goes to the node that can hold it, wherever that stands in the list.
TEST(Planner, HeavyEndsGoToLargeNodes) {
  ModelShape model = ModelShape::of_equal_layers(4, 10 * kMiB);
  model.last_stage_bytes = 500 * kMiB;
  Plan plan = make_plan(model, {node(1, 100 * kMiB), node(2, kGiB)}).value();
  EXPECT_EQ(plan.stages.back().node, node(2, 0).node);
  std::swap(model.first_stage_bytes, model.last_stage_bytes);
  plan = make_plan(model, {node(1, 100 * kMiB), node(2, kGiB)}).value();
  EXPECT_EQ(plan.stages.front().node, node(2, 0).node);
}

TEST(Planner, MoreNodesThanPiecesTakesTheLargest) {
  const Plan plan =
      make_plan(ModelShape::of_equal_layers(2, kMiB), {node(1, kGiB), node(2, 3 * kGiB), node(3, 2 * kGiB)}).value();
  ASSERT_EQ(plan.stages.size(), 2u);
  EXPECT_THAT(plan.left_out, ::testing::ElementsAre(node(1, 0).node));
  EXPECT_THAT(plan.explanation, HasSubstr("left out"));
}

TEST(Planner, SaysHowMuchIsMissing) {
  ModelShape model = ModelShape::of_equal_layers(51, kGiB / 10);
  model.kv_tokens_total = 8192;
  std::string message = make_plan(model, {node(1, kGiB), node(2, kGiB), node(3, 2 * kGiB)}).error().message;
  EXPECT_EQ(message,
            "the model needs 5.10 GiB with 8192 tokens of KV, 3 nodes offer 4.00 GiB: 1.10 GiB missing; add a node or "
            "lower --context");
  model.every_stage_bytes = 100 * kMiB;
  message = make_plan(model, {node(1, kGiB)}).error().message;
  EXPECT_THAT(message, HasSubstr("beyond the 100 MiB that a stage itself takes on each"));

  // A layer that fits nowhere, though the sum would do.
  message = make_plan(ModelShape::of_equal_layers(2, kGiB),
                      {node(1, kGiB / 2), node(2, kGiB / 2), node(3, kGiB / 2), node(4, kGiB / 2)})
                .error()
                .message;
  EXPECT_THAT(message,
              HasSubstr("layers 0:1 alone take 1.00 GiB and the largest node offers 512 MiB: 512 MiB missing"));

  // Layers that fit, and a sum that fits, but not together.
  message = make_plan(ModelShape::of_equal_layers(4, 100 * kMiB),
                      {node(1, 150 * kMiB), node(2, 150 * kMiB), node(3, 150 * kMiB)})
                .error()
                .message;
  EXPECT_THAT(message, HasSubstr("no cut between whole layers fits: 50.0 MiB missing on each"));
}

TEST(Planner, RefusesWhatMakesNoSense) {
  EXPECT_EQ(make_plan(ModelShape::of_equal_layers(2, 1), {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(make_plan(ModelShape::of_equal_layers(0, 1), {node(1, kGiB)}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(make_plan(ModelShape::of_equal_layers(2, 1), {node(1, kGiB), node(1, kGiB)}).error().code,
            ErrorCode::kInvalidArgument);
  ModelShape model = ModelShape::of_equal_layers(2, 1);
  model.layer_kv_bytes.pop_back();
  EXPECT_EQ(make_plan(model, {node(1, kGiB)}).error().code, ErrorCode::kInvalidArgument);
  model = ModelShape::of_equal_layers(
      2, std::numeric_limits<std::uint64_t>::max());  // sums saturate instead of wrapping round
  EXPECT_EQ(make_plan(model, {node(1, kGiB)}).error().code, ErrorCode::kResourceExhausted);
}

// Goal: a shoal of 200 phones and 128 layers is planned well within a second, fitting or not (exo enumerated 3.8e12).
// --- measured rates ---

NodeProfile measured(std::uint16_t number, std::uint64_t memory_bytes_max, double weights_per_s) {
  NodeProfile profile = node(number, memory_bytes_max);
  profile.weights_per_s = weights_per_s;
  return profile;
}

TEST(Rates, ASlowNodeGetsLessAndOneThatOnlyHoldsUpGetsNothing) {
  const ModelShape model = ModelShape::of_equal_layers(12, 100);
  const auto layers_of = [](const Plan& plan, std::uint16_t number) {
    std::uint32_t layers = 0;
    for (const PlannedStage& stage : plan.stages)
      layers += stage.node == node(number, 0).node ? stage.range.count() : 0;
    return layers;
  };
  const auto shoal = [](double third) {
    return std::vector{measured(1, 2000, 1000), measured(2, 2000, 1000), measured(3, 2000, third)};
  };
  EXPECT_EQ(layers_of(make_plan(model, shoal(1000)).value(), 3), 4u);
  EXPECT_EQ(layers_of(make_plan(model, shoal(500)).value(), 3), 2u);
  EXPECT_EQ(layers_of(make_plan(model, shoal(3000)).value(), 3), 8u);
  const Plan without = make_plan(model, shoal(100)).value();
  EXPECT_EQ(without.stages.size(), 2u);
  EXPECT_EQ(without.left_out.at(0), node(3, 0).node);
  EXPECT_THAT(without.explanation, HasSubstr("too slow to help"));
  EXPECT_THAT(without.explanation, HasSubstr("600.0 ms a token"));
}

// Goal: rates decide within what memory allows, and one that was not measured is worth what its memory says.
TEST(Rates, MemoryIsStillALimit) {
  const ModelShape model = ModelShape::of_equal_layers(12, 100);
  Plan plan = make_plan(model, {measured(1, 300, 9000), measured(2, 2000, 1000)}).value();
  EXPECT_EQ(plan.stages.size(), 2u);
  for (const PlannedStage& stage : plan.stages) EXPECT_EQ(stage.range.count(), stage.node == node(1, 0).node ? 3u : 9u);
  plan = make_plan(model, {measured(1, 2000, 1000), node(2, 1000)}).value();
  for (const PlannedStage& stage : plan.stages) EXPECT_EQ(stage.range.count(), stage.node == node(1, 0).node ? 8u : 4u);
}

// The least time of the slowest stage over any nodes in any order, by trying everything.
double least_slowest(const ModelShape& model, const std::vector<NodeProfile>& nodes, std::uint32_t used,
                     std::uint32_t first) {
  if (first == model.layer_count) return 0;
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (used >> i & 1) continue;
    for (std::uint32_t last = first + 1; last <= model.layer_count; ++last) {
      if (last < model.layer_count && !model.cut_allowed[last]) continue;
      if (stage_bytes(model, {first, last}) > nodes[i].memory_bytes_max) break;
      double work = last == model.layer_count ? static_cast<double>(model.last_stage_bytes) : 0;
      for (std::uint32_t k = first; k < last; ++k) work += static_cast<double>(model.layer_weight_bytes[k]);
      best = std::min(best, std::max(work / nodes[i].weights_per_s, least_slowest(model, nodes, used | 1u << i, last)));
    }
  }
  return best;
}

// Goal: near the best there is of all subsets and orders, though only a few of them are tried; and what a plan promises
// is what slowest_stage() says of it.
TEST(Rates, NearlyTheBestOfAllSubsetsAndOrders) {
  int planned = 0;
  int best_found = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix64 random(seed);
    ModelShape model = ModelShape::of_equal_layers(2 + static_cast<std::uint32_t>(random.below(7)), 100);
    model.last_stage_bytes = random.below(150);
    model.every_stage_bytes = random.below(30);
    std::vector<NodeProfile> nodes;
    const std::uint64_t count = 1 + random.below(4);
    for (std::uint16_t i = 0; i < count; ++i) {
      nodes.push_back(measured(i, 200 + random.below(1500), 100.0 + static_cast<double>(random.below(1000))));
    }
    const auto plan = make_plan(model, nodes);
    const double best = least_slowest(model, nodes, 0, 0);
    if (!plan.ok()) {
      EXPECT_EQ(best, std::numeric_limits<double>::infinity());
      continue;
    }
    ++planned;
    const double slowest = slowest_stage(model, plan->stages, nodes);
    EXPECT_GE(slowest, best * 0.999);
    EXPECT_LE(slowest, best * 2);
    best_found += slowest <= best * 1.001;
  }
  EXPECT_GT(planned, 250);
  EXPECT_GT(best_found, planned * 8 / 10);
}

TEST(Spares, AreLeftWithoutLayersWhereTheOthersHoldTheModel) {
  const ModelShape model = ModelShape::of_equal_layers(12, 100);
  const std::vector nodes = {node(1, 700), node(2, 700), node(3, 700)};
  EXPECT_EQ(make_plan(model, nodes, {.spares = 1}).value().stages.size(), 2u);
  EXPECT_EQ(make_plan(model, nodes, {.spares = 2}).value().stages.size(), 2u) << "one alone cannot hold it";
  EXPECT_EQ(make_plan(model, nodes, {.spares = 7}).value().left_out.size(), 1u);
}

TEST(Planner, LargeShoalsAreQuick) {
  SplitMix64 random(7);
  std::vector<NodeProfile> nodes;
  for (std::uint16_t i = 0; i < 200; ++i) nodes.push_back(node(i, kGiB + random.below(3 * kGiB)));
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(make_plan(ModelShape::of_equal_layers(128, 300 * kMiB), nodes)->stages.size(), 128u);
  EXPECT_EQ(make_plan(ModelShape::of_equal_layers(128, 1400 * kMiB), nodes)->left_out.size(), 72u);
  EXPECT_GT(make_plan(ModelShape::of_equal_layers(90, 2048 * kMiB), nodes)->left_out.size(),
            60u);  // some hold nothing at all
  const std::vector<NodeProfile> some(nodes.begin(), nodes.begin() + 60);
  EXPECT_EQ(make_plan(ModelShape::of_equal_layers(128, 20 * kMiB), some)->stages.size(),
            60u);  // the whole table is filled
  EXPECT_FALSE(make_plan(ModelShape::of_equal_layers(128, 5 * kGiB), nodes).ok());
  for (NodeProfile& each : nodes) each.weights_per_s = 1e9 + static_cast<double>(random.below(3'000'000'000));
  EXPECT_TRUE(make_plan(ModelShape::of_equal_layers(128, 20 * kMiB), nodes).ok());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  EXPECT_LT(took.count(), 5.0);  // some milliseconds in a release build; the bound leaves room for sanitizers
  RecordProperty("seconds", std::to_string(took.count()));
}

NodeProfile of_family(NodeProfile profile, const char* kernel_family) {
  profile.kernel_family = kernel_family;
  return profile;
}

TEST(OneKernelFamily, TakesTheLargestThatHoldsTheModel) {
  const ModelShape model = ModelShape::of_equal_layers(8, kMiB);
  const std::vector<NodeProfile> nodes = {of_family(node(1, 5 * kMiB), "arm"), of_family(node(2, 5 * kMiB), "arm"),
                                          of_family(node(3, 9 * kMiB), "x86")};
  auto mixed = make_plan(model, nodes);
  ASSERT_TRUE(mixed.ok());
  EXPECT_EQ(mixed->stages.size(), 3u);
  auto plan = make_plan(model, nodes, {.one_kernel_family = true});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->stages.size(), 2u);
  EXPECT_EQ(plan->left_out, std::vector{node(3, 0).node});
  EXPECT_THAT(plan->explanation, HasSubstr("1 node of another kernel family left out"));

  // The largest family cannot hold it, the other can.
  ModelShape uneven = model;
  uneven.cut_allowed.assign(9, false);
  uneven.layer_weight_bytes[0] = 24 * kMiB;
  EXPECT_EQ(make_plan(uneven,
                      {of_family(node(1, 20 * kMiB), "a"), of_family(node(2, 20 * kMiB), "a"),
                       of_family(node(3, 32 * kMiB), "b")},
                      {.one_kernel_family = true})
                .value()
                .stages.front()
                .node,
            node(3, 0).node);
}

TEST(OneKernelFamily, SaysWhyOthersDoNotHelp) {
  const ModelShape model = ModelShape::of_equal_layers(8, kMiB);
  const std::vector<NodeProfile> nodes = {of_family(node(1, 5 * kMiB), "arm"), of_family(node(2, 5 * kMiB), "x86")};
  ASSERT_TRUE(make_plan(model, nodes).ok());
  auto plan = make_plan(model, nodes, {.one_kernel_family = true});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(plan.error().message, HasSubstr("missing"));
  EXPECT_THAT(plan.error().message, HasSubstr("1 node of another kernel family cannot help under --exact on"));
}

TEST(OneKernelFamily, StaysInTheOneThatIsHeld) {
  const ModelShape model = ModelShape::of_equal_layers(8, kMiB);
  const std::vector<NodeProfile> nodes = {of_family(node(1, 9 * kMiB), "arm"), of_family(node(2, 90 * kMiB), "x86")};
  const PlanRules rules = {.one_kernel_family = true, .kernel_family = "arm"};
  EXPECT_EQ(make_plan(model, nodes, rules).value().stages.front().node, node(1, 0).node);
  EXPECT_THAT(make_plan(model, {nodes[1]}, rules).error().message, HasSubstr("bring one back"));
}

}  // namespace
}  // namespace shoal::plan
