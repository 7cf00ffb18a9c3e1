// Cutting: which bytes make the GGUF of one stage, and from where in the model they come.
//
// A shard is a GGUF that llama.cpp loads as an ordinary model (docs/architecture.md §2): block_count = last - first,
// layers renumbered from 0, no vocabulary and a one-row embedding where the stage is neither first nor last. It is made
// of pieces: its header (metadata, tensor table, padding), then each tensor's bytes. A piece is named by its SHA-256,
// so that any node that has the bytes can give them, whichever cut it got them for. Pure; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "model/manifest.h"

namespace shoal::model {

// A run of bytes of a shard file.
struct Piece {
  Digest sha256;
  std::uint64_t offset = 0;  // in the shard file; pieces are in order and do not overlap; gaps are zero padding
  std::uint64_t size_bytes = 0;
};

// Everything a node needs to make a shard. Travels to nodes inside LoadStage.
struct ShardLayout {
  LayerRange range;
  std::uint64_t file_bytes = 0;
  std::vector<Piece> pieces;  // pieces[0] is the header

  Digest id() const;          // SHA-256 over offsets, sizes and hashes: equal id, equal file
  // Pieces in order, inside the file, not overlapping, sizes not zero; kCorrupt otherwise. For layouts from outside.
  Status check() const;
};

// Where a piece's bytes are in the model: either made by the cut (header, one-row embedding), or a run of a model file.
struct PieceSource {
  Bytes made;               // not empty: these are the bytes
  std::uint32_t file = 0;   // else: index into Manifest::files ...
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  std::string name;         // tensor name in the model, for messages
};

struct Cut {
  LayerRange range;
  std::uint64_t file_bytes = 0;
  std::vector<std::uint64_t> offsets;  // of each source in the shard file
  std::vector<PieceSource> sources;    // sources[0] is the header
};

// kInvalidArgument: an empty range, one outside the model, or one that cut_allowed forbids (the message names the
// nearest cuts that work).
Result<Cut> plan_cut(const Manifest& manifest, LayerRange range);

// SHA-256 of each tensor of the model, in Manifest::tensors order: reads every byte once. `progress` gets bytes done.
// kCorrupt when a file has become shorter than the manifest says.
Result<std::vector<Digest>> hash_tensors(const Manifest& manifest,
                                         const std::function<void(std::uint64_t bytes_done)>& progress = {});

// The layout of a cut, given the hashes of the model's tensors (the header's hash is made here).
ShardLayout make_layout(const Manifest& manifest, const Cut& cut, const std::vector<Digest>& tensor_hashes);

// Writes the shard to `out` (through a temporary file and rename).
Status write_shard(const Manifest& manifest, const Cut& cut, const std::filesystem::path& out);

}  // namespace shoal::model
