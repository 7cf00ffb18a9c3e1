// Coordinator::status(): the snapshot that `shoal status`, the API and the dashboard show.
#include <set>

#include "coordinator/coordinator.h"
#include "sched/balance.h"

namespace shoal::coordinator {
namespace {

ClusterState state_of(sched::PlanState state) {
  switch (state) {
    case sched::PlanState::kNone:
      return ClusterState::kNoPlan;
    case sched::PlanState::kLoading:
      return ClusterState::kLoading;
    case sched::PlanState::kServing:
      return ClusterState::kServing;
  }
  return ClusterState::kNoPlan;
}

// One line over all stages: exact, or the first reason why not.
std::pair<bool, std::string> exactness_of(const std::vector<PipelineStatus>& pipelines,
                                          const std::set<std::string>& kernel_families) {
  std::string proof;
  for (const auto& pipeline : pipelines) {
    if (!pipeline.plan) continue;
    for (const auto& stage : pipeline.plan->stages) {
      if (stage.state != StageState::kReady) return {false, "not known before every stage is ready"};
      if (proof.empty()) proof = stage.exactness.reason;
      if (stage.exactness.exact) continue;
      std::string_view reason = stage.exactness.reason;
      constexpr std::string_view kPrefix = "not exact: ";
      if (reason.starts_with(kPrefix)) reason.remove_prefix(kPrefix.size());
      return {false, fmt::format("not exact: {}: {}", stage.node_name, reason)};
    }
  }
  if (proof.empty()) return {false, "not known before there is a plan"};
  if (kernel_families.size() > 1) {
    return {false, fmt::format("not exact: the nodes have {} kernel families, so an answer depends on who computes it",
                               kernel_families.size())};
  }
  return {true, fmt::format("exact: every stage proved it ({})", proof)};
}

}  // namespace

PlanStatus Coordinator::plan_status(const sched::PlannedPlan& plan) const {
  PlanStatus status{plan.epoch, {}, plan.explanation};
  for (const auto& stage : plan.stages) {
    auto found = stages_.find(stage.stage);
    if (found == stages_.end()) continue;
    const StageRecord& record = found->second;
    status.stages.push_back({record.node, node_name(record.node), record.range, record.state, record.bytes_done,
                             record.bytes_total, record.memory_planned_bytes, record.memory, record.exactness,
                             record.to_next, record.error, record.sends});
  }
  return status;
}

std::optional<NodeTelemetry> Coordinator::telemetry_status(const Cluster::Member& member) const {
  if (!member.telemetry) return std::nullopt;
  NodeTelemetry status{*member.telemetry, static_cast<double>((clock_.now() - member.telemetry_at).count()) / 1e6, {}};
  for (const auto& stage : status.told.stages) {
    const auto found = stages_.find(stage.stage);
    status.stage_ranges.push_back(found == stages_.end() ? std::nullopt : std::optional(found->second.range));
  }
  return status;
}

std::vector<PipelineStatus> Coordinator::pipelines_status(const sched::Snapshot& snapshot) const {
  const std::vector<sched::Outlook> outlooks = scheduler_.outlooks(clock_.now());
  std::vector<PipelineStatus> pipelines;
  for (std::size_t i = 0; i < outlooks.size(); ++i) {
    const sched::Snapshot& lane = snapshot.lanes.empty() ? snapshot : snapshot.lanes.at(i);
    const sched::Outlook& outlook = outlooks[i];
    PipelineStatus pipeline;
    pipeline.state = state_of(lane.state);
    pipeline.why_no_plan = lane.why_none;
    if (lane.plan) pipeline.plan = plan_status(*lane.plan);
    pipeline.nodes = lane.nodes;
    pipeline.sequences_live = lane.sequences_live;
    pipeline.sequences_waiting = lane.sequences_waiting;
    pipeline.prompt_rows_waiting = outlook.prompt_rows;
    pipeline.move = lane.move;
    pipeline.why_no_move = lane.why_no_move;
    pipeline.why_not_moved = why_not_moved(lane);
    pipeline.token_ms = outlook.token_us / 1000;
    pipeline.token_more_ms = outlook.token_more_us / 1000;
    pipeline.prompt_row_ms = outlook.prompt_row_us / 1000;
    pipeline.share = outlook.share;
    pipelines.push_back(std::move(pipeline));
  }
  return pipelines;
}

ClusterStatus Coordinator::status() const {
  sched::Snapshot snapshot = scheduler_.snapshot();
  Time now = clock_.now();
  ClusterStatus status;
  status.state = state_of(snapshot.state);
  status.why_no_plan = snapshot.why_none;
  const auto& manifest = model_.manifest();
  status.model = {manifest.name,        manifest.architecture, manifest.quantization,
                  manifest.layer_count, manifest.size_bytes(), context_tokens_max()};
  status.coordinator_id = transport_.identity().id().hex();
  status.pipelines = pipelines_status(snapshot);
  if (snapshot.plan) status.plan = plan_status(*snapshot.plan);
  status.decisions = snapshot.decisions;
  status.sequences_moved = snapshot.sequences_moved;

  std::set<std::string> kernel_families;
  for (const auto& [id, member] : cluster_.members()) {
    NodeStatus node;
    node.id = id;
    node.name = member.known.name;
    node.paired_unix_seconds = member.known.paired_unix_seconds;
    node.seen_unix_seconds = member.known.seen_unix_seconds;
    node.paused = member.known.paused;
    if (const auto care = cares_.find(id); care != cares_.end()) node.care = care->second.verdict();
    node.telemetry = telemetry_status(member);
    if (member.link && member.hello) {
      node.state = NodeState::kConnected;
      node.seen_unix_seconds = clock_.unix_seconds();
      node.memory_bytes_max = member.hello->memory_bytes_max;
      for (const auto& address : member.hello->addresses) {
        node.addresses.push_back(net::Endpoint{address, member.hello->data_port}.text());
      }
      if (auto rtt = member.link->rtt()) node.rtt_ms = static_cast<double>(rtt->count()) / 1000;
    }
    for (std::size_t i = 0; i < status.pipelines.size(); ++i) {
      if (!status.pipelines[i].plan) continue;
      for (const auto& stage : status.pipelines[i].plan->stages) {
        if (stage.node != id) continue;
        node.range = stage.range;
        node.pipeline = i;
        if (member.hello) kernel_families.insert(member.hello->kernel_family);
      }
    }
    status.nodes.push_back(std::move(node));
  }
  std::tie(status.exact, status.exactness) = exactness_of(status.pipelines, kernel_families);

  status.sequences_live = snapshot.sequences_live;
  status.sequences_waiting = snapshot.sequences_waiting;
  status.steps_in_flight = snapshot.steps_in_flight;
  status.kv_tokens_reserved = snapshot.kv_tokens_reserved;
  status.kv_tokens_total = options_.limits.settings.kv_tokens_total;
  status.tokens_per_second = token_rate_.per_second(now);
  status.tokens_generated = tokens_generated_;
  status.tokens_prompt = tokens_prompt_;
  status.drafts_sent = snapshot.drafts_sent;
  status.drafts_accepted = snapshot.drafts_accepted;
  if (options_.drafts) status.draft_model = options_.drafts->name();
  status.model_drafts_sent = snapshot.model_drafts_sent;
  status.model_drafts_accepted = snapshot.model_drafts_accepted;
  status.tokens_cached = snapshot.cached_tokens;
  status.sequences_refilling = snapshot.sequences_refilling;
  status.sequences_resumed = snapshot.sequences_resumed;
  status.sequences_restarted = snapshot.sequences_restarted;
  status.move = snapshot.move;
  status.moves = snapshot.moves;
  status.why_not_moved = why_not_moved(snapshot);
  status.step_totals = step_totals_;
  status.tracing = tracer_.recording();
  status.relayed_bytes = cluster_.relayed_bytes();
  status.uptime_s = static_cast<double>((now - started_).count()) / 1e6;
  return status;
}

}  // namespace shoal::coordinator
