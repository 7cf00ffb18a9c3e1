// Goal: what --exact auto means is decided once for a kernel family, survives a restart, and holds nobody back for
// ever.
#include "coordinator/kernel_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_models.h"

namespace shoal::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

NodeId node(std::uint8_t number) {
  NodeId id;
  id.key.bytes[0] = number;
  return id;
}

class KernelChoiceTest : public testing::Test {
 protected:
  KernelChoiceTest() : store_(Store::open(folder_ / "state").value()) {}

  std::unique_ptr<KernelChoice> make(ExactMode mode, std::vector<WeightType> types = {{12, 1000}}) {
    return std::make_unique<KernelChoice>(io_, *store_, mode, std::move(types),
                                          KernelChoice::Handlers{[this](const NodeId& id) { asked_.push_back(id); },
                                                                 [this](const NodeId& id) { ready_.push_back(id); }});
  }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  std::unique_ptr<Store> store_;
  std::vector<NodeId> asked_;
  std::vector<NodeId> ready_;
};

TEST_F(KernelChoiceTest, OnAndOffAskNobody) {
  for (const ExactMode mode : {ExactMode::kOn, ExactMode::kOff}) {
    auto choice = make(mode);
    choice->join(node(1), "a");
    EXPECT_EQ(choice->mode_for("a"), mode);
  }
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_THAT(ready_, ElementsAre(node(1), node(1)));
}

TEST_F(KernelChoiceTest, TheFirstAnswerDecidesForTheFamily) {
  auto choice = make(ExactMode::kAuto);
  choice->join(node(1), "dear");
  choice->join(node(2), "dear");
  choice->join(node(3), "cheap");
  EXPECT_THAT(ready_, IsEmpty());
  choice->answer(node(2), {true, 0.34, "repacked Q4_K"});
  EXPECT_THAT(ready_, ElementsAre(node(1), node(2)));
  choice->answer(node(1), {true, 0.01, "repacked Q4_K"});  // too late
  EXPECT_EQ(choice->mode_for("dear"), ExactMode::kOff);
  EXPECT_THAT(choice->why_not_exact("dear"), HasSubstr("without repacked Q4_K) would cost 34 %"));

  choice->answer(node(3), {true, 0.099, "repacked Q2_K"});
  EXPECT_EQ(choice->mode_for("cheap"), ExactMode::kAuto);
  EXPECT_EQ(choice->why_not_exact("cheap"), "");

  choice->join(node(4), "dear");  // known by now
  EXPECT_THAT(ready_, ElementsAre(node(1), node(2), node(3), node(4)));
  EXPECT_THAT(asked_, ElementsAre(node(1), node(2), node(3)));
}

TEST_F(KernelChoiceTest, ARestartDecidesTheSame) {
  auto choice = make(ExactMode::kAuto);
  choice->join(node(1), "a");
  choice->answer(node(1), {true, 0.5, "tinyBLAS F16"});
  choice = make(ExactMode::kAuto);
  choice->join(node(1), "a");
  EXPECT_EQ(choice->mode_for("a"), ExactMode::kOff);
  EXPECT_THAT(asked_, ElementsAre(node(1)));

  choice = make(ExactMode::kAuto, {{12, 999}});  // another model
  choice->join(node(1), "a");
  EXPECT_THAT(asked_, ElementsAre(node(1), node(1)));
}

TEST_F(KernelChoiceTest, WhoLeavesBeforeTheAnswerIsForgotten) {
  auto choice = make(ExactMode::kAuto);
  choice->join(node(1), "a");
  choice->leave(node(1));
  choice->answer(node(1), {true, 0.5, "tinyBLAS F16"});
  EXPECT_EQ(choice->mode_for("a"), ExactMode::kAuto);
  choice->join(node(2), "a");
  EXPECT_THAT(asked_, ElementsAre(node(1), node(2)));
  EXPECT_THAT(ready_, IsEmpty());
}

TEST_F(KernelChoiceTest, TheStoreForgetsOldFamilies) {
  for (int i = 0; i <= Store::kKernelCostsMax; ++i) {
    ASSERT_TRUE(store_->keep_kernel_cost(std::to_string(i), {true, 1.5, "x"}).ok());
  }
  EXPECT_FALSE(store_->find_kernel_cost("0").value());
  EXPECT_EQ(store_->find_kernel_cost("1").value(), (KernelCost{true, 1.5, "x"}));
}

}  // namespace
}  // namespace shoal::coordinator
