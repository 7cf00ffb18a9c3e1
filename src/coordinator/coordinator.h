// The coordinator: feeds the scheduler real events and carries out its actions (docs/architecture.md §3).
//
// Everything runs on the io_context's thread. Events that arise while actions are carried out (a stage that cannot be
// cut, a token that was sampled) are queued and fed after them, never nested. A step's result is used once and only if
// the step is of the current epoch: a sampler's random state must not move twice for one token.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

#include <boost/asio/steady_timer.hpp>

#include "base/clock.h"
#include "coordinator/answer.h"
#include "coordinator/care.h"
#include "coordinator/cluster.h"
#include "coordinator/completions.h"
#include "coordinator/draft_source.h"
#include "coordinator/event_story.h"
#include "coordinator/events.h"
#include "coordinator/kernel_choice.h"
#include "coordinator/link_bench.h"
#include "coordinator/model_source.h"
#include "coordinator/token_rate.h"
#include "coordinator/trace.h"
#include "sched/scheduler.h"
#include "sched/step_cost.h"

namespace shoal::coordinator {

struct CoordinatorOptions {
  std::string name;
  net::Endpoint cluster;  // where nodes dial in
  sched::Limits limits;   // draft_model: whether there is a draft source
  DraftSource* drafts = nullptr;
  // In which type hidden states go from node to node, where answers need not be exact; nullopt: what each link needs.
  std::optional<ActivationType> activations = std::nullopt;
};

class Coordinator final : public CompletionService {
 public:
  // Listens. Everything referenced must outlive the object. kAlreadyExists: the port is taken.
  static Result<std::unique_ptr<Coordinator>> create(boost::asio::io_context& io, const Clock& clock,
                                                     net::Transport& transport, Store& store, ModelSource& model,
                                                     CoordinatorOptions options);
  ~Coordinator() override;

  const model::Vocabulary& vocabulary() const override { return model_.vocabulary(); }
  std::string model_name() const override { return model_.manifest().name; }
  std::int64_t model_created_unix_seconds() const override { return model_.changed_unix_seconds(); }
  std::uint32_t context_tokens_max() const override { return options_.limits.settings.context_tokens_max; }
  Digest decided_by() const override { return decided_by_; }
  Result<KeyedRequest> claim_key(const std::string& key, const KeyedRequest& fresh) override {
    return store_.claim_key(key, fresh);
  }
  Result<CompletionHandle> submit(CompletionRequest request, std::shared_ptr<CompletionSink> sink) override;
  void cancel(CompletionHandle handle) override;
  ClusterStatus status() const override;
  Status start_trace() override;
  Trace stop_trace() override { return tracer_.stop(clock_.now()); }
  Status start_net_bench(std::function<void(NetBench)> done) override;
  void cancel_net_bench() override;
  Result<EventPage> events(const EventQuery& query) override { return event_log_.read(query); }
  EventWatch watch_events(std::function<void()> on_event) override { return event_log_.watch(std::move(on_event)); }
  Result<JoinTokenGrant> create_token(std::chrono::seconds lifetime) override;
  Status revoke_node(const NodeId& id) override;
  Status pause_node(const NodeId& id, bool paused) override;

  // Ends the answers that run, with kCancelled, and takes no more of them. What the destructor does too, only that
  // after it nobody is left to tell a client.
  void stop();

  net::Endpoint cluster_endpoint() const { return cluster_.endpoint(); }

 private:
  // What became of a stage of a plan in force, or of one that is made ready.
  struct StageRecord {
    NodeId node;
    std::uint32_t lane = 0;
    LayerRange range;
    std::uint64_t memory_planned_bytes = 0;
    StageState state = StageState::kFetching;
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;
    StageMemory memory;
    ExactnessReport exactness;
    LinkPath to_next = LinkPath::kNone;
    std::string error;
    ActivationType sends = ActivationType::kF32;
    std::optional<net::LinkSpeed> speed_to_next;
    sched::CostLine cost;  // of computing; counted where it decides what is sent
  };

  Coordinator(boost::asio::io_context& io, const Clock& clock, net::Transport& transport, Store& store,
              ModelSource& model, CoordinatorOptions options);

  void feed(sched::Event event);
  void execute(sched::Action action);
  void publish(const sched::PublishPlan& action);
  void withdraw(const sched::WithdrawPlan& action);
  void withdraw_plans_with(const NodeId& node);
  void send_plan(std::uint32_t lane);
  void allow_relays();
  // The plan in force that has this epoch; nullptr: none has.
  const sched::PlannedPlan* plan_of(Epoch epoch) const;
  const sched::PlannedPlan* plan_with(StageId stage) const;
  wire::LoadStage load_order(std::uint32_t lane, const NodeId& node, StageId stage, LayerRange range,
                             const model::ShardLayout& layout) const;
  void load_stage(const sched::LoadStage& action);
  void fetch_shard(const sched::FetchShard& action);
  void drop_stage(const sched::DropStage& action);
  void on_fetched(const NodeId& node, StageId stage);
  void on_fetch_failed(const NodeId& node, const wire::StageFailed& failed);
  void add_held(const NodeId& node, LayerRange range);
  void send_step(sched::SendStep action);
  void replay(const sched::Replay& action);
  void emit(sched::Emit action);
  void set_timer(std::optional<Time> at);

  void join(const NodeId& node);
  void on_telemetry(const NodeId& node, const Telemetry& told);
  // Of what the device could do, what it is to get; 0: nothing, it is drained.
  void tell_share(const NodeId& node);
  std::uint32_t share_permille(const NodeId& node) const;
  bool rests(const NodeId& node) const;  // it is to host nothing: its owner paused it, or it is drained
  std::string why_rests(const NodeId& node) const;
  std::string why_not_moved(const sched::Snapshot& snapshot) const;
  void on_frame(const NodeId& node, wire::Frame frame);
  void on_stage_ready(const NodeId& node, const wire::StageReady& ready);
  void tell_failed(const NodeId& node, const wire::StepFailed& failed);
  void on_result(const NodeId& node, const wire::StepResult& result, const Bytes& raw);
  void count_step(const wire::StepResult& result, Duration way);
  TracedPlan traced_plan(const sched::PlannedPlan& planned) const;
  void trace_step(const wire::StepResult& result, const std::vector<sched::Row>& rows, Time sent, Time returned);
  void on_link_report(const wire::LinkReport& report);
  bool adapts_activations() const;
  bool links_settled(const sched::PlannedPlan& plan) const;
  void begin_activations();
  void begin_activations(const sched::PlannedPlan& plan);
  void keep_speeds(const std::vector<MeasuredLink>& links);
  void adapt_activations(const wire::StepResult& result, std::size_t rows, Time now);
  void set_activations(StageId stage, ActivationType type);
  std::vector<MeasuredLink> control_links() const;
  std::vector<MeasuredLink> data_links(const sched::PlannedPlan& plan) const;  // between its nodes
  StageRecord* own_stage(const NodeId& node, StageId stage);
  void doze_links();

  PlanStatus plan_status(const sched::PlannedPlan& plan) const;
  std::vector<PipelineStatus> pipelines_status(const sched::Snapshot& snapshot) const;
  std::optional<NodeTelemetry> telemetry_status(const Cluster::Member& member) const;
  std::string node_name(const NodeId& node) const;
  std::string kernel_family(const NodeId& node) const;  // "" when it is not connected

  const Clock& clock_;
  net::Transport& transport_;
  Store& store_;
  ModelSource& model_;
  CoordinatorOptions options_;
  Digest decided_by_;
  EventLog event_log_;
  EventStory story_;
  Cluster cluster_;
  LinkBench link_bench_;
  std::map<std::uint32_t, Epoch> links_measured_;  // by lane: whose data links were measured to choose activations
  Time activations_chosen_;
  KernelChoice kernels_;
  sched::Scheduler scheduler_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer doze_timer_;
  Time last_step_;
  bool links_warm_ = false;

  std::deque<sched::Event> events_;
  bool feeding_ = false;

  std::map<std::uint32_t, sched::PlannedPlan> plans_;  // by lane: the newest; without stages where it was withdrawn
  std::map<StageId, StageRecord> stages_;
  std::map<NodeId, Care> cares_;                    // of nodes that were connected since this process began
  std::map<NodeId, std::vector<LayerRange>> held_;  // ranges whose shards a node has shown to have
  struct Fetch {
    NodeId node;
    LayerRange range;
  };
  std::map<StageId, Fetch> fetches_;  // shards that spare nodes fetch, one in each lane
  struct StepInFlight {
    Epoch epoch;
    std::vector<sched::Row> rows;
    Time sent;
    StageId ends_at;  // none: at the last stage
  };
  std::unordered_map<StepId, StepInFlight> steps_;  // of plans in force
  StepTotals step_totals_;
  TraceRecorder tracer_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Answer>> answers_;  // shared: a sink may cancel from its own call
  std::uint64_t last_request_ = 0;
  std::uint64_t submitting_ = 0;  // its error is submit()'s, not the sink's
  std::optional<Error> submit_error_;
  bool stopped_ = false;
  std::size_t answers_cut_short_ = 0;

  TokenRate token_rate_;
  std::uint64_t tokens_generated_ = 0;
  std::uint64_t tokens_prompt_ = 0;
  Time started_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace shoal::coordinator
