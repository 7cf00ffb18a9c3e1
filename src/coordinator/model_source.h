// The model that a coordinator serves: its manifest, tokenizer and hashes, the layouts of its cuts, and the bytes of
// any piece of them. Immutable after opening but for the cache of cuts. Owned by the io thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "coordinator/store.h"
#include "model/cut.h"
#include "model/vocabulary.h"
#include "plan/planner.h"

namespace shoal::coordinator {

class ModelSource {
 public:
  // Reads every byte of the model once to hash it, unless the store remembers the hashes of this very file.
  static Result<std::unique_ptr<ModelSource>> open(const std::filesystem::path& model, Store& store,
                                                   const model::Progress& progress = {});

  const model::Manifest& manifest() const { return manifest_; }
  const model::Vocabulary& vocabulary() const { return *vocabulary_; }
  // Of all that the model is: metadata, tokenizer and chat template among it, and tensors. Not of its file's name.
  Digest digest() const;
  std::int64_t changed_unix_seconds() const { return changed_unix_seconds_; }

  // The layout of a cut; from now on its pieces can be read. The range must be one that the planner made.
  Result<const model::ShardLayout*> layout(LayerRange range);
  Result<Bytes> read_piece(const Digest& sha256, std::uint64_t offset, std::uint32_t length) const;

 private:
  ModelSource() = default;

  model::Manifest manifest_;
  std::shared_ptr<const model::Vocabulary> vocabulary_;
  std::vector<Digest> tensor_hashes_;
  std::vector<FileDescriptor> files_;
  std::int64_t changed_unix_seconds_ = 0;
  std::map<LayerRange, model::ShardLayout> layouts_;
  std::unordered_map<Digest, model::PieceSource> pieces_;
};

// What the planner must know of the model at these settings: weights as the shards of its cuts would hold them, compute
// buffers by the estimate below. Never less than a stage reports when it is loaded (tests/integration holds the two
// together).
plan::ModelShape model_shape(const model::Manifest& manifest, const StageSettings& settings);

// Upper estimate of a stage's compute buffers for micro-batches of kStepRowsMax rows: activations, the attention mask
// over all KV cells, and on the last stage the logits.
std::uint64_t compute_bytes_estimate(const model::Manifest& manifest, const StageSettings& settings, bool is_last);

}  // namespace shoal::coordinator
