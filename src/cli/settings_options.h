// Options that `serve` and `run` share: how stages are loaded.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "base/activations.h"
#include "base/result.h"
#include "base/stage_spec.h"
#include "coordinator/coordinator.h"
#include "draft/draft_model.h"

namespace shoal::cli {

struct SettingsOptions {
  std::uint32_t context = 4096;
  std::uint32_t sequences = 8;
  std::uint32_t kv_tokens = 0;  // 0: as many as `context`
  std::string kv_type = "f16";
  std::string exact = "auto";
  std::string activations = "auto";
  std::uint32_t draft_tokens = 15;
  std::string draft_model;
  std::uint32_t draft_threads = 1;
  std::string prefix_cache = "on";

  void add_to(CLI::App& app) {
    app.add_option("--context", context, "Longest sequence in tokens, prompt and answer together")
        ->check(CLI::Range(16u, 1u << 20))
        ->capture_default_str();
    app.add_option("--sequences", sequences, "Sequences computed at once")
        ->check(CLI::Range(1u, 64u))
        ->capture_default_str();
    app.add_option("--kv-tokens", kv_tokens, "KV cells that all sequences share (default: as many as --context)")
        ->check(CLI::Range(16u, 1u << 22));
    app.add_option("--kv-type", kv_type, "Type of the KV: f16 or q8_0")
        ->check(CLI::IsMember({"f16", "q8_0"}))
        ->capture_default_str();
    app.add_option("--exact", exact,
                   "Exact answers whatever the shoal does: auto (wherever that costs under 10 %), on, off")
        ->check(CLI::IsMember({"auto", "on", "off"}))
        ->capture_default_str();
    app.add_option("--activations", activations,
                   "How hidden states travel between nodes where answers are not exact: f32, f16, q8_0, or auto: with "
                   "--exact off what each link needs, else f32")
        ->check(CLI::IsMember({"auto", "f32", "f16", "q8_0"}))
        ->capture_default_str();
    app.add_option("--draft-tokens", draft_tokens,
                   "Most tokens guessed ahead where text repeats itself and it pays; the answer is the same (0: none)")
        ->check(CLI::Range(0u, 31u))
        ->capture_default_str();
    app.add_option("--draft-model", draft_model,
                   "A small model with the same vocabulary, on this device, that guesses ahead; the answer is the same")
        ->check(CLI::ExistingFile);
    app.add_option("--draft-threads", draft_threads, "Compute threads of the draft model")
        ->check(CLI::Range(1u, 256u))
        ->capture_default_str();
    app.add_option("--prefix-cache", prefix_cache,
                   "Whether prompts that begin as an earlier text did are computed from where they differ: on, off")
        ->check(CLI::IsMember({"on", "off"}))
        ->capture_default_str();
  }

  // kInvalidArgument: they contradict each other.
  Status apply_to(coordinator::CoordinatorOptions& options) const {
    sched::Limits& limits = options.limits;
    limits.settings = settings();
    limits.draft_tokens_max = draft_tokens;
    limits.prefix_cache = prefix_cache == "on";
    for (const auto type : {ActivationType::kF32, ActivationType::kF16, ActivationType::kQ8_0}) {
      if (activations == to_string(type)) options.activations = type;
    }
    if (limits.settings.exact == ExactMode::kOn &&
        options.activations.value_or(ActivationType::kF32) != ActivationType::kF32) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("--activations {} changes answers, and --exact on forbids that: leave one of them out",
                               activations)};
    }
    return {};
  }

  // nullptr: none is asked for. `vocabulary`, of the model, must outlive it.
  Result<std::unique_ptr<draft::DraftModel>> open_draft_model(boost::asio::io_context& io,
                                                              const model::Vocabulary& vocabulary) const {
    if (draft_model.empty() || draft_tokens == 0) return std::unique_ptr<draft::DraftModel>();
    return draft::DraftModel::open(io, draft_model, vocabulary, {settings(), draft_threads, {}});
  }

  StageSettings settings() const {
    StageSettings settings;
    settings.context_tokens_max = context;
    settings.sequences_max = sequences;
    settings.kv_tokens_total = kv_tokens != 0 ? kv_tokens : context;
    settings.kv_type = *parse_kv_type(kv_type);
    settings.exact = *parse_exact_mode(exact);
    return settings;
  }
};

}  // namespace shoal::cli
