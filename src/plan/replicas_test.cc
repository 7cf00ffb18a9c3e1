// Goal: nodes are divided so that each group can hold the model. How: shapes with round numbers.
#include "plan/replicas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal::plan {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

NodeProfile node(std::uint8_t id, std::uint64_t memory, const std::string& family = "a", double rate = 0) {
  NodeProfile profile;
  profile.node.key.bytes[0] = id;
  profile.name = fmt::format("node-{}", id);
  profile.memory_bytes_max = memory;
  profile.kernel_family = family;
  profile.weights_per_s = rate;
  return profile;
}

std::vector<std::vector<std::string>> names(const std::vector<Group>& groups) {
  std::vector<std::vector<std::string>> all;
  for (const Group& group : groups) {
    all.emplace_back();
    for (const NodeProfile& each : group.nodes) all.back().push_back(each.name);
  }
  return all;
}

const ModelShape kModel = ModelShape::of_equal_layers(8, 100);  // 800 bytes

TEST(Divide, FourHalvesAreTwoWholes) {
  const auto groups = divide(kModel, {node(1, 400), node(2, 400), node(3, 400), node(4, 400)}, {}, 4);
  EXPECT_THAT(names(groups),
              UnorderedElementsAre(UnorderedElementsAre("node-1", "node-3"), UnorderedElementsAre("node-2", "node-4")));
}

TEST(Divide, NoMoreThanAskedFor) {
  const std::vector<NodeProfile> nodes = {node(1, 800), node(2, 800), node(3, 800)};
  EXPECT_EQ(divide(kModel, nodes, {}, 2).size(), 2u);
  EXPECT_EQ(divide(kModel, nodes, {}, 3).size(), 3u);
  EXPECT_EQ(divide(kModel, nodes, {}, 0).size(), 1u);
}

TEST(Divide, ALargeNodeStandsAlone) {
  const auto groups = divide(kModel, {node(1, 2000), node(2, 400), node(3, 400)}, {}, 2);
  EXPECT_THAT(names(groups), UnorderedElementsAre(ElementsAre("node-1"), UnorderedElementsAre("node-2", "node-3")));
}

TEST(Divide, WhatFitsNowhereIsOneGroup) {
  EXPECT_EQ(divide(kModel, {node(1, 100), node(2, 100)}, {}, 2).size(), 1u);
  EXPECT_EQ(divide(kModel, {node(1, 400), node(2, 500)}, {}, 2).size(), 1u);
  EXPECT_TRUE(divide(kModel, {}, {}, 2).empty());
}

TEST(Divide, RatesCountWhereTheyAreKnown) {
  const auto groups = divide(kModel, {node(1, 900, "a", 10), node(2, 900, "a", 30), node(3, 900, "a", 20)}, {}, 2);
  EXPECT_THAT(names(groups), UnorderedElementsAre(ElementsAre("node-2"), UnorderedElementsAre("node-1", "node-3")));
}

TEST(Divide, KernelFamiliesStayTogether) {
  const std::vector<NodeProfile> nodes = {node(1, 400, "a"), node(2, 400, "b"), node(3, 400, "a"), node(4, 400, "b")};
  EXPECT_THAT(names(divide(kModel, nodes, {}, 2)),
              UnorderedElementsAre(UnorderedElementsAre("node-1", "node-3"), UnorderedElementsAre("node-2", "node-4")));
  // Where one family alone cannot hold it, all nodes count, unless the rules ask for one family.
  const std::vector<NodeProfile> mixed = {node(1, 400, "a"), node(2, 400, "b"), node(3, 400, "a"), node(4, 400, "c")};
  EXPECT_EQ(divide(kModel, mixed, {}, 2).size(), 2u);
  PlanRules rules;
  rules.one_kernel_family = true;
  const auto one = divide(kModel, mixed, rules, 2);
  EXPECT_THAT(names(one), ElementsAre(UnorderedElementsAre("node-1", "node-2", "node-3", "node-4")));
}

TEST(Divide, SparesAreDealtOut) {
  PlanRules rules;
  rules.spares = 2;
  const auto groups = divide(kModel, {node(1, 800), node(2, 800), node(3, 700), node(4, 700)}, rules, 2);
  ASSERT_EQ(groups.size(), 2u);
  for (const Group& group : groups) {
    EXPECT_EQ(group.nodes.size(), 2u);
    EXPECT_EQ(group.spares, 1u);
    EXPECT_EQ(group.nodes.front().memory_bytes_max, 800u);
  }
}

TEST(Divide, ASpareIsNotKeptAtTheCostOfAGroup) {
  PlanRules rules;
  rules.spares = 1;
  const auto groups = divide(kModel, {node(1, 800), node(2, 800)}, rules, 2);
  EXPECT_EQ(groups.size(), 2u);
}

}  // namespace
}  // namespace shoal::plan
