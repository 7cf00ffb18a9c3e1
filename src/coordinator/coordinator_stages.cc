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
  plan_ = action.plan;
  steps_.clear();
  std::map<StageId, StageRecord> kept;
  std::set<NodeId> nodes;
  wire::Plan plan{plan_.epoch, {}};
  for (std::size_t i = 0; i < plan_.stages.size(); ++i) {
    const auto& stage = plan_.stages[i];
    nodes.insert(stage.node);
    if (auto old = stages_.extract(stage.stage); !old.empty()) {
      kept.insert(std::move(old));
    } else {
      StageRecord record;
      record.node = stage.node;
      record.range = stage.range;
      kept[stage.stage] = std::move(record);
    }
    kept[stage.stage].memory_planned_bytes = stage.memory_bytes;
    kept[stage.stage].to_next = LinkPath::kNone;
    kept[stage.stage].sends = ActivationType::kF32;
    kept[stage.stage].speed_to_next.reset();
    wire::PlanStage out{stage.stage, stage.node, stage.range, node_name(stage.node),
                        {},          0,          i == 0,      i + 1 == plan_.stages.size()};
    if (const auto* member = cluster_.find(stage.node); member && member->hello) {
      out.addresses = member->hello->addresses;
      out.data_port = member->hello->data_port;
    }
    plan.stages.push_back(std::move(out));
  }
  stages_ = std::move(kept);
  if (tracer_.recording()) tracer_.add_plan(traced_plan());
  log_debug("plan {}: {}", plan_.epoch.value, plan_.explanation);
  cluster_.allow_relay_between(std::move(nodes));
  cluster_.send_to_all(plan);
}

// No plan is possible without a node that was revoked: the one that names it must not let it in to the others.
void Coordinator::withdraw_plan() {
  plan_.stages.clear();
  steps_.clear();
  cluster_.allow_relay_between({});
  cluster_.send_to_all(wire::Plan{plan_.epoch, {}});
}

wire::LoadStage Coordinator::load_order(const NodeId& node, StageId stage, LayerRange range,
                                        const model::ShardLayout& layout) const {
  wire::LoadStage order;
  order.epoch = plan_.epoch;
  order.stage = stage;
  order.range = range;
  order.is_first = range.first == 0;
  order.is_last = range.last == model_.manifest().layer_count;
  order.shard_bytes = layout.file_bytes;
  order.settings = options_.limits.settings;
  order.settings.exact = kernels_.mode_for(kernel_family(node));
  for (const auto& piece : layout.pieces) order.pieces.push_back({piece.sha256, piece.offset, piece.size_bytes});
  for (const auto& [id, ranges] : held_) {
    const auto* member = cluster_.find(id);
    bool has_some = std::any_of(ranges.begin(), ranges.end(), [&](LayerRange held) { return overlap(held, range); });
    if (id == node || !has_some || !member || !member->hello || order.sources.size() >= wire::kSourcesMax) continue;
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
  record.range = action.range;
  record.bytes_total = (*layout)->file_bytes;
  cluster_.send(action.node, load_order(action.node, action.stage, action.range, **layout));
}

void Coordinator::fetch_shard(const sched::FetchShard& action) {
  auto layout = model_.layout(action.range);
  if (!layout.ok()) return feed(sched::StageFailed{action.stage, layout.error().code, layout.error().message});
  wire::LoadStage order = load_order(action.node, action.stage, action.range, **layout);
  order.fetch_only = true;
  order.sources.clear();  // nodes take links from nodes of their plan, and this one is in none
  fetch_ = {action.node, action.stage, action.range};
  cluster_.send(action.node, order);
}

void Coordinator::drop_stage(const sched::DropStage& action) {
  if (fetch_.stage == action.stage) fetch_ = {};
  stages_.erase(action.stage);
  cluster_.send(action.node, wire::DropStage{action.stage});
}

void Coordinator::on_fetched(const NodeId& node, StageId stage) {
  if (!stage || fetch_.stage != stage || fetch_.node != node) return;
  add_held(node, fetch_.range);
  log_info("{}, a spare node, has layers {} on flash", node_name(node), fetch_.range.text());
  fetch_ = {};
  feed(sched::ShardFetched{stage});
}

void Coordinator::on_fetch_failed(const NodeId& node, const wire::StageFailed& failed) {
  if (!failed.stage || fetch_.stage != failed.stage || fetch_.node != node) return;
  log_warning("{}, a spare node, could not get layers {}: {}", node_name(node), fetch_.range.text(), failed.message);
  fetch_ = {};
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
  if (report.epoch != plan_.epoch || found == stages_.end()) return;
  const LinkPath before = std::exchange(found->second.to_next, report.direct ? LinkPath::kDirect : LinkPath::kRelay);
  if (report.direct && before == LinkPath::kRelay) links_measured_ = {};  // it is another link
  if (!report.direct) {
    tracer_.set_relayed(report.epoch, report.from_stage);
    log_warning("layers {} reach the next stage through the coordinator: {}", found->second.range.text(),
                report.reason);
  }
  begin_activations();
}

}  // namespace shoal::coordinator
