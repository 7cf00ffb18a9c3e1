// A stage and the thread that computes it.
//
// The io thread posts work and gets results back through the io_context; the stage itself lives on its own thread from
// load to destruction. Steps are computed in the order they were given. The queue is bounded by kStepsQueuedMax; the
// thread sleeps when there is nothing to do. Destruction waits for the step that is being computed (or abandons a
// load), and until what the stage took is free and given back to the system.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include <boost/asio/io_context.hpp>

#include "base/activations.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "engine/stage.h"
#include "model/shard_store.h"
#include "wire/messages.h"

namespace shoal::node {

inline constexpr std::size_t kStepsQueuedMax = 1024;

struct StageLoad {
  StageId stage;
  LayerRange range;
  bool is_first = false;
  bool is_last = false;
  std::filesystem::path shard;
  std::optional<model::ShardLayout> verify;  // every piece is hashed before the shard is loaded
  engine::StageOptions options;
};

struct StepJob {
  wire::Step step;
  Bytes hidden;  // rows x embedding_length in the step's type of activations; empty on the first stage
};

struct StepOutcome {
  StepJob job;
  Result<engine::StepOutput> output;
  // Not kF32: the hidden states are here as they travel, and no more in `output`.
  ActivationType activations = ActivationType::kF32;
  Bytes packed;
  std::chrono::steady_clock::time_point queued_at;
  std::chrono::steady_clock::time_point computed_at;
  Duration queued{};
  Duration computed{};
};

class StageHost {
 public:
  struct Loaded {
    StageMemory memory;
    ExactnessReport exactness;
    std::vector<std::size_t>
        damaged;  // not empty: nothing was loaded, these pieces of the shard are not what they were
  };
  // Both are called on the io thread, never after the host is destroyed.
  struct Handlers {
    std::function<void(Result<Loaded>)> on_loaded;  // once
    std::function<void(StepOutcome)> on_step;       // once a job, in order
  };

  StageHost(boost::asio::io_context& io, StageLoad load, Handlers handlers);
  ~StageHost();

  // False when the queue is full.
  bool submit(StepJob job);
  std::size_t queued() const;
  // The type in which hidden states are handed out from the next step on; those that it cannot hold come as f32.
  void set_activations(ActivationType type) { activations_.store(type, std::memory_order_relaxed); }

  const StageLoad& load() const { return load_; }

 private:
  struct Queued {
    StepJob job;
    std::chrono::steady_clock::time_point at;
  };
  void run();
  void compute(engine::Stage& stage, Queued queued);
  void post(std::function<void()> callback);

  boost::asio::io_context& io_;
  StageLoad load_;
  Handlers handlers_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // io thread only

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Queued> queue_;
  std::atomic<bool> stopping_ = false;
  std::atomic<ActivationType> activations_ = ActivationType::kF32;
  std::thread thread_;
};

}  // namespace shoal::node
