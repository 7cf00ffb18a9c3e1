// Cutting: which bytes make the GGUF of one stage, and from where in the model they come.
//
// A shard is a GGUF that llama.cpp loads as an ordinary model (docs/architecture.md §2): block_count = last - first,
// layers renumbered from 0, values and flags that stand one for each layer sliced to those layers. It is made of
// pieces: its header (metadata, tensor table, padding), then the bytes of each tensor of the model that it needs. A
// piece is named by its SHA-256, so that any node that has the bytes can give them, whichever cut it got them for.
//
// No shard has a tokenizer (tokenizer.ggml.model = no_vocab, the size in <arch>.vocab_size): the coordinator holds it.
// llama.cpp's loader wants token_embd.weight, and output.weight in some architectures, on every stage with as many rows
// as the vocabulary, but looks at them only where they are used. So that a phone wastes nothing on them, what a stage
// does not use is a hole: zeros that stand in no piece, are never sent, and take no room on a file system with sparse
// files. The vocabulary of a stage is
//   first stage:   one row, a hole, as in all that are not last: llama.cpp would keep logits of each row of a step for
//                  whatever vocabulary it is told, and a second, repacked copy of the embedding as tied output. The
//                  real embedding stands behind the tensors, and the metadata says where (Manifest::token_rows): the
//                  engine looks the rows up itself.
//   last stage:    the real output under the name output.weight (of a tied model the embedding's bytes), and an
//                  embedding that is a hole, of the type with the fewest bits. (cohere2 takes no output.weight: there
//                  the real embedding.) The vocabulary has the model's size.
//   middle stages: one row, a hole.
//   0:layer_count: the embedding and the output as they are.
//
// In the file, tensors that llama.cpp reads in place stand before those it may repack, which lets it unmap the latter.
//
// Pure but for hash_tensors and write_shard; any thread.
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
  std::uint64_t offset = 0;  // in the shard file; pieces are in order and do not overlap; gaps are zeros
  std::uint64_t size_bytes = 0;
  bool operator==(const Piece&) const = default;
};

// Everything a node needs to make a shard. Travels to nodes inside LoadStage.
struct ShardLayout {
  LayerRange range;
  std::uint64_t file_bytes = 0;
  std::vector<Piece> pieces;  // pieces[0] is the header
  bool operator==(const ShardLayout&) const = default;

  Digest id() const;            // SHA-256 over range, length, offsets, sizes and hashes: equal id, equal file
  std::uint64_t bytes() const;  // of all pieces: what is sent and stored
  // The range is not empty; pieces begin at 0, are in order, inside the file, not overlapping, not empty, at most
  // kPiecesMax; the file is at most kShardBytesMax long. kCorrupt otherwise. For layouts from outside.
  Status check() const;
};
inline constexpr std::size_t kPiecesMax = 1u << 16;
inline constexpr std::uint64_t kShardBytesMax = std::uint64_t{1} << 44;  // 16 TiB

// Where a piece's bytes are in the model: either made by the cut (the header), or all of a tensor of the model.
struct PieceSource {
  Bytes made;                // not empty: these are the bytes
  std::uint32_t tensor = 0;  // else: index into Manifest::tensors, whose bytes are ...
  std::uint32_t file = 0;    // ... in this one of Manifest::files ...
  std::uint64_t offset = 0;  // ... from here
  std::uint64_t size_bytes = 0;
  std::string name;  // the tensor's name in the model, for messages
};

struct Cut {
  LayerRange range;
  std::uint64_t file_bytes = 0;
  std::vector<std::uint64_t> offsets;  // of each source in the shard file
  std::vector<PieceSource> sources;    // sources[0] is the header
};

// kInvalidArgument: an empty range, one outside the model, one that cut_allowed forbids (the message names the nearest
// cuts that work), or a manifest that is itself a shard's.
Result<Cut> plan_cut(const Manifest& manifest, LayerRange range);

// Asked every MiB or so by what reads and copies whole files; false gives the work up, and it ends with kCancelled.
using Progress = std::function<bool(std::uint64_t bytes_done)>;

// SHA-256 of each tensor of the model, in Manifest::tensors order: reads every byte once. kCorrupt when a file has
// become shorter than the manifest says.
Result<std::vector<Digest>> hash_tensors(const Manifest& manifest, const Progress& progress = {});

// The layout of a cut, given the hashes of the model's tensors (the header's hash is made here).
ShardLayout make_layout(const Manifest& manifest, const Cut& cut, const std::vector<Digest>& tensor_hashes);

// Writes the shard to `out`, through a temporary file and rename. kInvalidArgument: `out` is a file of the model;
// kResourceExhausted: too little room on the disk (says how much is missing).
Status write_shard(const Manifest& manifest, const Cut& cut, const std::filesystem::path& out);

// kResourceExhausted when the file system of `directory` has less than `bytes` free; the message says how much is
// missing, for `what` ("the shard 0:11").
Status check_free_space(const std::filesystem::path& directory, std::uint64_t bytes, std::string_view what);

}  // namespace shoal::model
