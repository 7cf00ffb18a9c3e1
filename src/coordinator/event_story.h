// Makes events (event.h) of what the coordinator sees and does, so that a death reads as a story:
//
//   pixel-4: lost: the node closed the link; it held layers 6-11
//   plan 8: galaxy-s9 takes layers 6-11 from pixel-4; 3 of 4 stages stay; 2 answers wait
//   galaxy-s9: stage ready after 1.4 s (layers 6-11, 0 B fetched)
//   serving again after 1.5 s; 2 answers go on
//
// It knows what it is told: links from the cluster, stages from their nodes' messages, and all about plans from the
// scheduler's public events, actions and snapshot. It decides nothing and keeps nothing that anybody else needs. What
// it remembers is bounded by the nodes that are paired and the stages that load. Owned by the io thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "coordinator/care.h"
#include "coordinator/events.h"
#include "sched/scheduler.h"

namespace shoal::coordinator {

class EventStory {
 public:
  EventStory(EventLog& log, const Clock& clock) : log_(log), clock_(clock) {}

  void started(const std::string& model, std::size_t nodes_paired);
  // Nothing when it never started. `answers`: that were running.
  void stopped(std::size_t answers);

  void paired(const NodeId& node, const std::string& name, const std::string& address);
  void connected(const NodeId& node, const std::string& name, std::uint64_t memory_bytes_max,
                 const std::string& address);
  void lost(const NodeId& node, const Error& why);
  // Between the two, the loss of this node is its revocation.
  void revoking(const NodeId& node, const std::string& name);
  void revoked(const NodeId& node, bool done);
  // By its owner, who has changed it; before the scheduler hears of it.
  void paused(const NodeId& node, const std::string& name, bool paused);
  void cared(const NodeId& node, const CareChange& change);

  // `fetched_bytes`: over links, from nodes and the coordinator; nullopt: the node does not tell. A stage that nobody
  // asked for is passed over.
  void stage_ready(StageId stage, std::optional<std::uint64_t> fetched_bytes);
  void stage_failed(const NodeId& node, StageId stage, LayerRange range, const std::string& message);
  // Of the current plan.
  void step_failed(const NodeId& node, const std::string& message);
  // Of a stage that is to be refilled: who stands before it has not all of an answer's rows any more.
  void journal_too_short(const NodeId& node, const std::string& message);
  void sequence_failed(std::uint64_t request, const Error& error);

  // Whether scheduled() may have something to tell; the steps of every day are none of it.
  static bool concerns(const sched::Event& event, const std::vector<sched::Action>& actions);
  // What the scheduler made of an event, before its actions are carried out.
  void scheduled(const sched::Event& event, const std::vector<sched::Action>& actions, const sched::Snapshot& snapshot);

 private:
  struct Known {
    std::string name;
    std::optional<Time> lost;
    bool paused = false;   // by its owner
    bool drained = false;  // by its battery, its heat or its owner's limits
  };
  struct Loading {
    NodeId node;
    LayerRange range;
    Time since;
  };
  struct Moves {
    std::string text;
    std::vector<NodeId> from;  // whose stages others take as they are
  };

  // What is known of a pipeline (sched/lane.h).
  struct Lane {
    sched::PlannedPlan plan;  // the last one
    sched::PlanState state = sched::PlanState::kNone;
    std::string why_none;  // as told
    bool served = false;   // ever
    Time not_serving_since;
  };

  Event make(EventKind kind, std::string text) const;  // about the shoal
  Event make(EventKind kind, const Lane& lane, std::string text) const;
  Event make(EventKind kind, const NodeId& node, std::string text) const;
  std::string name_of(const NodeId& node) const;
  std::optional<LayerRange> range_of(const NodeId& node) const;
  std::string held_by(const NodeId& node) const;
  std::vector<std::string> resting_out_of(const sched::PlannedPlan& before, const sched::PlannedPlan& plan) const;
  void tell_plan(const sched::PlannedPlan& plan, const sched::Event& event, const sched::Snapshot& snapshot);
  void tell_moved(const std::vector<sched::Action>& actions);
  std::string lane_text(std::uint32_t lane) const;  // "pipeline 2: "; "" where there is one
  Moves moves(const sched::PlannedPlan& before, const sched::PlannedPlan& plan) const;
  std::string reason(const sched::Event& event, const Lane& lane, const sched::PlannedPlan& plan,
                     const std::vector<NodeId>& told) const;
  void tell_state(std::uint32_t lane, const sched::Event& event, const sched::Snapshot& snapshot);

  EventLog& log_;
  const Clock& clock_;
  std::optional<Time> started_;
  std::map<NodeId, Known> nodes_;
  std::optional<std::pair<NodeId, std::string>> revoking_;  // and its name
  std::map<StageId, Loading> loading_;
  std::vector<std::string> joined_;  // since the last plan
  std::optional<NodeId> failed_;     // the node whose stage failed last
  std::map<std::uint32_t, Lane> lanes_;
  bool several_ = false;  // lanes
};

// "350 ms", "1.5 s", "12 min", "3 h 12 min", "2 d 3 h"
std::string duration_text(Duration duration);

}  // namespace shoal::coordinator
