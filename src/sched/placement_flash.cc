// Placement: the shards on the flash of nodes, for a move, or for the day when a spare node is needed.
#include <set>
#include <utility>

#include "sched/placement.h"

namespace shoal::sched {

bool Placement::has_on_flash(NodeId node, LayerRange range) const {
  const auto found = on_flash_.find(node);
  return found != on_flash_.end() && found->second.contains(range);
}

bool Placement::is_spare(const Node& node, std::uint64_t memory_bytes) const {
  return !node.paused && !in_plan(node.profile.node) && !beside_.contains(node.profile.node) &&
         node.failures < limits_.stage_tries_max && node.profile.memory_bytes_max >= memory_bytes;
}

void Placement::end_fetch(bool failed) {
  if (failed) nodes_.at(fetch_->node).unfetchable.insert(fetch_->range);
  fetch_.reset();
  fetch_due_ = moves_due_ = true;
}

void Placement::forget_fetch(NodeId node, std::vector<Action>& actions) {
  if (!fetch_ || fetch_->node != node) return;
  actions.emplace_back(DropStage{fetch_->node, fetch_->stage});
  end_fetch(false);
}

// What else is on a node's flash costs it nothing to be asked for again.
void Placement::forget_shards_of_other_plans() {
  std::set<LayerRange> ranges;
  for (const PlannedPlan::Stage& stage : plan_.stages) ranges.insert(stage.range);
  const auto is_other = [&](LayerRange range) { return !ranges.contains(range); };
  for (auto& [id, held] : on_flash_) std::erase_if(held, is_other);
  for (auto& [id, node] : nodes_) std::erase_if(node.unfetchable, is_other);
}

void Placement::fetched(StageId stage) {
  if (!fetch_ || fetch_->stage != stage) return;
  on_flash_[fetch_->node].insert(fetch_->range);
  end_fetch(false);
}

std::optional<Placement::Fetch> Placement::next_fetch() const {
  if (move_) {
    for (const plan::PlannedStage& stage : move_->stages) {
      if (!is_ready(stage) && !fits_beside(stage)) return Fetch{stage.node, {}, stage.range};
    }
  }
  std::optional<Fetch> next;
  std::size_t fewest = 0;
  for (const PlannedPlan::Stage& stage : plan_.stages) {
    std::optional<Fetch> lacking;
    std::size_t have = 0;
    for (const auto& [id, node] : nodes_) {
      if (!is_spare(node, stage.memory_bytes)) continue;
      if (has_on_flash(id, stage.range)) {
        ++have;
      } else if (!lacking && !node.unfetchable.contains(stage.range)) {
        lacking = {id, {}, stage.range};
      }
    }
    if (lacking && (!next || have < fewest)) {
      next = lacking;
      fewest = have;
    }
  }
  return next;
}

void Placement::keep_shards(std::vector<Action>& actions) {
  if (state_ != PlanState::kServing || fetch_ || !std::exchange(fetch_due_, false)) return;
  fetch_ = next_fetch();
  if (!fetch_) return;
  fetch_->stage = {++numbers_.stages};
  actions.emplace_back(FetchShard{fetch_->node, fetch_->stage, fetch_->range});
}

}  // namespace shoal::sched
