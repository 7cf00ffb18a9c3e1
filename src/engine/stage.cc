#include "engine/stage.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "engine/cpu_topology.h"
#include "engine/exactness.h"
#include "engine/finite.h"
#include "engine/kv_slots.h"
#include "engine/kv_state.h"
#include "engine/llama_instance.h"
#include "engine/token_rows.h"
#include "model/manifest.h"

namespace shoal::engine {
namespace {

constexpr std::uint32_t kThreadsMax = 256;

Error invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

class LoadedStage final : public Stage {
 public:
  LoadedStage(std::unique_ptr<LlamaInstance> instance, InstanceOptions options, bool is_first,
              std::optional<TokenRows> token_rows, ExactnessReport report)
      : instance_(std::move(instance)),
        options_(std::move(options)),
        is_first_(is_first),
        token_rows_(std::move(token_rows)),
        report_(std::move(report)),
        slots_(*instance_, options_.settings) {}

  Result<StepOutput> step(const StepInput& input) override {
    SHOAL_ASSIGN_OR_RETURN(std::vector<Part> parts, check(input));
    SHOAL_RETURN_IF_ERROR(slots_.reserve(static_cast<std::uint32_t>(input.rows.size())));
    SHOAL_RETURN_IF_ERROR(open_slots(parts));
    StepOutput output;
    if (auto done = evaluate(input, parts, output); !done.ok()) {
      undo(parts);
      return Error(done.error());
    }
    for (const Part& part : parts) slots_.appended(part.sequence, part.rows);
    slots_.note_top(input.rows.back().sequence, rows_at_end(input.rows));
    return output;
  }

  void free_sequence(SequenceId sequence) override { slots_.free(sequence); }

  Status fork_sequence(SequenceId from, SequenceId sequence, std::uint32_t length) override {
    const auto* held = slots_.find(from);
    if (held == nullptr || length == 0 || length > held->length || slots_.find(sequence) != nullptr) {
      return invalid(fmt::format("sequence {} has {} positions here, and {} cannot begin with {} of them", from.value,
                                 held == nullptr ? 0 : held->length, sequence.value, length));
    }
    return slots_.fork(from, sequence, length);
  }

  Status truncate_sequence(SequenceId sequence, std::uint32_t length) override {
    const auto* held = slots_.find(sequence);
    if (held == nullptr || length == 0 || length > held->length) {
      return invalid(fmt::format("sequence {} has {} positions here and cannot be cut to {}", sequence.value,
                                 held == nullptr ? 0 : held->length, length));
    }
    if (length < held->length) slots_.truncate(sequence, length);
    return {};
  }

  std::uint32_t next_position(SequenceId sequence) const override {
    const auto* held = slots_.find(sequence);
    return held == nullptr ? 0 : held->length;
  }

  Result<Bytes> export_kv(SequenceId sequence) override {
    const auto* held = slots_.find(sequence);
    if (held == nullptr) {
      return Error{ErrorCode::kNotFound, fmt::format("sequence {} has no KV in this stage", sequence.value)};
    }
    SHOAL_ASSIGN_OR_RETURN(const Bytes payload, instance_->save_slot(held->slot));
    const KvShape shape = kv_shape(held->length);
    // What an importer would refuse must not leave: an architecture whose state has another form.
    if (auto known = check_kv_payload(payload, shape); !known.ok()) {
      return Error{ErrorCode::kUnsupported, "this architecture's KV cannot be moved: " + known.error().message};
    }
    return pack_kv(shape, payload);
  }

  Status import_kv(SequenceId sequence, ByteSpan kv) override {
    slots_.free(sequence);
    SHOAL_ASSIGN_OR_RETURN(const PackedKv packed, unpack_kv(kv, kv_shape(0), options_.settings.context_tokens_max));
    return slots_.restore(sequence, packed.next_position, packed.payload);
  }

  std::uint32_t layer_count() const override { return instance_->layer_count(); }
  std::uint32_t embedding_length() const override { return instance_->embedding_length(); }
  StageMemory memory() const override {
    StageMemory memory = instance_->memory();
    if (token_rows_) memory.weights_bytes += token_rows_->size_bytes();
    return memory;
  }
  const ExactnessReport& exactness() const override { return report_; }

 private:
  // The rows of one sequence in a micro-batch.
  struct Part {
    SequenceId sequence;
    std::uint32_t start = 0;  // position of its first row
    std::uint32_t rows = 0;
    std::int32_t slot = -1;
  };

  KvShape kv_shape(std::uint32_t next_position) const {
    return {layer_count(), embedding_length(), options_.settings.kv_type, next_position};
  }

  // How many of the last rows are of the last row's sequence.
  static std::uint32_t rows_at_end(std::span<const Row> rows) {
    std::uint32_t count = 0;
    while (count < rows.size() && rows[rows.size() - 1 - count].sequence == rows.back().sequence) ++count;
    return count;
  }

  static Part* find_part(std::vector<Part>& parts, SequenceId sequence) {
    const auto found = std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.sequence == sequence; });
    return found == parts.end() ? nullptr : &*found;
  }

  Result<std::vector<Part>> check(const StepInput& input) const {
    if (input.rows.empty() || input.rows.size() > kStepRowsMax) {
      return invalid(fmt::format("a step has 1 to {} rows, not {}", kStepRowsMax, input.rows.size()));
    }
    const std::size_t floats = is_first_ ? 0 : input.rows.size() * embedding_length();
    if (input.hidden.size() != floats) {
      return invalid(fmt::format("a step of {} rows needs {} floats of hidden state here, not {}", input.rows.size(),
                                 floats, input.hidden.size()));
    }
    std::vector<Part> parts;
    for (const Row& row : input.rows) {
      if (auto status = check_row(row); !status.ok()) return Error(status.error());
      Part* part = find_part(parts, row.sequence);
      if (part == nullptr) part = &parts.emplace_back(Part{row.sequence, next_position(row.sequence)});
      if (row.position != part->start + part->rows) {
        return invalid(fmt::format("sequence {} continues at position {} here, not at {}", row.sequence.value,
                                   part->start + part->rows, row.position));
      }
      ++part->rows;
    }
    return parts;
  }

  Status check_row(const Row& row) const {
    if (!row.sequence) return invalid("a row names no sequence");
    if (row.position >= options_.settings.context_tokens_max) {
      return invalid(fmt::format("position {} of sequence {} is beyond the context of {} tokens", row.position,
                                 row.sequence.value, options_.settings.context_tokens_max));
    }
    const std::uint32_t tokens = token_rows_ ? token_rows_->count() : instance_->vocabulary_size();
    if (is_first_ && (row.token < 0 || static_cast<std::uint32_t>(row.token) >= tokens)) {
      return invalid(fmt::format("token {} is outside the vocabulary of {}", row.token, tokens));
    }
    if (row.logits && !options_.is_last) return invalid("logits come from the last stage only, and this is not it");
    if (row.logits && *row.logits == 0) return invalid("zero logits were asked for; leave them out instead");
    return {};
  }

  Status open_slots(std::vector<Part>& parts) {
    for (Part& part : parts) {
      const auto* held = slots_.find(part.sequence);
      if (held != nullptr) {
        part.slot = held->slot;
        continue;
      }
      auto slot = slots_.open(part.sequence);
      if (!slot.ok()) {
        undo(parts);
        return Error(slot.error());
      }
      part.slot = *slot;
    }
    return {};
  }

  // In one go, but for a last stage that is asked for more logits than it computes at a time: exactness makes the
  // split invisible.
  Status evaluate(const StepInput& input, std::vector<Part>& parts, StepOutput& output) {
    std::vector<EvalRow> rows;
    std::vector<std::size_t> asked;  // in `rows`
    std::size_t first = 0;
    std::vector<float> embedded;
    if (token_rows_) {
      embedded.reserve(input.rows.size() * embedding_length());
      for (const Row& row : input.rows) token_rows_->append(row.token, embedded);
    }
    const float* const hidden_rows = token_rows_ ? embedded.data() : input.hidden.data();
    if (!options_.is_last) output.hidden.reserve(input.rows.size() * embedding_length());
    for (std::size_t i = 0; i < input.rows.size(); ++i) {
      const Row& row = input.rows[i];
      const float* hidden = options_.is_first ? nullptr : hidden_rows + i * embedding_length();
      rows.push_back({row.token, hidden, static_cast<std::int32_t>(row.position), find_part(parts, row.sequence)->slot,
                      row.logits.has_value()});
      if (row.logits) asked.push_back(rows.size() - 1);
      if (i + 1 < input.rows.size() && asked.size() < kLogitRowsMax) continue;
      SHOAL_RETURN_IF_ERROR(instance_->eval(rows, options_.is_last ? nullptr : &output.hidden));
      for (std::size_t index : asked) {
        const std::uint32_t wanted = *input.rows[first + index].logits;
        if (!all_finite({instance_->logits(index), instance_->vocabulary_size()})) {
          return Error{ErrorCode::kCorrupt, std::string(kNotFinite)};
        }
        output.logits.push_back(model::best_logits(instance_->logits(index), instance_->vocabulary_size(),
                                                   wanted == kAllLogits ? std::nullopt : std::optional(wanted)));
      }
      first = i + 1;
      rows.clear();
      asked.clear();
    }
    if (!all_finite(output.hidden)) return Error{ErrorCode::kCorrupt, std::string(kNotFinite)};
    return {};
  }

  // Back to where the sequences were before the step.
  void undo(const std::vector<Part>& parts) {
    for (const Part& part : parts) {
      const auto* held = slots_.find(part.sequence);
      if (held == nullptr) continue;
      instance_->truncate_slot(held->slot, static_cast<std::int32_t>(part.start));
      if (held->length == 0) slots_.close_empty(part.sequence);
    }
  }

  std::unique_ptr<LlamaInstance> instance_;
  InstanceOptions options_;  // is_first: whether llama.cpp takes tokens
  bool is_first_;
  std::optional<TokenRows> token_rows_;  // of a first stage whose llama.cpp takes hidden states
  ExactnessReport report_;
  KvSlots slots_;
};

Status check_settings(const StageSettings& settings) {
  if (settings.context_tokens_max == 0 || settings.kv_tokens_total == 0 || settings.kv_tokens_total > INT32_MAX / 2 ||
      settings.context_tokens_max > INT32_MAX / 2) {
    return invalid("a stage needs a context and KV cells of at least one token and fewer than 2^30");
  }
  if (settings.sequences_max == 0 || settings.sequences_max >= static_cast<std::uint32_t>(kSlotsMax)) {
    return invalid(fmt::format("a stage holds 1 to {} sequences, not {}", kSlotsMax - 1, settings.sequences_max));
  }
  return {};
}

void choose_threads(const StageOptions& options, InstanceOptions& instance) {
  const CpuTopology cpus = read_cpu_topology();
  instance.threads = options.threads != 0 ? std::min(options.threads, kThreadsMax)
                                          : std::min(static_cast<std::uint32_t>(cpus.big.size()), kThreadsMax);
  // More threads than big cores were asked for by hand: then the system places them.
  if (cpus.big_little() && instance.threads <= cpus.big.size()) instance.pinned_cpus = cpus.big;
}

struct Proven {
  std::unique_ptr<LlamaInstance> instance;
  ProofResult proof;
};

Result<Proven> load_and_prove(const std::filesystem::path& shard, const model::Manifest& manifest,
                              const InstanceOptions& options, ProofRecord* proofs) {
  const auto start = std::chrono::steady_clock::now();
  Proven proven;
  SHOAL_ASSIGN_OR_RETURN(proven.instance, LlamaInstance::load(shard, options));
  const auto loaded = std::chrono::steady_clock::now();
  SHOAL_ASSIGN_OR_RETURN(proven.proof, prove(*proven.instance, manifest, options, proofs));
  const auto seconds = [](auto duration) { return std::chrono::duration<double>(duration).count(); };
  log_debug("{}: loaded in {:.2f} s, exactness looked at in {:.2f} s", shard.string(), seconds(loaded - start),
            seconds(std::chrono::steady_clock::now() - loaded));
  return proven;
}

}  // namespace

Result<std::unique_ptr<Stage>> Stage::load(const std::filesystem::path& shard, bool is_first, bool is_last,
                                           const StageOptions& options) {
  SHOAL_RETURN_IF_ERROR(check_settings(options.settings));
  // Shoal's own reader first: llama.cpp is not made for files that lie about their sizes.
  SHOAL_ASSIGN_OR_RETURN(const model::Manifest manifest, model::read_manifest(shard));
  InstanceOptions instance;
  std::optional<TokenRows> token_rows;
  if (is_first && manifest.token_rows) {
    SHOAL_ASSIGN_OR_RETURN(token_rows, TokenRows::open(manifest));
  }
  instance.is_first = is_first && !token_rows;
  instance.is_last = is_last;
  instance.settings = options.settings;
  instance.progress = options.progress;
  choose_threads(options, instance);

  const ExactMode mode = options.settings.exact;
  const ExactKernels exact = choose_exact_kernels(manifest);
  if (mode != ExactMode::kOff) instance.kernels = exact.choice;

  SHOAL_ASSIGN_OR_RETURN(Proven proven, load_and_prove(shard, manifest, instance, options.proofs));
  const std::optional<std::string>& difference = proven.proof.difference;
  ExactnessReport report;
  report.exact = !difference && mode != ExactMode::kOff;
  if (mode == ExactMode::kOff) {
    // Even if this stage passes: other cuts of the model may repack other tensors.
    report.reason = "not exact: the fastest kernels were asked for, " +
                    (difference ? "and with them " + *difference : "of which another cut may choose others");
  } else if (report.exact) {
    report.reason = proven.proof.how;
    report.reason += exact.left_out.empty() ? "; no fast kernel had to be left out" : "; without " + exact.left_out;
  } else if (mode == ExactMode::kOn) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} cannot be exact on this processor: {}; load it with --exact auto or off",
                             shard.string(), *difference)};
  } else {
    const std::string why = *difference;
    proven.instance.reset();  // both at once would take twice the memory
    instance.kernels = {};
    SHOAL_ASSIGN_OR_RETURN(proven.instance, LlamaInstance::load(shard, instance));
    report.reason = fmt::format("not exact: no kernels of this processor are; {}", why);
  }
  instance.progress = {};  // may refer to things that only live while loading
  return std::unique_ptr<Stage>(std::make_unique<LoadedStage>(std::move(proven.instance), std::move(instance), is_first,
                                                              std::move(token_rows), std::move(report)));
}

}  // namespace shoal::engine
