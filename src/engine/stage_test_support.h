// For the engine's tests: tiny random models, pipelines of their stages in one process, and plain llama.cpp beside
// them.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "engine/exactness.h"
#include "engine/repack_buffer.h"
#include "engine/stage.h"
#include "ggml-cpu.h"
#include "llama.h"
#include "make_model/make_model.h"
#include "model/cut.h"
#include "model/llama_log.h"
#include "model/manifest.h"

namespace shoal::engine::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "shoal-engine-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// One folder for the whole test program; models are made once per (architecture, type).
inline const std::filesystem::path& models_folder() {
  static TemporaryFolder folder;
  return folder.path();
}

inline std::filesystem::path make_tiny_model(const std::string& architecture, const std::string& type) {
  static std::map<std::string, std::filesystem::path> made;
  auto [found, fresh] =
      made.try_emplace(architecture + "-" + type, models_folder() / (architecture + "-" + type + ".gguf"));
  if (fresh) {
    tools::ModelOptions options;
    options.architecture = architecture;
    options.type = type;
    options.layers = architecture == "gemma3" ? 24 : 8;
    options.window = 64;
    options.context = 2048;
    options.vocabulary = std::filesystem::path(SHOAL_VOCABULARY_DIR) /
                         (architecture == "phi3" ? "ggml-vocab-phi-3.gguf" : "ggml-vocab-llama-spm.gguf");
    auto files = tools::make_model(options, found->second);
    EXPECT_TRUE(files.ok()) << files.error().message;
  }
  return found->second;
}

// Allowed ranges of about equal length; fewer than `count` where the architecture's pattern does not allow more cuts.
inline std::vector<LayerRange> cut_ranges(const model::Manifest& manifest, std::uint32_t count) {
  std::vector<LayerRange> ranges;
  std::uint32_t first = 0;
  for (std::uint32_t i = 1; i <= count; ++i) {
    std::uint32_t last = manifest.layer_count * i / count;
    while (!manifest.cut_allowed[last]) ++last;
    if (last > first) ranges.push_back({first, last});
    first = last;
  }
  return ranges;
}

inline std::filesystem::path cut_model(const std::filesystem::path& file, LayerRange range) {
  auto manifest = model::read_manifest(file);
  EXPECT_TRUE(manifest.ok()) << manifest.error().message;
  auto out = file;
  out.replace_extension(range.text() + ".shard");
  if (std::filesystem::exists(out)) return out;
  auto cut = model::plan_cut(*manifest, range);
  EXPECT_TRUE(cut.ok()) << cut.error().message;
  auto written = model::write_shard(*manifest, *cut, out);
  EXPECT_TRUE(written.ok()) << written.error().message;
  return out;
}

inline StageOptions exact_options(std::uint32_t threads = 1) {
  StageOptions options;
  options.settings.exact = ExactMode::kOn;
  options.settings.context_tokens_max = 1024;
  options.settings.kv_tokens_total = 1024;
  options.settings.sequences_max = 6;
  options.threads = threads;
  return options;
}

inline std::unique_ptr<Stage> load_stage(const std::filesystem::path& file, bool first, bool last,
                                         const StageOptions& options) {
  auto stage = Stage::load(file, first, last, options);
  if (!stage.ok()) throw std::runtime_error(stage.error().message);
  return std::move(stage).value();
}

class Pipeline {
 public:
  Pipeline(const std::filesystem::path& file, std::uint32_t count, const StageOptions& options) : options_(options) {
    auto manifest = model::read_manifest(file);
    EXPECT_TRUE(manifest.ok());
    for (LayerRange range : cut_ranges(*manifest, count)) files_.push_back(cut_model(file, range));
    if (files_.size() == 1) files_[0] = file;  // a whole model with its vocabulary is a stage too
    for (std::size_t i = 0; i < files_.size(); ++i) stages_.push_back(load(i));
  }
  std::size_t size() const { return stages_.size(); }
  Stage& operator[](std::size_t i) { return *stages_[i]; }

  std::vector<model::Logits> step(const std::vector<Row>& rows) {
    std::vector<float> hidden;
    StepOutput output;
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      std::vector<Row> here = rows;
      if (i + 1 < stages_.size()) {
        for (Row& row : here) row.logits.reset();
      }
      auto result = stages_[i]->step({here, hidden});
      EXPECT_TRUE(result.ok()) << result.error().message;
      if (!result.ok()) return {};
      output = std::move(result).value();
      hidden = std::move(output.hidden);
    }
    return output.logits;
  }

  // Every stage is loaded anew and gets the sequences' KV from the old one.
  void move_to_fresh_stages(const std::vector<SequenceId>& sequences) {
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      auto fresh = load(i);
      for (SequenceId sequence : sequences) {
        auto kv = stages_[i]->export_kv(sequence);
        ASSERT_TRUE(kv.ok()) << kv.error().message;
        auto status = fresh->import_kv(sequence, *kv);
        ASSERT_TRUE(status.ok()) << status.error().message;
        EXPECT_EQ(fresh->next_position(sequence), stages_[i]->next_position(sequence));
      }
      stages_[i] = std::move(fresh);
    }
  }

 private:
  std::unique_ptr<Stage> load(std::size_t i) { return load_stage(files_[i], i == 0, i + 1 == files_.size(), options_); }
  StageOptions options_;
  std::vector<std::filesystem::path> files_;
  std::vector<std::unique_ptr<Stage>> stages_;
};

// The whole model in plain llama.cpp: llama_decode called directly, one sequence, with the kernels that the stages use.
class Reference {
 public:
  explicit Reference(const std::filesystem::path& file, KvType kv_type = KvType::kF16) {
    model::route_llama_log();
    auto manifest = model::read_manifest(file);
    EXPECT_TRUE(manifest.ok());
    const KernelChoice kernels = choose_exact_kernels(*manifest).choice;
    std::vector<llama_model_tensor_buft_override> overrides;
    for (const auto& pattern : kernels.repacked_tensors) overrides.push_back({pattern.c_str(), repack_buffer_type()});
    overrides.push_back({nullptr, nullptr});
    auto model_params = llama_model_default_params();
    model_params.use_extra_bufts = false;
    model_params.tensor_buft_overrides = overrides.data();
    model_params.load_mode = LLAMA_LOAD_MODE_NONE;
    model_ = llama_model_load_from_file(file.c_str(), model_params);
    if (model_ == nullptr) throw std::runtime_error(model::take_llama_error());
    auto params = llama_context_default_params();
    params.n_ctx = 1024;
    params.n_batch = params.n_ubatch = 64;
    params.n_threads = params.n_threads_batch = 1;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.swa_full = true;
    params.type_k = params.type_v = kv_type == KvType::kF16 ? GGML_TYPE_F16 : GGML_TYPE_Q8_0;
    context_ = llama_init_from_model(model_, params);
    if (context_ == nullptr) throw std::runtime_error(model::take_llama_error());
    auto pool_params = ggml_threadpool_params_default(1);
    pool_ = ggml_threadpool_new(&pool_params);
    llama_attach_threadpool(context_, pool_, pool_);
    limits_ = KernelLimitsScope::limit(pool_, {kernels.tinyblas_types}).value();
  }
  ~Reference() {
    llama_free(context_);
    ggml_threadpool_free(pool_);
    llama_model_free(model_);
  }
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;

  void restart() { llama_memory_clear(llama_get_memory(context_), true); }
  // Logits of the last of `tokens`, which continue the sequence.
  std::vector<float> decode(std::vector<Token> tokens) {
    for (std::size_t first = 0; first < tokens.size(); first += 63) {
      const auto count = static_cast<std::int32_t>(std::min<std::size_t>(63, tokens.size() - first));
      EXPECT_EQ(llama_decode(context_, llama_batch_get_one(tokens.data() + first, count)), 0);
    }
    const float* logits = llama_get_logits_ith(context_, -1);
    return {logits, logits + llama_vocab_n_tokens(llama_model_get_vocab(model_))};
  }

 private:
  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
  ggml_threadpool* pool_ = nullptr;
  KernelLimitsScope limits_;
};

inline std::vector<float> by_token(const model::Logits& logits) {
  std::vector<float> values(logits.candidates.size());
  for (const auto& candidate : logits.candidates) values[static_cast<std::size_t>(candidate.token)] = candidate.logit;
  return values;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

inline float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

inline Token best_of(const std::vector<float>& logits) {
  return static_cast<Token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

inline std::vector<Token> prompt_of(std::size_t length, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<Token> tokens(length);
  for (Token& token : tokens) token = static_cast<Token>(3 + random.below(30000));
  return tokens;
}

inline std::vector<Row> rows_of(SequenceId sequence, std::uint32_t position, const std::vector<Token>& tokens,
                                bool logits_of_last) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    rows.push_back({sequence, position + static_cast<std::uint32_t>(i), tokens[i], std::nullopt});
  }
  if (logits_of_last) rows.back().logits = kAllLogits;
  return rows;
}

}  // namespace shoal::engine::test
