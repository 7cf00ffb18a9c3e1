// Which nodes there are, what they host, and the plan in force: everything that changes seldom.
//
// A change of the plan shows as a new epoch() or a new state(); Scheduler looks for it after each call.
//
// When a node with a stage is lost, the plan is repaired where that is possible: the same cut, with a spare node in its
// place, preferably one with the shard on flash. So all other stages stay, with their KV. Where no spare node has the
// memory, a new plan is made over who is left. Once a plan serves, spare nodes fetch the plan's shards onto their
// flash, one after the other in the whole shoal: first the shard that the fewest of them have.
//
// A node that is paused is no candidate for anything. What it hosts is loaded on spare nodes while it serves, and when
// all of that is ready the plan changes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sched/scheduler.h"

namespace shoal::sched {

class Placement {
 public:
  Placement(plan::ModelShape model, const Limits& limits) : model_(std::move(model)), limits_(limits) {}

  // `may_keep`: a new plan may keep loaded stages; false when their KV could not be freed by name.
  void join(const NodeJoined& event, bool may_keep, Time now, std::vector<Action>& actions);
  void lose(NodeId node, bool may_keep, Time now, std::vector<Action>& actions);
  void ready(StageId stage);
  void failed(const StageFailed& event, bool may_keep, Time now, std::vector<Action>& actions);
  void fetched(StageId stage);
  void pause(NodeId node, bool paused, Time now);
  // Goes on with moving stages from paused nodes, if something has changed.
  void move_from_paused(bool may_keep, Time now, std::vector<Action>& actions);
  std::string why_not_moved() const { return state_ == PlanState::kServing ? why_not_moved_ : std::string(); }
  // Lets a spare node fetch the next shard, if one is due.
  void keep_shards(std::vector<Action>& actions);
  // The same plan under a new epoch; `reload`: with all stages loaded anew. Only while serving.
  void restart(bool reload, Time now, std::vector<Action>& actions);
  void timer(bool may_keep, Time now, std::vector<Action>& actions);
  // Under ExactMode::kOn: while held, new plans take nodes of the kernel family of the last one only.
  void hold_kernel_family(bool held, Time now);
  std::optional<Time> next_due() const;

  PlanState state() const { return state_; }
  Epoch epoch() const { return epoch_; }
  const PlannedPlan& plan() const { return plan_; }  // of epoch(); dead when state() is kNone
  bool keeps_kv() const { return keeps_kv_; }        // some of its stages were loaded before it was made
  Time none_since() const { return none_since_; }
  Error why_none() const;  // while state() is kNone

 private:
  struct Node {
    plan::NodeProfile profile;
    std::uint32_t failures = 0;  // stages that failed since it joined or last served
    Time usable_at;              // left out until then
    bool paused = false;
    std::set<LayerRange> unfetchable;
  };
  struct Fetch {
    NodeId node;
    StageId stage;
    LayerRange range;
  };
  struct Hosted {
    StageId stage;
    LayerRange range;
    bool ready = false;
    Time load_started;
  };

  bool works(const Node& node, Time now) const {
    return node.failures < limits_.stage_tries_max && now >= node.usable_at;
  }
  bool usable(const Node& node, Time now) const { return !node.paused && works(node, now); }
  bool in_plan(NodeId node) const;
  void replan(bool may_keep, Time now, std::vector<Action>& actions);
  void adopt(const std::vector<plan::PlannedStage>& stages, std::string explanation, bool may_keep, Time now,
             std::vector<Action>& actions);
  plan::PlanRules rules() const;
  bool is_spare(const Node& node, std::uint64_t memory_bytes) const;
  // Of a spare node: it has this range loaded, or is loading it.
  const Hosted* prepared(NodeId node, LayerRange range) const;
  const Node* prepared_node(LayerRange range, const std::set<NodeId>& taken, Time now) const;
  void plan_without_paused(const PlannedPlan::Stage& stage, bool may_keep, Time now, std::vector<Action>& actions);
  Error no_room(const PlannedPlan::Stage& stage) const;
  bool has_on_flash(NodeId node, LayerRange range) const;
  std::optional<Fetch> next_fetch() const;
  void end_fetch(bool failed);
  bool repair(bool may_keep, Time now, std::vector<Action>& actions);
  const Node* best_spare(const PlannedPlan::Stage& stage, const std::set<NodeId>& taken, Time now) const;
  void become_none(Error why, Time now);
  void serve_if_ready();
  void host(NodeId node, LayerRange range, Time now, std::vector<Action>& loads);
  void fail_node(NodeId node, const std::string& message, Time now);

  const plan::ModelShape model_;
  const Limits& limits_;
  std::map<NodeId, Node> nodes_;
  std::map<NodeId, Hosted> hosted_;    // one stage a node; outlives a plan, and may be ready for one to come
  std::map<StageId, NodeId> host_of_;  // the same, by stage
  std::map<NodeId, std::set<LayerRange>> on_flash_;  // as far as is known; of nodes that are away, too
  std::optional<Fetch> fetch_;                       // under way
  bool fetch_due_ = false;                           // there may be something to fetch
  PlanState state_ = PlanState::kNone;
  Epoch epoch_;
  PlannedPlan plan_;
  bool moves_due_ = false;  // something has changed for stages on paused nodes
  std::string why_not_moved_;
  bool keeps_kv_ = false;
  bool served_once_ = false;
  bool family_held_ = false;
  std::optional<std::string> family_;  // of the last plan
  std::size_t stages_loading_ = 0;     // of the plan
  std::uint64_t stages_ = 0;           // over all epochs
  Time none_since_;
  Time planned_at_;  // the last attempt
  std::optional<Time> settle_at_;
  Time settle_latest_;
  std::optional<Error> why_none_;
  std::string last_failure_;
};

}  // namespace shoal::sched
