// Goal: the scheduler keeps its promises through ten minutes of faults of every kind (faults.h), and the simulation
// would notice if it did not. A failing seed prints the command that replays it.
#include "sim/faults.h"

#include <chrono>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/simulation.h"

namespace shoal::sim {
namespace {

using ::testing::IsEmpty;

std::string replay_faults(std::uint64_t seed) {
  return fmt::format("replay: build/release/bin/shoal-sim --faults --seed {} --verbose", seed);
}

// Goal: 200 seeds of ten minutes each, with every kind of fault. In parts, which run beside each other.
class TenMinutesOfFaults : public ::testing::TestWithParam<std::uint64_t> {};
constexpr std::uint64_t kParts = 8;
constexpr std::uint64_t kSeedsOfPart = 25;
INSTANTIATE_TEST_SUITE_P(Part, TenMinutesOfFaults, ::testing::Range(std::uint64_t{0}, kParts));

TEST_P(TenMinutesOfFaults, BreakNoPromise) {
  Report sum;
  std::uint64_t with_several = 0;
  for (std::uint64_t i = 1; i <= kSeedsOfPart; ++i) {
    Options options;
    options.all_faults = true;
    options.seed = GetParam() * kSeedsOfPart + i;
    const Report report = run(options);
    ASSERT_THAT(report.violations, IsEmpty()) << replay_faults(options.seed);
    EXPECT_GE(report.simulated, std::chrono::minutes(10)) << replay_faults(options.seed);
    for (const auto& [kind, count] : report.faults) sum.faults[kind] += count;
    sum.answers += report.answers;
    sum.links_broken += report.links_broken;
    sum.steps_relayed += report.steps_relayed;
    sum.sequences_resumed += report.sequences_resumed;
    sum.sequences_moved += report.sequences_moved;
    with_several += report.lanes_max > 1;
  }
  // They went through what they are there for.
  for (const FaultKind& kind : fault_kinds()) EXPECT_GT(sum.faults[kind.name], 5u) << kind.name;
  EXPECT_GT(sum.answers, 500u);
  EXPECT_GT(sum.links_broken, 20u);
  EXPECT_GT(sum.steps_relayed, 100u);
  EXPECT_GT(sum.sequences_resumed, 20u);
  EXPECT_GT(sum.sequences_moved, 20u);
  EXPECT_GT(with_several, 4u);
}

// Goal: shoals whose phones can hold the model several times, with every kind of fault.
TEST(Simulation, PipelinesBesideEachOtherWithFaults) {
  Report sum;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Options options;
    options.all_faults = true;
    options.seed = seed;
    options.replicas = 3;
    const Report report = run(options);
    ASSERT_THAT(report.violations, IsEmpty()) << replay_faults(seed) << " --replicas 3";
    sum.answers += report.answers;
    sum.sequences_moved += report.sequences_moved;
    sum.sequences_moved_freely += report.sequences_moved_freely;
  }
  EXPECT_GT(sum.answers, 2000u);
  EXPECT_GT(sum.sequences_moved, 300u);
  EXPECT_GT(sum.sequences_moved_freely, 10u);
}

TEST(Simulation, SameSeedOfFaultsTwiceIsTheSameRun) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Options options;
    options.all_faults = true;
    options.seed = seed;
    EXPECT_EQ(run(options).log_hash, run(options).log_hash) << replay_faults(seed);
  }
}

// Each breaks the code without its mend, found while there was one pipeline. A step that a neighbour had sent under one
// coordinator waited for the same epoch of the next one, and was computed there. And the place of a request that was
// cancelled while its rows were on their way to a new stage was given away before its KV was free.
TEST(Simulation, SeedsOfFaultsThatFoundBugs) {
  for (const std::uint64_t seed : {352, 374, 430, 459, 607, 777, 50, 426, 1441, 1711, 1759, 1866}) {
    Options options;
    options.all_faults = true;
    options.replicas = 1;
    options.seed = seed;
    EXPECT_THAT(run(options).violations, IsEmpty()) << replay_faults(seed) << " --replicas 1";
  }
}

// The same, and answers that waited for their kernel family until they ended, while others served (11, 57, 240).
TEST(Simulation, SeedsOfFaultsWithPipelinesThatFoundBugs) {
  for (const std::uint64_t seed : {63, 132, 171, 249, 11, 57, 240}) {
    Options options;
    options.all_faults = true;
    options.seed = seed;
    EXPECT_THAT(run(options).violations, IsEmpty()) << replay_faults(seed);
  }
}

// --- the simulation would notice ---

// In how many of 20 runs with faults a sentence with these words is found. `make`: the options, anew for each run.
int noticed_with_faults(const std::function<Options()>& make, const std::string& words) {
  int count = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Options options = make();
    options.all_faults = true;
    options.seed = seed;
    const Report report = run(options);
    count += std::any_of(report.violations.begin(), report.violations.end(),
                         [&](const std::string& what) { return what.find(words) != std::string::npos; });
  }
  return count;
}

using Actions = std::vector<sched::Action>;

// Goal: a phone that is given more than it has, because it said that it had more.
TEST(SimulationNotices, TooMuchMemory) {
  const auto make = [] {
    Options options;
    options.memory_told_percent = 300;
    return options;
  };
  EXPECT_GE(noticed_with_faults(make, "bytes of stages, and has"), 5);  // most shoals have room to spare
}

// The newest plan again, `times`, with every event of a kind.
template <typename Kind>
Options plans_again(int times) {
  Options options;
  options.tamper_actions = [times, newest = std::optional<sched::PublishPlan>()](const sched::Event& event,
                                                                                 Actions& actions) mutable {
    for (const sched::Action& action : actions) {
      if (const auto* plan = std::get_if<sched::PublishPlan>(&action)) newest = *plan;
    }
    if (!newest || !std::holds_alternative<Kind>(event)) return;
    for (int i = 0; i < times; ++i) actions.emplace_back(*newest);
  };
  return options;
}

// Goal: a scheduler that changes its mind by itself, or does not stop to.
TEST(SimulationNotices, Flapping) {
  EXPECT_GE(noticed_with_faults([] { return plans_again<sched::SequenceArrived>(1); },
                                "nothing has happened that calls for it"),
            18);
  EXPECT_GE(noticed_with_faults([] { return plans_again<sched::NodeJoined>(3); }, "plans for one event"), 15);
}

// Goal: a scheduler that loads a stage that failed again at once.
TEST(SimulationNotices, EndlessRetries) {
  const auto make = [] {
    Options options;
    options.fault_kinds = {"memory", "kill"};
    options.tamper_actions = [loads = std::map<StageId, sched::LoadStage>(), stages = std::uint64_t{1'000'000}](
                                 const sched::Event& event, Actions& actions) mutable {
      for (const sched::Action& action : actions) {
        if (const auto* load = std::get_if<sched::LoadStage>(&action)) loads[load->stage] = *load;
      }
      const auto* failed = std::get_if<sched::StageFailed>(&event);
      if (failed == nullptr || !loads.contains(failed->stage)) return;
      sched::LoadStage again = loads.at(failed->stage);
      again.stage = {++stages};
      actions.emplace_back(again);
    };
    return options;
  };
  EXPECT_GE(noticed_with_faults(make, "too soon after a failure"), 3);  // in many seeds no load fails
}

// Goal: a scheduler that forgets a request that its user has given up.
TEST(SimulationNotices, RequestsWithoutAnEnd) {
  const auto make = [] {
    Options options;
    options.tamper_actions = [](const sched::Event& event, Actions& actions) {
      if (!std::holds_alternative<sched::SequenceCancelled>(event)) return;
      std::erase_if(actions, [](const sched::Action& action) { return std::holds_alternative<sched::Emit>(action); });
    };
    return options;
  };
  EXPECT_GE(noticed_with_faults(make, "has not ended by its deadline"), 12);
}

// Goal: a scheduler that sends nothing, and waits for nothing.
TEST(SimulationNotices, RequestsThatDoNotGetOn) {
  const auto make = [] {
    Options options;
    options.faults = false;
    options.tamper_actions = [](const sched::Event&, Actions& actions) {
      std::erase_if(actions, [](const sched::Action& action) {
        return std::holds_alternative<sched::SendStep>(action) || std::holds_alternative<sched::SetTimer>(action);
      });
    };
    return options;
  };
  EXPECT_GE(noticed_with_faults(make, "nothing has come of them"), 15);
}

// Goal: a shoal that does not heal: once a node was lost, no stage is loaded any more.
TEST(SimulationNotices, ShoalsThatDoNotHeal) {
  const auto make = [] {
    Options options;
    options.fault_kinds = {"kill", "power"};
    options.replicas = 1;  // with several, others serve on
    options.tamper_actions = [broken = false](const sched::Event& event, Actions& actions) mutable {
      broken = broken || std::holds_alternative<sched::NodeLost>(event);
      if (!broken) return;
      std::erase_if(actions,
                    [](const sched::Action& action) { return std::holds_alternative<sched::LoadStage>(action); });
    };
    return options;
  };
  EXPECT_GE(noticed_with_faults(make, "healed"), 15);
}

// With several pipelines: actions of a kind that never get to the owner.
template <typename Kind>
Options without() {
  Options options;
  options.replicas = 3;
  options.tamper_actions = [](const sched::Event&, Actions& actions) {
    std::erase_if(actions, [](const sched::Action& action) { return std::holds_alternative<Kind>(action); });
  };
  return options;
}

// Goal: a coordinator that is not told that a plan is dead, or that a request goes on in another pipeline.
TEST(SimulationNotices, PipelinesThatAreNotToldOf) {
  EXPECT_GE(noticed_with_faults(without<sched::WithdrawPlan>, "was not withdrawn"),
            6);  // in most seeds all lanes have a spare node
  EXPECT_GE(noticed_with_faults(without<sched::SequenceMoved>, "and belongs to"), 12);
}

// Goal: a plan with a node of another pipeline.
TEST(SimulationNotices, NodesInTwoPipelines) {
  const auto make = [] {
    Options options;
    options.replicas = 3;
    options.tamper_actions = [nodes = std::map<std::uint32_t, NodeId>()](const sched::Event&,
                                                                         Actions& actions) mutable {
      for (sched::Action& action : actions) {
        auto* plan = std::get_if<sched::PublishPlan>(&action);
        if (plan == nullptr) continue;
        nodes[plan->plan.lane] = plan->plan.stages.front().node;
        if (nodes.size() > 1 && plan->plan.lane > 0) plan->plan.stages.front().node = nodes.begin()->second;
      }
    };
    return options;
  };
  EXPECT_GE(noticed_with_faults(make, "a node is in the plans of two pipelines"), 8);
}

// Goal: a request that goes to and fro.
TEST(SimulationNotices, RequestsThatFlap) {
  const auto make = [] {
    Options options;
    options.replicas = 2;
    options.tamper_actions = [](const sched::Event& event, Actions& actions) {
      const auto* arrived = std::get_if<sched::SequenceArrived>(&event);
      if (arrived == nullptr || arrived->prompt.size() < 2) return;
      for (std::uint32_t i = 0; i < 30; ++i) {
        actions.emplace_back(sched::SequenceMoved{arrived->request, i % 2, 1 - i % 2, "why not"});
      }
    };
    return options;
  };
  EXPECT_GE(noticed_with_faults(make, "moves to and fro"), 3);  // in most it is another's by then
}

// Goal: nodes that are divided anew though somebody asks.
TEST(SimulationNotices, PlansThatEndForNothing) {
  const auto make = [] {
    Options options;
    options.replicas = 2;
    options.tamper_actions = [newest = std::map<std::uint32_t, Epoch>()](const sched::Event& event,
                                                                         Actions& actions) mutable {
      for (const sched::Action& action : actions) {
        if (const auto* plan = std::get_if<sched::PublishPlan>(&action)) newest[plan->plan.lane] = plan->plan.epoch;
      }
      if (!std::holds_alternative<sched::SequenceArrived>(event)) return;
      for (const auto& [lane, epoch] : newest) actions.emplace_back(sched::WithdrawPlan{epoch, lane});
    };
    return options;
  };
  EXPECT_GE(noticed_with_faults(make, "a plan ends, though nothing has happened"), 15);
}

// Goal: tokens that a sampler has chosen, and nobody takes.
TEST(SimulationNotices, TokensThatAreNotTaken) {
  for (const std::uint32_t replicas : {1, 2}) {
    const auto make = [replicas] {
      Options options;
      options.replicas = replicas;
      options.tamper_actions = [](const sched::Event& event, Actions& actions) {
        const auto* sampled = std::get_if<sched::TokenSampled>(&event);
        if (sampled == nullptr || sampled->step.value % 50 != 0) return;
        std::erase_if(actions, [](const sched::Action& action) { return std::holds_alternative<sched::Emit>(action); });
      };
      return options;
    };
    EXPECT_GE(noticed_with_faults(make, "were chosen from step"), 18);
  }
}

}  // namespace
}  // namespace shoal::sim
