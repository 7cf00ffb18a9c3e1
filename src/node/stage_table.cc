#include "node/stage_table.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/log.h"
#include "wire/frame.h"

namespace shoal::node {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(250);

std::vector<net::Endpoint> endpoints_of(const std::vector<std::string>& addresses, std::uint16_t port) {
  std::vector<net::Endpoint> endpoints;
  for (const auto& address : addresses) endpoints.push_back({address, port});
  return endpoints;
}

std::uint32_t microseconds(Duration duration) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(duration.count(), 0, UINT32_MAX));
}
std::uint32_t microseconds_since(std::chrono::steady_clock::time_point from) {
  return microseconds(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - from));
}
// As the links' Pongs tell it (net/link.h): by both the coordinator places a step on its own clock.
std::uint64_t clock_us(std::chrono::steady_clock::time_point at) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Duration>(at.time_since_epoch()).count());
}

model::ShardLayout layout_of(const wire::LoadStage& order) {
  model::ShardLayout layout{order.range, order.shard_bytes, {}};
  for (const auto& piece : order.pieces) layout.pieces.push_back({piece.sha256, piece.offset, piece.size_bytes});
  return layout;
}

}  // namespace

StageTable::StageTable(boost::asio::io_context& io, net::Transport& transport, model::ShardStore& store,
                       std::uint32_t threads, std::uint64_t journal_bytes_max, SendControl send_control,
                       CoordinatorSource coordinator)
    : io_(io),
      transport_(transport),
      store_(store),
      threads_(threads),
      journal_bytes_max_(journal_bytes_max),
      send_control_(std::move(send_control)),
      coordinator_(std::move(coordinator)),
      links_(io, transport,
             {[this](const wire::LinkReport& report) { send_control_(report, nullptr); },
              [this](Epoch epoch, const Error& error) {
                send_control_(wire::StepFailed{epoch, last_sent_, {}, ErrorCode::kUnavailable, error.message}, nullptr);
              },
              [this](const NodeId& peer, Bytes frame) {
                send_control_(wire::Relay{peer}, std::make_shared<const Bytes>(std::move(frame)));
              }}) {}

StageTable::~StageTable() {
  drop_all();
}

void StageTable::set_plan(wire::Plan plan) {
  if (plan.epoch < plan_.epoch) return;
  plan_ = std::move(plan);
  for (auto& [stage, entry] : stages_) {
    if (entry.host) entry.host->set_activations(ActivationType::kF32);
  }
  links_.set_plan(plan_, transport_.identity().id());
  for (auto& [step, raw] : std::exchange(early_, {})) on_step(std::move(step), std::move(raw));
}

bool StageTable::knows_peer(const NodeId& id) const {
  return std::any_of(plan_.stages.begin(), plan_.stages.end(), [&](const auto& stage) { return stage.node == id; });
}

void StageTable::load(const wire::LoadStage& order) {
  const auto [entry, is_new] = stages_.try_emplace(order.stage, order.is_last ? 0 : journal_bytes_max_);
  if (!is_new) return;
  entry->second.order = order;
  if (auto status = layout_of(order).check(); !status.ok()) return fail(order.stage, status.error());
  if (!shards_held_) open(order.stage);
}

void StageTable::hold_shards(bool held) {
  shards_held_ = held;
  if (held) return;
  for (auto& [stage, entry] : stages_) {
    if (!entry.opening && !entry.fetcher && !entry.host) open(stage);
  }
}

void StageTable::open(StageId stage) {
  log_debug("stage {}: layers {} are looked for on flash", stage.value, stages_.at(stage).order.range.text());
  Entry& entry = stages_.at(stage);
  auto work = [this, stage, layout = layout_of(entry.order)](Opening& task) {
    auto told = std::chrono::steady_clock::now();
    return store_.open_shard(layout, [&](std::uint64_t bytes_done) {
      if (auto now = std::chrono::steady_clock::now(); now - told >= kProgressInterval) {
        told = now;
        task.post([this, stage, bytes_done, bytes_total = layout.bytes()] {
          report_progress(stages_.at(stage), bytes_done, bytes_total, false);
        });
      }
      return !task.stopping();
    });
  };
  entry.opening = std::make_unique<Opening>(io_, std::move(work),
                                            [this, stage](auto writer) { on_opened(stage, std::move(writer)); });
}

void StageTable::on_opened(StageId stage, Result<std::unique_ptr<model::ShardWriter>> writer) {
  stages_.at(stage).opening.reset();
  writer.ok() ? fetch(stage, std::move(*writer)) : fail(stage, writer.error());
}

void StageTable::fetch(StageId stage, std::unique_ptr<model::ShardWriter> writer) {
  Entry& entry = stages_.at(stage);
  const wire::LoadStage& order = entry.order;
  entry.verify = writer->bytes_unread() > 0;
  entry.fetched_bytes = writer->layout().bytes() - writer->bytes_done();
  std::vector<FetchSource> sources;
  for (const auto& source : order.sources) {
    if (source.node == transport_.identity().id()) continue;
    sources.push_back(
        {source.node, "node " + source.node.short_hex(), endpoints_of(source.addresses, source.data_port)});
  }
  sources.push_back(coordinator_());
  log_info("stage {}: layers {}, {} of {} on flash", order.stage.value, order.range.text(),
           format_size(writer->bytes_done()), format_size(writer->layout().bytes()));
  ShardFetcher::Handlers handlers;
  handlers.on_progress = [this, stage](std::uint64_t done, std::uint64_t total) {
    fetch_done_ = done;
    fetch_total_ = total;
    report_progress(stages_.at(stage), done, total, false);
  };
  handlers.on_done = [this, stage](Result<std::filesystem::path> path) {
    fetch_done_ = fetch_total_ = 0;
    stages_.at(stage).fetcher.reset();
    if (!path.ok()) return fail(stage, path.error());
    stages_.at(stage).order.fetch_only ? keep(stage) : host(stage, *path);
  };
  auto fetcher = std::make_shared<ShardFetcher>(io_, transport_, std::move(writer), std::move(sources), handlers);
  entry.fetcher = fetcher;
  fetcher->start();
}

void StageTable::keep(StageId stage) {
  log_info("layers {} are on flash", stages_.at(stage).order.range.text());
  send_control_(wire::ShardFetched{stage}, nullptr);
  drop(stage);
}

void StageTable::report_progress(Entry& entry, std::uint64_t done, std::uint64_t total, bool loading) {
  auto now = std::chrono::steady_clock::now();
  if (!loading && done != total && now - entry.reported < kProgressInterval) return;
  entry.reported = now;
  send_control_(wire::StageProgress{entry.order.stage, done, total, loading}, nullptr);
}

void StageTable::host(StageId stage, const std::filesystem::path& shard) {
  Entry& entry = stages_.at(stage);
  report_progress(entry, entry.order.shard_bytes, entry.order.shard_bytes, true);
  StageLoad load{stage, entry.order.range, entry.order.is_first, entry.order.is_last, shard, {}};
  load.options.settings = entry.order.settings;
  load.options.threads = threads_;
  load.options.proofs = &proofs_;
  if (entry.verify) load.verify = layout_of(entry.order);
  entry.host = std::make_unique<StageHost>(
      io_, std::move(load),
      StageHost::Handlers{[this, stage](Result<StageHost::Loaded> loaded) { on_loaded(stage, std::move(loaded)); },
                          [this, stage](StepOutcome outcome) { on_computed(stage, std::move(outcome)); }});
}

void StageTable::on_loaded(StageId stage, Result<StageHost::Loaded> loaded) {
  if (!loaded.ok()) return fail(stage, loaded.error());
  if (!loaded->damaged.empty()) return fetch_again(stage, loaded->damaged);
  Entry& entry = stages_.at(stage);
  entry.ready = true;
  log_info("stage {}: ready, {} ({})", stage.value, format_size(loaded->memory.total()), loaded->exactness.reason);
  send_control_(wire::StageReady{stage, loaded->memory, loaded->exactness, entry.fetched_bytes}, nullptr);
}

// The damaged pieces are missing now, and all are hashed once more on the next attempt: flash that loses bytes as fast
// as they come keeps a node here until the coordinator gives up on the stage.
void StageTable::fetch_again(StageId stage, const std::vector<std::size_t>& damaged) {
  wire::LoadStage order = stages_.at(stage).order;
  log_warning("stage {}: {} of {} pieces on flash are damaged; fetching them again", stage.value, damaged.size(),
              order.pieces.size());
  drop(stage);
  if (auto status = store_.drop_pieces(layout_of(order).id(), damaged); !status.ok()) {
    send_control_(wire::StageFailed{stage, status.error().code, status.error().message}, nullptr);
    return;
  }
  load(order);
}

void StageTable::fail(StageId stage, const Error& error) {
  log_error("stage {}: {}", stage.value, error.message);
  send_control_(wire::StageFailed{stage, error.code, error.message}, nullptr);
  drop(stage);
}

void StageTable::drop(StageId stage) {
  auto found = stages_.extract(stage);
  if (!found.empty() && found.mapped().fetcher) found.mapped().fetcher->cancel();
}

void StageTable::set_activations(const wire::SetActivations& order) {
  const auto found = stages_.find(order.from_stage);
  if (order.epoch != plan_.epoch || found == stages_.end() || !found->second.ready) return;
  found->second.host->set_activations(order.type);
}

void StageTable::drop_all() {
  while (!stages_.empty()) drop(stages_.begin()->first);
  links_.close_all();
  early_.clear();
  plan_ = {};
}

void StageTable::on_step(wire::Step step, Bytes raw) {
  // A step on a data link may overtake its plan on the control link.
  if (step.epoch > plan_.epoch && early_.size() < kEarlyStepsMax) {
    early_.emplace_back(std::move(step), std::move(raw));
    return;
  }
  auto found = stages_.find(step.to_stage);
  if (step.epoch != plan_.epoch || found == stages_.end() || !found->second.ready) {
    log_debug("step {} of epoch {} dropped: stale", step.step.value, step.epoch.value);
    return;
  }
  Entry& entry = found->second;
  auto refuse = [&](ErrorCode code, std::string why) {
    send_control_(wire::StepFailed{step.epoch, step.step, step.to_stage, code, std::move(why)}, nullptr);
  };
  if (entry.order.is_first && !step.rows.empty() && !step.has_tokens) {
    return refuse(ErrorCode::kInvalidArgument, "the first stage was given no tokens");
  }
  if (entry.host->queued() >= kStepsQueuedMax) {
    return refuse(ErrorCode::kResourceExhausted, "the stage's queue is full");
  }
  entry.host->submit({std::move(step), std::move(raw)});
}

void StageTable::replay(const wire::Replay& order) {
  const auto found = stages_.find(order.stage);
  const wire::PlanStage* next = next_of(order.stage);
  if (order.epoch != plan_.epoch || found == stages_.end() || next == nullptr) {
    return log_debug("replay {} of epoch {} dropped: stale", order.step.value, order.epoch.value);
  }
  auto rows = found->second.journal.find(order.sequence, order.first, order.count);
  if (!rows) {
    auto why = fmt::format("rows {} to {} are not in the journal", order.first, order.first + order.count - 1);
    return send_control_(wire::StepFailed{order.epoch, order.step, order.stage, ErrorCode::kNotFound, std::move(why)},
                         nullptr);
  }
  wire::Step step;
  step.epoch = order.epoch;
  step.step = order.step;
  step.ends_at = order.ends_at;
  step.activations = rows->type;
  if (order.first == 0) step.frees.push_back(order.sequence);
  for (std::uint32_t i = 0; i < order.count; ++i) step.rows.push_back({order.sequence, order.first + i, 0, 0});
  send_onwards(*next, std::move(step), std::move(rows->bytes));
}

void StageTable::on_computed(StageId stage, StepOutcome outcome) {
  Entry& entry = stages_.at(stage);
  ++entry.steps_done;
  if (outcome.output.ok()) write_journal(entry, outcome);  // of an older epoch, too: it is in the KV
  wire::Step step = std::move(outcome.job.step);
  if (outcome.output.ok() && !step.rows.empty()) entry.step_times.add(step.rows.size(), outcome.computed);
  if (step.epoch != plan_.epoch) return;
  if (!outcome.output.ok()) {
    const Error& error = outcome.output.error();
    send_control_(wire::StepFailed{step.epoch, step.step, stage, error.code, error.message}, nullptr);
    return;
  }
  step.times.push_back(
      {stage, microseconds(outcome.queued), microseconds(outcome.computed), 0, clock_us(outcome.queued_at)});
  if (entry.order.is_last || step.ends_at == stage) {
    return send_result(std::move(step), std::move(*outcome.output), outcome.computed_at);
  }
  const wire::PlanStage* next = next_of(stage);
  if (next == nullptr) return;
  step.activations = outcome.activations;
  Bytes hidden = std::move(outcome.packed);
  if (const auto& floats = outcome.output->hidden; !floats.empty()) {
    hidden.resize(floats.size() * sizeof(float));
    std::memcpy(hidden.data(), floats.data(), hidden.size());
  }
  step.times.back().send_us = microseconds_since(outcome.computed_at);
  send_onwards(*next, std::move(step), std::move(hidden));
}

void StageTable::write_journal(Entry& entry, const StepOutcome& outcome) {
  const wire::Step& step = outcome.job.step;
  Journal& journal = entry.journal;
  for (const SequenceId id : step.frees) journal.forget(id);
  for (const Fork& fork : step.forks) journal.fork(fork);
  if (step.rows.empty()) return;
  const std::vector<float>& floats = outcome.output->hidden;
  const ByteSpan all =
      floats.empty() ? ByteSpan(outcome.packed)
                     : ByteSpan(reinterpret_cast<const std::uint8_t*>(floats.data()), floats.size() * sizeof(float));
  const std::size_t row_bytes = all.size() / step.rows.size();
  for (std::size_t i = 0; i < step.rows.size(); ++i) {
    const wire::StepRow& row = step.rows[i];
    journal.write(row.sequence, row.position, outcome.activations, all.subspan(i * row_bytes, row_bytes));
  }
}

void StageTable::send_onwards(const wire::PlanStage& next, wire::Step step, Bytes hidden) {
  step.to_stage = next.stage;
  step.has_tokens = false;
  if (next.node == transport_.identity().id()) return on_step(std::move(step), std::move(hidden));
  last_sent_ = step.step;
  links_.send(next.node, step, std::make_shared<const Bytes>(std::move(hidden)));
}

void StageTable::send_result(wire::Step step, engine::StepOutput output,
                             std::chrono::steady_clock::time_point computed) {
  wire::StepResult result{step.epoch, step.step, {}, {}, std::move(step.times)};
  std::size_t candidates = 0;
  for (const auto& logits : output.logits) {
    result.candidate_counts.push_back(static_cast<std::uint32_t>(logits.candidates.size()));
    result.log_sum_exps.push_back(logits.log_sum_exp);
    candidates += logits.candidates.size();
  }
  const std::size_t raw_bytes = candidates * (sizeof(Token) + sizeof(float));
  if (const std::size_t most = wire::raw_bytes_max(result); raw_bytes > most) {
    const StageId stage = result.times.back().stage;  // this one
    auto why = fmt::format("the logits asked for take {}, a frame carries {}; ask for fewer", format_size(raw_bytes),
                           format_size(most));
    return send_control_(wire::StepFailed{step.epoch, step.step, stage, ErrorCode::kResourceExhausted, why}, nullptr);
  }
  auto raw = std::make_shared<Bytes>(raw_bytes);
  std::uint8_t* at = raw->data();
  for (const auto& logits : output.logits) {
    for (const auto& candidate : logits.candidates) store_le(std::exchange(at, at + sizeof(Token)), candidate.token);
    for (const auto& candidate : logits.candidates) store_le(std::exchange(at, at + sizeof(float)), candidate.logit);
  }
  result.times.back().send_us = microseconds_since(computed);
  send_control_(result, std::move(raw));
}

const wire::PlanStage* StageTable::next_of(StageId stage) const {
  for (std::size_t i = 0; i + 1 < plan_.stages.size(); ++i) {
    if (plan_.stages[i].stage == stage) return &plan_.stages[i + 1];
  }
  return nullptr;
}

std::optional<NodeId> StageTable::successor(Epoch epoch, StageId stage) const {
  const NodeId& self = transport_.identity().id();
  const auto ours = [&](const wire::PlanStage& each) { return each.stage == stage && each.node == self; };
  if (epoch != plan_.epoch || std::none_of(plan_.stages.begin(), plan_.stages.end(), ours)) return std::nullopt;
  const wire::PlanStage* next = next_of(stage);
  return next != nullptr && next->node != self ? std::optional(next->node) : std::nullopt;
}

std::vector<StageTelemetry> StageTable::telemetry() const {
  std::vector<StageTelemetry> all;
  for (const auto& [id, entry] : stages_) {
    all.push_back({id, entry.host ? static_cast<std::uint32_t>(entry.host->queued()) : 0, entry.steps_done,
                   entry.step_times.step_us(), entry.step_times.row_us()});
  }
  return all;
}

void StageTable::tick() {
  links_.tick(std::chrono::steady_clock::now());
}

}  // namespace shoal::node
