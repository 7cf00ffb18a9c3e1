// The coordinator's plan and its stages: what nodes are told to load, fetch and drop, and what they say of it.
#include <algorithm>
#include <set>

#include "base/log.h"
#include "coordinator/coordinator.h"

namespace shoal::coordinator {
namespace {

bool overlap(LayerRange a, LayerRange b) {
  return a.first < b.last && b.first < a.last;
}

}  // namespace

void Coordinator::publish(const sched::PublishPlan& action) {
  const std::uint32_t lane = action.plan.lane;
  sched::PlannedPlan& plan = plans_[lane];
  std::erase_if(steps_, [&](const auto& step) { return step.second.epoch == plan.epoch; });
  plan = action.plan;
  std::set<StageId> planned;
  for (const auto& stage : plan.stages) {
    planned.insert(stage.stage);
    StageRecord& record = stages_[stage.stage];  // there already where it stays, or was loaded before its plan
    record.node = stage.node;
    record.lane = lane;
    record.range = stage.range;
    record.memory_planned_bytes = stage.memory_bytes;
    record.to_next = LinkPath::kNone;
    record.sends = ActivationType::kF32;
    record.speed_to_next.reset();
  }
  std::erase_if(stages_,
                [&](const auto& entry) { return entry.second.lane == lane && !planned.contains(entry.first); });
  if (tracer_.recording()) tracer_.add_plan(traced_plan(plan));
  log_debug("plan {}: {}", plan.epoch.value, plan.explanation);
  allow_relays();
  send_plan(lane);
}

// Nodes of another pipeline do not hear of it: what they are to know is their own plan.
void Coordinator::send_plan(std::uint32_t lane) {
  const sched::PlannedPlan& plan = plans_.at(lane);
  wire::Plan told{plan.epoch, {}};
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const auto& stage = plan.stages[i];
    wire::PlanStage out{stage.stage, stage.node, stage.range, node_name(stage.node),
                        {},          0,          i == 0,      i + 1 == plan.stages.size()};
    if (const auto* member = cluster_.find(stage.node); member && member->hello) {
      out.addresses = member->hello->addresses;
      out.data_port = member->hello->data_port;
    }
    told.stages.push_back(std::move(out));
  }
  std::set<NodeId> others;
  for (const auto& [other, its_plan] : plans_) {
    if (other == lane) continue;
    for (const auto& stage : its_plan.stages) others.insert(stage.node);
  }
  for (const auto& stage : plan.stages) others.erase(stage.node);
  for (const auto& [id, member] : cluster_.members()) {
    if (!others.contains(id)) cluster_.send(id, told);
  }
}

void Coordinator::allow_relays() {
  std::map<NodeId, std::uint32_t> lane_of;
  for (const auto& [lane, plan] : plans_) {
    for (const auto& stage : plan.stages) lane_of[stage.node] = lane;
  }
  cluster_.allow_relay_within(std::move(lane_of));
}

// The stages may be there still, and what they compute comes back: a sampler must not choose from it, because the same
// rows will be computed again.
void Coordinator::withdraw(const sched::WithdrawPlan& action) {
  std::erase_if(steps_, [&](const auto& step) { return step.second.epoch == action.epoch; });
}

// No plan is possible with a node that was revoked: the one that names it must not let it in to the others.
void Coordinator::withdraw_plans_with(const NodeId& node) {
  for (auto& [lane, plan] : plans_) {
    const auto is_its = [&](const auto& stage) { return stage.node == node; };
    if (std::none_of(plan.stages.begin(), plan.stages.end(), is_its)) continue;
    withdraw({plan.epoch, lane});
    plan.stages.clear();
    send_plan(lane);
  }
  allow_relays();
}

const sched::PlannedPlan* Coordinator::plan_of(Epoch epoch) const {
  for (const auto& [lane, plan] : plans_) {
    if (plan.epoch == epoch && !plan.stages.empty()) return &plan;
  }
  return nullptr;
}

const sched::PlannedPlan* Coordinator::plan_with(StageId stage) const {
  for (const auto& [lane, plan] : plans_) {
    for (const auto& each : plan.stages) {
      if (each.stage == stage) return &plan;
    }
  }
  return nullptr;
}

wire::LoadStage Coordinator::load_order(std::uint32_t lane, const NodeId& node, StageId stage, LayerRange range,
                                        const model::ShardLayout& layout) const {
  wire::LoadStage order;
  const auto plan = plans_.find(lane);
  if (plan != plans_.end()) order.epoch = plan->second.epoch;
  order.stage = stage;
  order.range = range;
  order.is_first = range.first == 0;
  order.is_last = range.last == model_.manifest().layer_count;
  order.shard_bytes = layout.file_bytes;
  order.settings = options_.limits.settings;
  order.settings.exact = kernels_.mode_for(kernel_family(node));
  for (const auto& piece : layout.pieces) order.pieces.push_back({piece.sha256, piece.offset, piece.size_bytes});
  // A node takes links from nodes of its plan only.
  const auto serves_elsewhere = [&](const NodeId& id) {
    return std::any_of(plans_.begin(), plans_.end(), [&](const auto& other) {
      return other.first != lane && std::any_of(other.second.stages.begin(), other.second.stages.end(),
                                                [&](const auto& its) { return its.node == id; });
    });
  };
  for (const auto& [id, ranges] : held_) {
    const auto* member = cluster_.find(id);
    bool has_some = std::any_of(ranges.begin(), ranges.end(), [&](LayerRange held) { return overlap(held, range); });
    if (id == node || !has_some || !member || !member->hello || order.sources.size() >= wire::kSourcesMax) continue;
    if (serves_elsewhere(id)) continue;
    order.sources.push_back({id, member->hello->addresses, member->hello->data_port});
  }
  return order;
}

void Coordinator::load_stage(const sched::LoadStage& action) {
  auto layout = model_.layout(action.range);
  if (!layout.ok()) {
    story_.stage_failed(action.node, action.stage, action.range, layout.error().message);
    return feed(sched::StageFailed{action.stage, layout.error().code, layout.error().message});
  }
  StageRecord& record = stages_[action.stage];  // new where it is loaded before its plan
  record.node = action.node;
  record.lane = action.lane;
  record.range = action.range;
  record.bytes_total = (*layout)->file_bytes;
  cluster_.send(action.node, load_order(action.lane, action.node, action.stage, action.range, **layout));
}

void Coordinator::fetch_shard(const sched::FetchShard& action) {
  auto layout = model_.layout(action.range);
  if (!layout.ok()) return feed(sched::StageFailed{action.stage, layout.error().code, layout.error().message});
  wire::LoadStage order = load_order(0, action.node, action.stage, action.range, **layout);
  order.fetch_only = true;
  order.sources.clear();  // nodes take links from nodes of their plan, and this one is in none
  fetches_[action.stage] = {action.node, action.range};
  cluster_.send(action.node, order);
}

void Coordinator::drop_stage(const sched::DropStage& action) {
  fetches_.erase(action.stage);
  stages_.erase(action.stage);
  cluster_.send(action.node, wire::DropStage{action.stage});
}

void Coordinator::on_fetched(const NodeId& node, StageId stage) {
  const auto fetch = fetches_.find(stage);
  if (fetch == fetches_.end() || fetch->second.node != node) return;
  const LayerRange range = fetch->second.range;
  fetches_.erase(fetch);
  add_held(node, range);
  log_info("{}, a spare node, has layers {} on flash", node_name(node), range.text());
  feed(sched::ShardFetched{stage});
}

void Coordinator::on_fetch_failed(const NodeId& node, const wire::StageFailed& failed) {
  const auto fetch = fetches_.find(failed.stage);
  if (fetch == fetches_.end() || fetch->second.node != node) return;
  log_warning("{}, a spare node, could not get layers {}: {}", node_name(node), fetch->second.range.text(),
              failed.message);
  fetches_.erase(fetch);
  feed(sched::StageFailed{failed.stage, failed.code, failed.message});
}

void Coordinator::add_held(const NodeId& node, LayerRange range) {
  auto& held = held_[node];
  if (std::find(held.begin(), held.end(), range) == held.end()) held.push_back(range);
}

void Coordinator::on_stage_ready(const NodeId& node, const wire::StageReady& ready) {
  auto* record = own_stage(node, ready.stage);
  if (record == nullptr) return;
  record->state = StageState::kReady;
  record->memory = ready.memory;
  record->exactness = ready.exactness;
  if (const std::string why = kernels_.why_not_exact(kernel_family(node)); !why.empty()) {
    record->exactness = {false, "not exact: " + why};
  }
  add_held(node, record->range);
  log_debug("{}: layers {} take {} ({})", node_name(node), record->range.text(), format_size(ready.memory.total()),
            record->exactness.reason);
  story_.stage_ready(ready.stage, ready.fetched_bytes);
  feed(sched::StageReady{ready.stage});
  begin_activations();
}

void Coordinator::on_link_report(const wire::LinkReport& report) {
  auto found = stages_.find(report.from_stage);
  const sched::PlannedPlan* plan = plan_of(report.epoch);
  if (plan == nullptr || plan != plan_with(report.from_stage) || found == stages_.end()) return;
  const LinkPath before = std::exchange(found->second.to_next, report.direct ? LinkPath::kDirect : LinkPath::kRelay);
  if (report.direct && before == LinkPath::kRelay) links_measured_.erase(plan->lane);  // it is another link
  if (!report.direct) {
    tracer_.set_relayed(report.epoch, report.from_stage);
    log_warning("layers {} reach the next stage through the coordinator: {}", found->second.range.text(),
                report.reason);
  }
  begin_activations();
}

}  // namespace shoal::coordinator
