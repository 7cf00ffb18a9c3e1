// Which node is in which lane, where there are several (Limits::replicas). A part of Scheduler.
//
// Nodes that join wait for plan_settle for others, and the first ones until nodes_min are there; then they are divided
// into lanes (plan/replicas.h). Who joins later goes, with others that came at the same time,
//  - to a lane without a plan, if that can hold the model with them;
//  - else into a new lane, where there are fewer than replicas, and they can hold the model, if need be with the spare
//    nodes of other lanes;
//  - else, one by one, to the lane with least memory: its placement knows what to do with a spare node.
// A lane that has lost so many nodes that it has no plan gets the spare nodes of others, as many as it takes. Where
// that does not help, it waits kDissolveAfter for a node to come back: its stages stay loaded. Then its nodes go to the
// other lanes. Where no lane has a plan any more, and all nodes together can hold the model, all are divided anew, at
// once; but not again before some lane had a plan, a node came, or kDissolveAfter is over. And so they are where there
// are fewer lanes than there could be, once no sequence has been there for kIdleFor: a lane that serves is not taken
// apart while it has work.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan/replicas.h"
#include "sched/lane.h"

namespace shoal::sched {

inline constexpr Duration kDissolveAfter = std::chrono::seconds(10);
inline constexpr Duration kIdleFor = std::chrono::seconds(2);

using Lanes = std::vector<std::unique_ptr<Lane>>;

class Grouping {
 public:
  // `lanes` outlives it; as many as there may be, those without a node are not in use.
  Grouping(const plan::ModelShape& model, const Limits& limits, Lanes& lanes)
      : model_(model), limits_(limits), lanes_(lanes), given_at_(lanes.size()) {}

  // true: done; else the event is the lane's that has the node, if any has.
  bool take(const NodeJoined& event, Time now);
  bool take(const NodeLost& event);
  bool take(const NodePaused& event);
  bool take(const NodeShare& event);

  // Puts nodes where they belong. Lanes that have got or given some are to be settled: Lane::settle().
  void act(Time now, std::vector<Action>& actions);
  std::optional<Time> next_due() const;

  // Why there is no plan, as long as no lane has a node; "": some has.
  std::string why_none() const;

 private:
  std::vector<plan::NodeProfile> usable_of_pool(Time now) const;
  bool in_use(const Lane& lane) const { return lane.placement().size() > 0; }
  std::size_t lanes_in_use() const;
  bool nobody_asks() const;
  bool can_hold(const std::vector<plan::NodeProfile>& nodes) const;
  plan::PlanRules rules() const;
  void give(std::size_t lane, Member member, Time now);
  Time dissolves_at(std::size_t lane) const;
  bool may_divide() const;
  void form(Time now);
  void place_pool(Time now, std::vector<Action>& actions);
  bool join_broken_lane(Time now);
  bool open_lane(Time now, std::vector<Action>& actions);
  void join_least(Time now);
  void help(std::size_t broken, Time now, std::vector<Action>& actions);
  void dissolve(Lane& lane, Time now, std::vector<Action>& actions);
  bool divide_anew(Time now, std::vector<Action>& actions);
  Lane* with_spare(NodeId node, const Lane* except, Time now);
  std::vector<plan::NodeProfile> spares_of_others(const Lane* except, Time now) const;

  const plan::ModelShape& model_;
  const Limits& limits_;
  Lanes& lanes_;
  std::map<NodeId, Member> pool_;  // in no lane
  std::optional<Time> settle_at_;
  Time settle_latest_;
  bool formed_ = false;       // ever
  bool may_be_more_ = false;  // nodes have come, or lanes have broken, since all were divided
  std::optional<Time> idle_since_;
  std::vector<Time> given_at_;  // when a lane got its newest node
  Time divided_at_;             // all
  bool planned_since_ = true;   // some lane had a plan since
  Time now_;                    // of the newest event
};

}  // namespace shoal::sched
