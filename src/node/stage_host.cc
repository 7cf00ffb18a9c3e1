#include "node/stage_host.h"

#include <boost/asio/post.hpp>

#include "base/memory.h"
#include "engine/activations.h"

namespace shoal::node {
namespace {

using SteadyClock = std::chrono::steady_clock;

Duration since(SteadyClock::time_point from, SteadyClock::time_point to) {
  return std::chrono::duration_cast<Duration>(to - from);
}

// Hidden states as they came off the wire; malloc's alignment fits floats.
std::span<const float> as_floats(const Bytes& bytes) {
  SHOAL_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(float) == 0);
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

// Only the last stage gives logits, but every stage passes on who wants them.
std::vector<engine::Row> engine_rows(const std::vector<wire::StepRow>& rows, bool is_last) {
  std::vector<engine::Row> all;
  all.reserve(rows.size());
  for (const wire::StepRow& row : rows) {
    all.push_back({row.sequence, row.position, row.token, std::nullopt});
    if (!is_last || row.logits == 0) continue;
    all.back().logits = row.logits == wire::kAllLogits ? engine::kAllLogits : row.logits;
  }
  return all;
}

Result<engine::StepOutput> step(engine::Stage& stage, const StepJob& job, bool is_last) {
  const std::vector<engine::Row> rows = engine_rows(job.step.rows, is_last);
  const ActivationType activations = job.step.activations;
  if (activations == ActivationType::kF32) return stage.step({rows, as_floats(job.hidden)});
  SHOAL_ASSIGN_OR_RETURN(const std::vector<float> hidden,
                         engine::unpack_activations(job.hidden, rows.size(), stage.embedding_length(), activations));
  return stage.step({rows, hidden});
}

}  // namespace

StageHost::StageHost(boost::asio::io_context& io, StageLoad load, Handlers handlers)
    : io_(io), load_(std::move(load)), handlers_(std::move(handlers)) {
  load_.options.progress = [this](float) { return !stopping_.load(std::memory_order_relaxed); };
  thread_ = std::thread([this] {
    run();
    release_freed_memory();  // of the stage, and of its journal, which goes before its host
  });
}

StageHost::~StageHost() {
  *alive_ = false;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool StageHost::submit(StepJob job) {
  {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= kStepsQueuedMax) return false;
    queue_.push_back({std::move(job), SteadyClock::now()});
  }
  wake_.notify_one();
  return true;
}

std::size_t StageHost::queued() const {
  std::lock_guard lock(mutex_);
  return queue_.size();
}

// The callback runs on the io thread unless the host is gone by then. It owns what it calls: a handler may destroy the
// host.
void StageHost::post(std::function<void()> callback) {
  boost::asio::post(io_, [alive = alive_, callback = std::move(callback)] {
    if (*alive) callback();
  });
}

void StageHost::run() {
  if (load_.verify) {
    auto damaged = model::damaged_pieces(*load_.verify, load_.shard, [this] { return stopping_.load(); });
    if (!damaged.ok()) return post([on_loaded = handlers_.on_loaded, error = damaged.error()] { on_loaded(error); });
    if (!damaged->empty()) {
      return post(
          [on_loaded = handlers_.on_loaded, loaded = Loaded{{}, {}, std::move(*damaged)}] { on_loaded(loaded); });
    }
  }
  auto stage = engine::Stage::load(load_.shard, load_.is_first, load_.is_last, load_.options);
  if (!stage.ok()) {
    post([on_loaded = handlers_.on_loaded, error = stage.error()] { on_loaded(error); });
    return;
  }
  post([on_loaded = handlers_.on_loaded, loaded = Loaded{(*stage)->memory(), (*stage)->exactness(), {}}] {
    on_loaded(loaded);
  });
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Queued next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    compute(**stage, std::move(next));
  }
}

void StageHost::compute(engine::Stage& stage, Queued queued) {
  auto start = SteadyClock::now();
  const wire::Step& order = queued.job.step;
  for (SequenceId sequence : order.frees) stage.free_sequence(sequence);
  Status prepared;
  for (const Fork& each : order.forks) {
    if (prepared.ok()) prepared = stage.fork_sequence(each.from, each.sequence, each.length);
  }
  for (const Truncation& each : order.truncations) {
    if (prepared.ok()) prepared = stage.truncate_sequence(each.sequence, each.length);
  }
  Result<engine::StepOutput> output = engine::StepOutput{};
  if (!prepared.ok()) {
    output = prepared.error();
  } else if (!order.rows.empty()) {
    output = step(stage, queued.job, load_.is_last);
  }
  const ActivationType wanted = activations_.load(std::memory_order_relaxed);
  std::optional<Bytes> packed;
  if (wanted != ActivationType::kF32 && output.ok() && !output->hidden.empty()) {
    packed = engine::pack_activations(output->hidden, stage.embedding_length(), wanted);
    if (packed) output->hidden = {};
  }
  const auto end = SteadyClock::now();
  // std::function wants copyable callables, so the outcome travels in a shared pointer.
  auto outcome = std::make_shared<StepOutcome>(
      StepOutcome{std::move(queued.job), std::move(output), packed ? wanted : ActivationType::kF32,
                  packed ? std::move(*packed) : Bytes(), queued.at, end, since(queued.at, start), since(start, end)});
  post([on_step = handlers_.on_step, outcome] { on_step(std::move(*outcome)); });
}

}  // namespace shoal::node
