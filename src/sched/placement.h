// Which nodes there are, what they host, and the plan in force: everything that changes seldom.
//
// A change of the plan shows as a new epoch() or a new state(); Scheduler looks for it after each call.
//
// When a node with a stage is lost, the plan is repaired where that is possible: the same cut, with a spare node in its
// place, preferably one with the shard on flash. So all other stages stay, with their KV. Where no spare node has the
// memory, a new plan is made over who is left. Once a plan serves, spare nodes fetch the plan's shards onto their
// flash, one after the other in the whole shoal: first the shard that the fewest of them have.
//
// A change that is wanted, but not needed at once, is a move: the stages of the plan to come are loaded beside those
// that serve (make before break), and when all are ready the plan changes. Where a node has no memory for both, the
// shard is brought to its flash first, and loaded when the plan changes. Moves begin
//  - when a node with a stage is paused, and so a candidate for nothing: a spare node takes its place, or all is cut
//    anew without it;
//  - unless keep_plan is set: when a plan over all usable nodes, by their measured pace and share, would make the
//    slowest stage kGainMin times as quick, and what is saved by that within kMovePaysWithin is more than the time that
//    the live sequences' rows take to be computed again. Not sooner than kMoveEvery after the change before; after each
//    such move twice as long, up to kMoveEveryMax, until it has been quiet for four times as long. So nothing flaps,
//    however the nodes' pace does.
// Where answers are to be exact and the plan is of one kernel family, moves to a quicker plan stay in it, and spare
// nodes of it come before others. A move is given up when a node of it fails, goes, or is paused, or when another plan
// is needed at once.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sched/numbers.h"
#include "sched/pace.h"
#include "sched/scheduler.h"

namespace shoal::sched {

inline constexpr double kGainMin = 1.15;
inline constexpr Duration kMovePaysWithin = std::chrono::seconds(60);
inline constexpr Duration kMoveEvery = std::chrono::seconds(5);
inline constexpr Duration kMoveEveryMax = std::chrono::minutes(10);

// A node on its way from one lane to another: what is known of it, wherever it is.
struct Member {
  plan::NodeProfile profile;
  bool paused = false;
  double share = 1;
  std::uint32_t failures = 0;
  Time usable_at;
  std::set<LayerRange> on_flash = {};
};

class Placement {
 public:
  // `lane`: whose plans these are.
  Placement(plan::ModelShape model, const Limits& limits, std::uint32_t lane, Numbers& numbers)
      : model_(std::move(model)), limits_(limits), lane_(lane), numbers_(numbers) {}

  // `may_keep`: a new plan may keep loaded stages; false when their KV could not be freed by name.
  void join(const NodeJoined& event, bool may_keep, Time now, std::vector<Action>& actions);
  void lose(NodeId node, bool may_keep, Time now, std::vector<Action>& actions);
  void ready(StageId stage);
  void failed(const StageFailed& event, bool may_keep, Time now, std::vector<Action>& actions);
  void fetched(StageId stage);
  void pause(NodeId node, bool paused, Time now);
  void set_share(NodeId node, std::uint32_t permille, Time now);
  // What the stages of a step of `rows` rows took.
  void measured(const std::vector<StepDone::Computed>& stages, std::size_t rows, Time now);
  // Begins a move, goes on with it or gives it up. `refill_time`: what the live sequences' rows take to be computed
  // again.
  void move(bool may_keep, Duration refill_time, Time now, std::vector<Action>& actions);
  bool may_move(Time now) const;  // else move() would do nothing
  std::string move_text() const { return move_ ? move_->explanation : std::string(); }
  std::uint64_t moves() const { return moves_; }  // that came to their end
  // Why the plan stays as it is, as it was found when a quicker one was looked for last; "": none was.
  std::string why_no_move() const { return state_ == PlanState::kServing && !move_ ? why_no_move_ : std::string(); }
  std::string why_not_moved() const { return state_ == PlanState::kServing ? why_not_moved_ : std::string(); }
  // Lets a spare node fetch the next shard, if one is due.
  void keep_shards(std::vector<Action>& actions);
  // The same plan under a new epoch; `reload`: with all stages loaded anew. Only while serving.
  void restart(bool reload, Time now, std::vector<Action>& actions);
  void timer(bool may_keep, Time now, std::vector<Action>& actions);
  // Under ExactMode::kOn: while held, new plans take nodes of the kernel family of the last one only.
  void hold_kernel_family(bool held, Time now);
  std::optional<Time> next_due() const;

  // --- whose nodes these are ---
  bool is_about_to_plan() const { return state_ == PlanState::kNone && settle_at_.has_value(); }
  bool has(NodeId node) const { return nodes_.contains(node); }
  std::vector<plan::NodeProfile> nodes(Time now) const { return usable_nodes(now); }  // not paused, not failing
  std::size_t size() const { return nodes_.size(); }
  bool leaves_some_out(Time now) const;  // for a while, after a failure
  // Usable, and without a stage of the plan, or of the plan that it moves to.
  std::vector<plan::NodeProfile> spare_nodes(Time now) const;
  double share() const;                                                        // the least of the plan's nodes
  const std::optional<std::string>& kernel_family() const { return family_; }  // of the last plan
  // No plan has a stage on the node. What it has loaded or fetches is dropped.
  Member release(NodeId node, Time now, std::vector<Action>& actions);
  std::vector<Member> dissolve(Time now, std::vector<Action>& actions);  // all of them; there is no plan then
  void take(Member member, Time now);

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
    double share = 1;
    std::uint32_t beside_failures = 0;  // of moves, while it serves; since it joined or a plan came to serve
    Time beside_at;                     // nothing is loaded beside what it hosts until then
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
    std::uint64_t memory_bytes = 0;
    bool ready = false;
    Time load_started;
  };

  struct Move {
    std::vector<plan::PlannedStage> stages;
    std::string explanation;
    bool forced = false;  // away from paused nodes
    std::string why = {};
  };

  bool works(const Node& node, Time now) const {
    return node.failures < limits_.stage_tries_max && now >= node.usable_at;
  }
  bool usable(const Node& node, Time now) const { return !node.paused && works(node, now); }
  bool in_plan(NodeId node) const;
  void replan(bool may_keep, Time now, std::vector<Action>& actions);
  void adopt(const std::vector<plan::PlannedStage>& stages, std::string explanation, bool may_keep, Time now,
             std::vector<Action>& actions, std::string why = {});
  plan::PlanRules rules() const;
  plan::PlanRules rules_of_moves() const;
  bool is_spare(const Node& node, std::uint64_t memory_bytes) const;
  std::vector<plan::NodeProfile> usable_nodes(Time now) const;
  plan::NodeProfile profile_of(const Node& node) const;  // with its pace and share
  // Loaded or being loaded for a move: this range.
  const Hosted* prepared(NodeId node, LayerRange range) const;
  Error no_room() const;
  std::optional<Move> away_from_paused(Time now);
  std::optional<Move> same_cut_without_paused(Time now) const;
  NodeId slowest_of(const std::vector<plan::PlannedStage>& stages, const std::vector<plan::NodeProfile>& nodes) const;
  std::optional<Move> quicker(Duration refill_time, Time now);
  bool can_go_on(const Move& move, Time now) const;
  bool can_begin(const std::vector<plan::PlannedStage>& stages, Time now) const;
  bool stays(const plan::PlannedStage& stage) const;  // its node hosts that range already
  bool fits_beside(const plan::PlannedStage& stage) const;
  bool is_ready(const plan::PlannedStage& stage) const;
  void begin(Move move, Time now, std::vector<Action>& actions);
  void give_up_move(Time now, std::vector<Action>& actions);
  void put_off_moves(Time now);
  void look_for_move(Time at);
  void forget_fetch(NodeId node, std::vector<Action>& actions);
  bool has_on_flash(NodeId node, LayerRange range) const;
  std::optional<Fetch> next_fetch() const;
  void end_fetch(bool failed);
  bool repair(bool may_keep, Time now, std::vector<Action>& actions);
  const Node* best_spare(const PlannedPlan::Stage& stage, const std::set<NodeId>& taken, Time now) const;
  void become_none(Error why, Time now);
  void serve_if_ready();
  Hosted load(const plan::PlannedStage& stage, Time now, std::vector<Action>& loads);
  void fail_node(NodeId node, const std::string& message, Time now);
  void fail_beside(NodeId node, const std::string& message, Time now, std::vector<Action>& actions);
  void forget_shards_of_other_plans();

  const plan::ModelShape model_;
  const Limits& limits_;
  const std::uint32_t lane_;
  Numbers& numbers_;
  std::map<NodeId, Node> nodes_;
  std::map<NodeId, Hosted> hosted_;                  // of the plan, or of the one before while there is none
  std::map<NodeId, Hosted> beside_;                  // for the move
  std::map<StageId, NodeId> host_of_;                // of both, by stage
  std::map<NodeId, std::set<LayerRange>> on_flash_;  // as far as is known; of nodes that are away, too
  std::optional<Fetch> fetch_;                       // under way
  bool fetch_due_ = false;                           // there may be something to fetch
  PlanState state_ = PlanState::kNone;
  Epoch epoch_;
  PlannedPlan plan_;
  Paces paces_;
  std::optional<Move> move_;
  bool moves_due_ = false;       // something has changed for the move, or for stages on paused nodes
  std::optional<Time> look_at_;  // for a quicker plan
  Time changed_at_;              // the plan
  Time moved_at_;                // by a move to a quicker plan, or one that was given up
  Duration move_every_ = kMoveEvery;
  std::uint64_t moves_ = 0;
  std::string why_not_moved_;
  std::string why_no_move_;
  bool keeps_kv_ = false;
  bool served_once_ = false;
  bool family_held_ = false;
  std::optional<std::string> family_;  // of the last plan
  std::size_t stages_loading_ = 0;     // of the plan
  Time none_since_;
  Time planned_at_;  // the last attempt
  std::optional<Time> settle_at_;
  Time settle_latest_;
  std::optional<Error> why_none_;
  std::string last_failure_;
};

}  // namespace shoal::sched
