// Placement: moves to another plan while the one in force serves (make before break).
#include <algorithm>
#include <utility>

#include "sched/placement.h"

namespace shoal::sched {
namespace {

// With a pause while a stage is loaded, the gain must be larger.
constexpr double kGainMinWithPause = 1.5;
constexpr int kQuietAfter = 4;  // times move_every_

}  // namespace

void Placement::pause(NodeId node, bool paused, Time now) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || std::exchange(found->second.paused, paused) == paused) return;
  moves_due_ = fetch_due_ = true;
  look_for_move(now + limits_.plan_settle);
  if (!paused && state_ == PlanState::kNone && !settle_at_) settle_at_ = settle_latest_ = now;
}

void Placement::set_share(NodeId node, std::uint32_t permille, Time now) {
  const auto found = nodes_.find(node);
  const double share = std::clamp<std::uint32_t>(permille, 1, 1000) / 1000.0;
  if (found == nodes_.end() || std::exchange(found->second.share, share) == share) return;
  look_for_move(now);
}

void Placement::measured(const std::vector<StepDone::Computed>& stages, std::size_t rows, Time now) {
  if (rows == 0 || stages.size() != plan_.stages.size()) return;
  Duration all{};
  for (const StepDone::Computed& each : stages) all += each.time;
  paces_.step(rows, all);
  bool changed = false;
  for (const StepDone::Computed& each : stages) {
    const auto host = host_of_.find(each.stage);
    if (host == host_of_.end()) continue;
    const auto hosted = hosted_.find(host->second);
    if (hosted == hosted_.end() || hosted->second.stage != each.stage) continue;
    const double work = model_.work_bytes(hosted->second.range);
    changed = paces_.stage(host->second, work, rows, each.time, now) || changed;
  }
  if (changed) look_for_move(now);
}

plan::NodeProfile Placement::profile_of(const Node& node) const {
  plan::NodeProfile profile = node.profile;
  profile.weights_per_s = paces_.weights_per_s(profile.node);
  profile.share = node.share;
  return profile;
}

std::vector<plan::NodeProfile> Placement::usable_nodes(Time now) const {
  std::vector<plan::NodeProfile> nodes;
  for (const auto& [id, node] : nodes_) {
    if (usable(node, now)) nodes.push_back(profile_of(node));
  }
  return nodes;
}

const Placement::Hosted* Placement::prepared(NodeId node, LayerRange range) const {
  const auto found = beside_.find(node);
  return found != beside_.end() && found->second.range == range ? &found->second : nullptr;
}

void Placement::look_for_move(Time at) {
  look_at_ = look_at_ ? std::min(*look_at_, at) : at;
}

bool Placement::may_move(Time now) const {
  return state_ == PlanState::kServing && (moves_due_ || (look_at_ && now >= *look_at_));
}

void Placement::move(bool may_keep, Duration refill_time, Time now, std::vector<Action>& actions) {
  if (!may_move(now)) return;
  moves_due_ = false;
  if (move_ && !can_go_on(*move_, now)) give_up_move(now, actions);
  if (!move_ || !move_->forced) {
    if (auto away = away_from_paused(now)) {
      if (move_) give_up_move(now, actions);
      begin(*std::move(away), now, actions);
    }
  }
  const bool look = look_at_ && now >= *look_at_;
  if (look) look_at_.reset();
  if (look && !move_ && !limits_.keep_plan) {
    if (auto better = quicker(refill_time, now)) begin(*std::move(better), now, actions);
  }
  if (!move_ || !std::all_of(move_->stages.begin(), move_->stages.end(),
                             [this](const plan::PlannedStage& stage) { return is_ready(stage); })) {
    return;
  }
  const Move ready = *std::move(move_);
  ++moves_;
  if (!ready.forced) put_off_moves(now);
  adopt(ready.stages, ready.explanation, may_keep, now, actions, ready.why);
}

bool Placement::fits_beside(const plan::PlannedStage& stage) const {
  const auto hosted = hosted_.find(stage.node);
  const std::uint64_t taken = hosted == hosted_.end() ? 0 : hosted->second.memory_bytes;
  const std::uint64_t budget = nodes_.at(stage.node).profile.memory_bytes_max;
  return taken <= budget && stage.memory_bytes <= budget - taken;
}

bool Placement::stays(const plan::PlannedStage& stage) const {
  const auto hosted = hosted_.find(stage.node);
  return hosted != hosted_.end() && hosted->second.range == stage.range;
}

bool Placement::is_ready(const plan::PlannedStage& stage) const {
  if (stays(stage)) return true;
  if (const Hosted* loaded = prepared(stage.node, stage.range)) return loaded->ready;
  return !fits_beside(stage) && has_on_flash(stage.node, stage.range);
}

bool Placement::can_go_on(const Move& move, Time now) const {
  const bool any_paused = std::any_of(plan_.stages.begin(), plan_.stages.end(),
                                      [this](const auto& stage) { return nodes_.at(stage.node).paused; });
  if (move.forced && !any_paused) return false;
  const plan::PlanRules now_wanted = rules();  // answers have begun since
  return std::all_of(move.stages.begin(), move.stages.end(), [&](const plan::PlannedStage& stage) {
    const auto found = nodes_.find(stage.node);
    if (found == nodes_.end() || !works(found->second, now)) return false;
    const bool other_bits = now_wanted.kernel_family && found->second.profile.kernel_family != now_wanted.kernel_family;
    if (now_wanted.one_kernel_family && other_bits) return false;
    if (stays(stage)) return true;
    if (found->second.paused) return false;
    return fits_beside(stage) ? prepared(stage.node, stage.range) != nullptr
                              : !found->second.unfetchable.contains(stage.range);
  });
}

// false: some node could not get a shard that it would need first, or has failed to load beside what it hosts.
bool Placement::can_begin(const std::vector<plan::PlannedStage>& stages, Time now) const {
  return std::all_of(stages.begin(), stages.end(), [&](const plan::PlannedStage& stage) {
    const Node& node = nodes_.at(stage.node);
    if (stays(stage)) return true;
    if (!fits_beside(stage)) return !node.unfetchable.contains(stage.range);
    return node.beside_failures < limits_.stage_tries_max && now >= node.beside_at;
  });
}

void Placement::begin(Move move, Time now, std::vector<Action>& actions) {
  for (const plan::PlannedStage& stage : move.stages) {
    if (stays(stage) || !fits_beside(stage)) continue;
    forget_fetch(stage.node, actions);
    beside_[stage.node] = load(stage, now, actions);
  }
  move_ = std::move(move);
  fetch_due_ = true;
}

void Placement::give_up_move(Time now, std::vector<Action>& actions) {
  for (const auto& [node, hosted] : std::exchange(beside_, {})) {
    actions.emplace_back(DropStage{node, hosted.stage});
    host_of_.erase(hosted.stage);
  }
  if (!move_->forced) put_off_moves(now);
  move_.reset();
  fetch_due_ = true;
}

void Placement::put_off_moves(Time now) {
  moved_at_ = now;
  move_every_ = std::min(2 * move_every_, kMoveEveryMax);
}

// A node that serves goes on doing so; one that hosts nothing else is left out for a while.
void Placement::fail_beside(NodeId id, const std::string& message, Time now, std::vector<Action>& actions) {
  host_of_.erase(beside_.at(id).stage);
  beside_.erase(id);
  Node& node = nodes_.at(id);
  last_failure_ = node.profile.label() + ": " + message;
  ++(in_plan(id) ? node.beside_failures : node.failures);
  (in_plan(id) ? node.beside_at : node.usable_at) = now + limits_.stage_retry_after;
  give_up_move(now, actions);
  moves_due_ = !in_plan(id);  // another spare node may do
  look_for_move(now + limits_.stage_retry_after);
}

// --- where to ---

std::optional<Placement::Move> Placement::away_from_paused(Time now) {
  why_not_moved_.clear();
  const bool any = std::any_of(plan_.stages.begin(), plan_.stages.end(),
                               [this](const auto& stage) { return nodes_.at(stage.node).paused; });
  if (!any) return std::nullopt;
  if (auto same = same_cut_without_paused(now)) return same;
  auto plan = plan::make_plan(model_, usable_nodes(now), rules_of_moves());
  if (!plan.ok()) plan = plan::make_plan(model_, usable_nodes(now), rules());
  if (plan.ok() && can_begin(plan->stages, now)) return Move{plan->stages, std::move(plan->explanation), true};
  why_not_moved_ = no_room().message;
  return std::nullopt;
}

// nullopt: some stage of a paused node finds no spare one.
std::optional<Placement::Move> Placement::same_cut_without_paused(Time now) const {
  std::set<NodeId> taken;
  for (const PlannedPlan::Stage& stage : plan_.stages) taken.insert(stage.node);
  Move move{{}, {}, true};
  for (const PlannedPlan::Stage& stage : plan_.stages) {
    move.stages.push_back({stage.node, stage.range, stage.memory_bytes});
    if (!nodes_.at(stage.node).paused) continue;
    const Node* spare = best_spare(stage, taken, now);
    if (spare == nullptr) return std::nullopt;
    taken.insert(spare->profile.node);
    move.stages.back().node = spare->profile.node;
    move.explanation += fmt::format("{}{} takes layers {}-{}", move.explanation.empty() ? "" : ", ",
                                    spare->profile.label(), stage.range.first, stage.range.last - 1);
  }
  move.explanation += "; the other stages stay";
  return move;
}

Error Placement::no_room() const {
  for (const PlannedPlan::Stage& stage : plan_.stages) {
    const Node& node = nodes_.at(stage.node);
    if (!node.paused) continue;
    return {
        ErrorCode::kResourceExhausted,
        fmt::format("{} is to rest and serves on: no other node has {} for its layers {}-{}; add a node",
                    node.profile.label(), format_size(stage.memory_bytes), stage.range.first, stage.range.last - 1)};
  }
  return {ErrorCode::kResourceExhausted, {}};
}

NodeId Placement::slowest_of(const std::vector<plan::PlannedStage>& stages,
                             const std::vector<plan::NodeProfile>& nodes) const {
  return std::max_element(stages.begin(), stages.end(),
                          [&](const plan::PlannedStage& a, const plan::PlannedStage& b) {
                            return plan::slowest_stage(model_, {a}, nodes) < plan::slowest_stage(model_, {b}, nodes);
                          })
      ->node;
}

std::optional<Placement::Move> Placement::quicker(Duration refill_time, Time now) {
  if (now >= moved_at_ + kQuietAfter * move_every_) move_every_ = kMoveEvery;
  if (const Time soonest = std::max(moved_at_ + move_every_, changed_at_ + kMoveEvery); now < soonest) {
    look_for_move(soonest);
    return std::nullopt;
  }
  std::vector<plan::NodeProfile> nodes = usable_nodes(now);
  auto plan = plan::make_plan(model_, nodes, rules_of_moves());
  why_no_move_.clear();
  if (!plan.ok()) return std::nullopt;
  if (!can_begin(plan->stages, now)) {
    why_no_move_ = "a quicker plan needs a shard or a stage that a node could not get ready";
    return std::nullopt;
  }
  std::vector<plan::PlannedStage> current;
  for (const PlannedPlan::Stage& stage : plan_.stages) {
    current.push_back({stage.node, stage.range, stage.memory_bytes});
    if (!usable(nodes_.at(stage.node), now)) nodes.push_back(profile_of(nodes_.at(stage.node)));
  }
  const double gain = plan::slowest_stage(model_, current, nodes) / plan::slowest_stage(model_, plan->stages, nodes);
  const bool pause = std::any_of(plan->stages.begin(), plan->stages.end(), [this](const plan::PlannedStage& stage) {
    return !stays(stage) && !fits_beside(stage);
  });
  const double enough = pause ? kGainMinWithPause : kGainMin;
  if (!(gain >= enough)) {
    why_no_move_ = fmt::format("the best plan would be {:.2f} times as quick; it moves from {:.2f} on", gain, enough);
    return std::nullopt;
  }
  const auto saved = std::chrono::duration<double>(kMovePaysWithin) * (1 - 1 / gain);
  if (saved < refill_time) {
    why_no_move_ = fmt::format(
        "a plan {:.2f} times as quick would save {:.1f} s in a minute; computing the answers again takes {:.1f} s",
        gain, saved.count(), std::chrono::duration<double>(refill_time).count());
    look_for_move(now + kMoveEvery);
    return std::nullopt;
  }
  const bool measured =
      std::any_of(nodes.begin(), nodes.end(), [](const auto& node) { return node.weights_per_s > 0; });
  const std::string why = measured ? fmt::format("{:.1f} times as quick as the plan before, where {} was slowest", gain,
                                                 nodes_.at(slowest_of(current, nodes)).profile.label())
                                   : "its nodes are less full than in the plan before";
  return Move{plan->stages, plan->explanation + "; " + why, false, why};
}

}  // namespace shoal::sched
