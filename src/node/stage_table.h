// The stages of this node: their shards opened and fetched, loaded, fed with steps, their results passed on.
//
// A step is computed only if it is of the current plan's epoch and of a loaded stage. One of an older epoch is dropped,
// because the scheduler that sent it has moved on; one of a newer epoch waits for its plan (kEarlyStepsMax of them).
// Results go to the next stage in the plan (same node: directly; other node: over the data links), those of the last
// stage to the coordinator. A step that cannot be computed is answered with StepFailed. Every stage but the last keeps
// what it computed in a journal, over all epochs, and sends it on again when asked (replay). Runs on the io thread, but
// for what reads whole shards (opening one, checking it) and for computing.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "engine/proof_record.h"
#include "model/shard_store.h"
#include "net/transport.h"
#include "node/background_task.h"
#include "node/data_links.h"
#include "node/journal.h"
#include "node/shard_fetcher.h"
#include "node/stage_host.h"
#include "node/step_times.h"

namespace shoal::node {

inline constexpr std::size_t kEarlyStepsMax = 64;

class StageTable {
 public:
  // Sends a message on the control link; dropped when there is none.
  using SendControl = std::function<void(const wire::Message&, std::shared_ptr<const Bytes> raw)>;
  // Where the coordinator can be reached for pieces.
  using CoordinatorSource = std::function<FetchSource()>;

  // `journal_bytes_max`: of each stage.
  StageTable(boost::asio::io_context& io, net::Transport& transport, model::ShardStore& store, std::uint32_t threads,
             std::uint64_t journal_bytes_max, SendControl send_control, CoordinatorSource coordinator);
  ~StageTable();

  void set_plan(wire::Plan plan);
  void load(const wire::LoadStage& order);
  // While held, stages that are to be loaded wait: the store is about to know pieces that need not be fetched then.
  void hold_shards(bool held);
  void drop(StageId stage);
  // Sends rows from a stage's journal to its successor, as a step.
  void replay(const wire::Replay& order);
  // How a stage sends its hidden states on, until the next plan; an order of another epoch changes nothing.
  void set_activations(const wire::SetActivations& order);
  // The coordinator is gone: its plan is void.
  void drop_all();

  void on_step(wire::Step step, Bytes raw);
  bool knows_peer(const NodeId& id) const;  // a node of the current plan
  // The node that this stage of the current plan sends to over a data link; nullopt: none, or another plan's epoch.
  std::optional<NodeId> successor(Epoch epoch, StageId stage) const;
  DataLinks& links() { return links_; }
  std::vector<StageTelemetry> telemetry() const;
  void tick();

  // What is being fetched, for a progress bar: bytes done and in all; 0 of 0 when nothing is.
  std::pair<std::uint64_t, std::uint64_t> fetch_progress() const { return {fetch_done_, fetch_total_}; }

 private:
  using Opening = BackgroundTask<Result<std::unique_ptr<model::ShardWriter>>>;
  // In this order: `opening`, `fetcher`, `host`; one of them at a time, none while shards are held.
  struct Entry {
    explicit Entry(std::uint64_t journal_bytes_max) : journal(journal_bytes_max) {}

    wire::LoadStage order;
    std::unique_ptr<Opening> opening;
    std::shared_ptr<ShardFetcher> fetcher;
    bool verify = false;              // some of the shard was on flash before: it is hashed before it is loaded
    std::uint64_t fetched_bytes = 0;  // over links; known when fetching begins
    std::unique_ptr<StageHost> host;
    bool ready = false;
    std::uint64_t steps_done = 0;
    StepTimes step_times;
    std::chrono::steady_clock::time_point reported{};
    Journal journal;  // of what it gave; empty in the last stage. Behind `host`: it is freed first (stage_host.cc)
  };

  void open(StageId stage);
  void on_opened(StageId stage, Result<std::unique_ptr<model::ShardWriter>> writer);
  void fetch(StageId stage, std::unique_ptr<model::ShardWriter> writer);
  void keep(StageId stage);  // fetched, and not to be loaded
  void fail(StageId stage, const Error& error);
  void fetch_again(StageId stage, const std::vector<std::size_t>& damaged);
  void host(StageId stage, const std::filesystem::path& shard);
  void on_loaded(StageId stage, Result<StageHost::Loaded> loaded);
  void on_computed(StageId stage, StepOutcome outcome);
  // Both tell in the last of the step's times what passed since `computed`.
  void send_result(wire::Step step, engine::StepOutput output, std::chrono::steady_clock::time_point computed);
  void send_onwards(const wire::PlanStage& next, wire::Step step, Bytes hidden);
  void write_journal(Entry& entry, const StepOutcome& outcome);
  const wire::PlanStage* next_of(StageId stage) const;
  void report_progress(Entry& entry, std::uint64_t done, std::uint64_t total, bool loading);

  boost::asio::io_context& io_;
  net::Transport& transport_;
  model::ShardStore& store_;
  std::uint32_t threads_;
  std::uint64_t journal_bytes_max_;
  SendControl send_control_;
  CoordinatorSource coordinator_;
  DataLinks links_;
  wire::Plan plan_;
  engine::ProofRecord proofs_;  // before the stages, which use it while they are loaded
  std::map<StageId, Entry> stages_;
  bool shards_held_ = false;
  std::vector<std::pair<wire::Step, Bytes>> early_;
  std::uint64_t fetch_done_ = 0;
  std::uint64_t fetch_total_ = 0;
  StepId last_sent_;  // to a data link: what on_broken reports
};

}  // namespace shoal::node
