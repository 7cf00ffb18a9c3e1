// A stage: a cut-down llama.cpp model that computes one layer range (docs/architecture.md §2).
//
// Parts: llama_instance (model, context, threads), kv_slots (sequences and KV cells), kv_state (KV on the move),
// exactness, proof_record and kernel_probe (which kernels, and the proof), exact_kernels (how kernels are left out),
// cpu_topology.
//
// Invariants: rows of a sequence arrive in position order without gaps; a result is the same bits whatever else is in
// the batch, however the rows were split into micro-batches, and whatever happened to other sequences, as long as
// exactness().exact holds. A stage holds at most settings.sequences_max sequences and settings.kv_tokens_total cells.
// Not thread-safe: one thread owns a stage from load to destruction. Nothing here throws or aborts on bad input.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/stage_spec.h"
#include "model/sampler.h"

namespace shoal::engine {

class ProofRecord;  // proof_record.h

// What a stage is loaded with; the plan's settings and this device's own.
struct StageOptions {
  StageSettings settings;
  std::uint32_t threads = 0;            // 0: one per big core (cpu_topology.h)
  std::function<bool(float)> progress;  // 0..1 while loading; returning false abandons the load (kCancelled)
  ProofRecord* proofs =
      nullptr;  // of the stages before; outlives the load. nullptr: the stage proves everything itself
};

struct Row {
  SequenceId sequence;
  std::uint32_t position = 0;           // 0-based in its sequence
  Token token = 0;                      // read by the first stage only; 0 .. vocabulary size - 1
  std::optional<std::uint32_t> logits;  // last stage: how many of the best logits are wanted (at least 1)
};
inline constexpr std::uint32_t kAllLogits = UINT32_MAX;

struct StepInput {
  std::span<const Row> rows;      // 1 .. kStepRowsMax
  std::span<const float> hidden;  // rows.size() * embedding_length, row-major; empty on the first stage
};

struct StepOutput {
  std::vector<float> hidden;          // rows * embedding_length; empty on the last stage
  std::vector<model::Logits> logits;  // one for each row that asked, in row order; only on the last stage
};

class Stage {
 public:
  // Loads a shard (or a whole model: every GGUF is the stage of all its layers) and proves its exactness, as far as
  // options.proofs does not know it.
  // `is_first`, `is_last`: its place in the pipeline: takes tokens, gives logits.
  // kCorrupt, kUnsupported, kResourceExhausted (memory), kCancelled; kUnsupported too when ExactMode::kOn cannot hold.
  static Result<std::unique_ptr<Stage>> load(const std::filesystem::path& shard, bool is_first, bool is_last,
                                             const StageOptions& options);
  virtual ~Stage() = default;

  // One micro-batch. kInvalidArgument: rows out of order, too many, wrong sizes, a token outside the vocabulary:
  // nothing was changed. kResourceExhausted: no free sequence or KV cell: nothing was changed. A sequence is opened by
  // its first row (position 0) or an import. kInternal: llama.cpp failed; the rows are out again, and what came before
  // them stays.
  virtual Result<StepOutput> step(const StepInput& input) = 0;

  virtual void free_sequence(SequenceId sequence) = 0;  // unknown: nothing happens
  // A new sequence with the first `length` positions of another, which stays as it is; they share their cells until one
  // of them is moved. kInvalidArgument: `from` is unknown or shorter, `sequence` is known, or `length` is 0.
  // kResourceExhausted: too many sequences, or too few cells if each had its own.
  virtual Status fork_sequence(SequenceId from, SequenceId sequence, std::uint32_t length) = 0;
  // Drops the positions from `length` on, if there are any, as if they had never been there. kInvalidArgument: an
  // unknown sequence, or a shorter one: nothing was changed.
  virtual Status truncate_sequence(SequenceId sequence, std::uint32_t length) = 0;
  virtual std::uint32_t next_position(SequenceId sequence) const = 0;  // 0 for an unknown sequence

  // KV of one sequence, to continue it in another stage of the same range, settings and kernel family. kNotFound:
  // unknown sequence. kUnsupported: an architecture whose KV has more than keys and values.
  virtual Result<Bytes> export_kv(SequenceId sequence) = 0;
  // Replaces what the sequence had here. kCorrupt: not an export of such a stage; kResourceExhausted: no free sequence
  // or too few KV cells. After an error the sequence is unknown here, and others are untouched.
  virtual Status import_kv(SequenceId sequence, ByteSpan kv) = 0;

  virtual std::uint32_t layer_count() const = 0;
  virtual std::uint32_t embedding_length() const = 0;
  virtual StageMemory memory() const = 0;  // measured, not estimated
  virtual const ExactnessReport& exactness() const = 0;
};

// Text that is equal on two devices only if their kernels give the same bits: architecture, instruction sets, llama.cpp
// version, thread-independent. Stages of one plan that differ in it make the answer depend on the shoal.
std::string kernel_family();

}  // namespace shoal::engine
