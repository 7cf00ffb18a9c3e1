#include "engine/exactness.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <span>

#include <fmt/format.h>

#include "base/random.h"
#include "engine/finite.h"
#include "engine/kernel_probe.h"
#include "engine/proof_subject.h"
#include "engine/repack_buffer.h"
#include "ggml.h"
#include "model/weight_types.h"

namespace shoal::engine {
namespace {

// Layers only. The output is tied to the embedding in some models, whole they read it by rows as well and cannot repack
// it, and a last stage does not know: a repacked output would give it other bits than the whole model's.
bool is_repackable(const model::Tensor& tensor) {
  if (!tensor.layer || !model::is_matrix(tensor) || !ggml_is_quantized(static_cast<ggml_type>(tensor.type)))
    return false;
  const auto size = [&](std::size_t i) { return static_cast<std::int64_t>(tensor.shape[i]); };
  return can_repack(tensor.type, size(0), size(1), tensor.shape.size() == 3 ? size(2) : 1);
}

bool is_plain_name(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
}

std::string escaped(const std::string& name) {
  std::string pattern;
  for (char c : name) pattern += c == '.' ? std::string("\\.") : std::string(1, c);
  return pattern;
}

// Few expressions for many tensors (llama.cpp compiles each for every tensor): one for each name behind "blk.N.".
std::vector<std::string> name_patterns(const std::vector<const model::Tensor*>& tensors) {
  std::map<std::string, std::string> layers_of;  // name behind the number -> "0|1|7"
  std::vector<std::string> patterns;
  for (const model::Tensor* tensor : tensors) {
    if (!is_plain_name(tensor->name)) continue;
    const std::string prefix = tensor->layer ? fmt::format("blk.{}.", *tensor->layer) : std::string();
    if (prefix.empty() || !tensor->name.starts_with(prefix)) {
      patterns.push_back(fmt::format("^{}$", escaped(tensor->name)));
      continue;
    }
    auto& layers = layers_of[tensor->name.substr(prefix.size())];
    layers += fmt::format("{}{}", layers.empty() ? "" : "|", *tensor->layer);
  }
  for (const auto& [name, layers] : layers_of) {
    patterns.push_back(fmt::format("^blk\\.(?:{})\\.{}$", layers, escaped(name)));
  }
  return patterns;
}

struct Depth {
  std::string_view sizes;
  std::uint32_t first_rows;                     // in one micro-batch
  std::span<const std::uint32_t> batches;       // the same rows again
  std::span<const std::uint32_t> long_batches;  // after more than kCellsFilled cells are taken
};
constexpr std::uint32_t kFullBatches[] = {1, 1, 1, 1, 1, 5, 5, 2, 4, 8};
constexpr std::uint32_t kLongBatches[] = {1, 5};
constexpr std::uint32_t kEndsBatches[] = {1, 2, 5, 8};
constexpr std::uint32_t kSpotBatches[] = {1, 4};
constexpr Depth kDepths[] = {
    {"1, 2, 4, 5, 8 and 63", kStepRowsMax, kFullBatches, kLongBatches},
    {"1, 2, 5, 8 and 16", kLogitRowsMax, kEndsBatches, {}},
    {"1, 4 and 5", 5, kSpotBatches, {}},
};
constexpr std::uint32_t kCellsFilled = 256;
constexpr std::uint32_t kCellsNeeded = 512;

class Proof {
 public:
  Proof(LlamaInstance& instance, const InstanceOptions& options, const Depth& depth)
      : instance_(instance), options_(options), depth_(depth) {
    SplitMix64 random(0x73686f616c);
    const std::uint32_t width = options.is_first ? 0 : instance.embedding_length();
    for (std::uint32_t i = 0; i < depth_.first_rows; ++i) {
      tokens_.push_back(static_cast<Token>(random.below(instance.vocabulary_size())));
    }
    hidden_.resize(std::size_t{depth_.first_rows} * width);
    for (float& value : hidden_) value = static_cast<float>(random.unit() * 4 - 2);
  }

  Result<std::optional<std::string>> run() {
    SHOAL_RETURN_IF_ERROR(eval(kSlotA, 0, depth_.first_rows, expected_));
    std::uint32_t row = 0;
    for (std::uint32_t rows : depth_.batches) {
      SHOAL_ASSIGN_OR_RETURN(auto difference, compare(row, rows));
      if (difference) return difference;
      row += rows;
    }
    if (depth_.long_batches.empty()) return std::optional<std::string>();
    SHOAL_ASSIGN_OR_RETURN(const bool filled, fill_cells(row));
    for (std::uint32_t rows : depth_.long_batches) {
      if (!filled) break;
      SHOAL_ASSIGN_OR_RETURN(auto difference, compare(row, rows));
      if (difference) return difference;
      row += rows;
    }
    return std::optional<std::string>();
  }

 private:
  static constexpr std::int32_t kSlotA = 0;
  static constexpr std::int32_t kSlotB = 1;
  static constexpr std::int32_t kSlotsFrom = 2;

  // A last stage's rows of logits: all single rows, some of each batch, kLogitRowsMax together.
  bool has_output(std::uint32_t row) const {
    if (depth_.first_rows <= kLogitRowsMax) return true;
    static const std::set<std::uint32_t> rows = {0, 1, 2, 4, 5, 7, 9, 12, 16, 18, 20, 23, 28, 29, 31, 34};
    return rows.contains(row);
  }

  // Outputs of rows [first, first + count), by row.
  Status eval(std::int32_t slot, std::uint32_t first, std::uint32_t count,
              std::map<std::uint32_t, std::vector<float>>& into) {
    const std::uint32_t width = instance_.embedding_length();
    std::vector<EvalRow> rows;
    for (std::uint32_t i = first; i < first + count; ++i) {
      rows.push_back({tokens_[i], options_.is_first ? nullptr : hidden_.data() + std::size_t{i} * width,
                      static_cast<std::int32_t>(i), slot, has_output(i)});
    }
    std::vector<float> out;
    SHOAL_RETURN_IF_ERROR(instance_.eval(rows, options_.is_last ? nullptr : &out));
    if (!all_finite(out)) return Error{ErrorCode::kCorrupt, std::string(kNotFinite)};
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!options_.is_last) {
        into[first + i].assign(out.begin() + std::size_t{i} * width, out.begin() + std::size_t{i + 1} * width);
      } else if (rows[i].output) {
        const float* logits = instance_.logits(i);
        if (!all_finite({logits, instance_.vocabulary_size()})) {
          return Error{ErrorCode::kCorrupt, std::string(kNotFinite)};
        }
        into[first + i].assign(logits, logits + instance_.vocabulary_size());
      }
    }
    return {};
  }

  Result<std::optional<std::string>> compare(std::uint32_t first, std::uint32_t count) {
    std::map<std::uint32_t, std::vector<float>> found;
    SHOAL_RETURN_IF_ERROR(eval(kSlotB, first, count, found));
    double difference = 0;
    bool equal = true;
    for (const auto& [row, values] : found) {
      const auto& expected = expected_.at(row);
      equal = equal && std::memcmp(values.data(), expected.data(), values.size() * sizeof(float)) == 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        difference = std::max(difference, std::fabs(static_cast<double>(values[i]) - expected[i]));
      }
    }
    if (equal) return std::optional<std::string>();
    return std::optional(fmt::format("a row differs by up to {:.2g} between micro-batches of {} and {}", difference,
                                     count, depth_.first_rows));
  }

  // Copies of A until llama.cpp must look at 512 cells. False: the KV is too small for that ever to happen.
  Result<bool> fill_cells(std::uint32_t taken) {
    if (instance_.kv_cells() < kCellsNeeded) return false;
    SHOAL_ASSIGN_OR_RETURN(const Bytes copy, instance_.save_slot(kSlotA));
    std::int32_t slot = kSlotsFrom;
    for (std::uint32_t cells = depth_.first_rows + taken; cells <= kCellsFilled; cells += depth_.first_rows) {
      SHOAL_RETURN_IF_ERROR(instance_.restore_slot(slot++, copy));
    }
    return true;
  }

  LlamaInstance& instance_;
  const InstanceOptions& options_;
  const Depth& depth_;
  std::vector<Token> tokens_;
  std::vector<float> hidden_;
  std::map<std::uint32_t, std::vector<float>> expected_;
};

}  // namespace

ExactKernels choose_exact_kernels(const model::Manifest& manifest) {
  ExactKernels kernels;
  kernels.choice.exact = true;
  std::vector<const model::Tensor*> repacked;
  std::set<std::string> left_out;
  for (const model::Tensor& tensor : manifest.tensors) {
    if (!model::is_matrix(tensor)) continue;
    const KernelVerdict verdict = probe_kernels(tensor.type);
    if (verdict.tinyblas_exact) kernels.choice.tinyblas_types |= std::uint64_t{1} << tensor.type;
    if (is_repackable(tensor)) {
      if (verdict.repack_exact)
        repacked.push_back(&tensor);
      else
        left_out.insert("repacked " + weight_type_name(tensor.type));
    } else if (!verdict.tinyblas_exact) {
      left_out.insert("tinyBLAS " + weight_type_name(tensor.type));
    }
  }
  kernels.choice.repacked_tensors = name_patterns(repacked);
  for (const std::string& each : left_out) kernels.left_out += (kernels.left_out.empty() ? "" : ", ") + each;
  return kernels;
}

std::string_view batch_sizes(ProofDepth depth) {
  return kDepths[static_cast<std::size_t>(depth)].sizes;
}

Result<std::optional<std::string>> prove_exactness(LlamaInstance& instance, const InstanceOptions& options,
                                                   ProofDepth depth) {
  auto outcome = Proof(instance, options, kDepths[static_cast<std::size_t>(depth)]).run();
  instance.clear_kv();
  return outcome;
}

Result<ProofResult> prove(LlamaInstance& instance, const model::Manifest& manifest, const InstanceOptions& options,
                          ProofRecord* record) {
  const ProofSubject subject = record == nullptr ? ProofSubject() : proof_subject(manifest, options);
  const ProofRecord::Known known = record == nullptr ? ProofRecord::Known() : record->find(subject);
  ProofResult result;
  SHOAL_ASSIGN_OR_RETURN(result.difference, prove_exactness(instance, options, known.depth));
  result.how = fmt::format("proven in micro-batches of {} rows", batch_sizes(ProofDepth::kFull));
  if (known.depth != ProofDepth::kFull) {
    result.how += fmt::format(" when {} were loaded, and of {} rows now", known.when, batch_sizes(known.depth));
  }
  if (record == nullptr) return result;
  if (known.difference) {
    result.difference = fmt::format("{} (when {} were loaded)", *known.difference, known.when);
  } else if (!result.difference) {
    if (known.depth != ProofDepth::kSpot) record->note_proven(subject);
  } else if (known.depth != ProofDepth::kFull) {
    record->forget(subject);
  } else if (options.settings.exact == ExactMode::kOff) {
    record->note_difference(subject, *result.difference);
  }
  return result;
}

}  // namespace shoal::engine
