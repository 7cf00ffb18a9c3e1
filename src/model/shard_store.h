// The shards a node keeps on flash: content-addressed, resumable, verified, no byte stored twice for one shard.
//
// Under `directory`: one folder a shard, named by ShardLayout::id(), holding model.gguf (written in place), layout (the
// pieces) and done (one byte a piece, set after the piece's SHA-256 was checked and its bytes were synced). A piece that
// any shard holds can be read by hash, to serve a peer or to fill another cut without the network. Not thread-safe:
// owned by one thread (the node's io thread, or a coordinator's). kill -9 at any moment loses at most the pieces in
// flight; a `done` byte is never set before its bytes are on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "model/cut.h"

namespace shoal::model {

// A verified piece that can be read: some file, some run of it.
struct PieceLocation {
  std::filesystem::path file;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

class ShardStore;

// One shard on its way to being complete.
class ShardWriter {
 public:
  // Indices of pieces still missing, in file order.
  std::vector<std::size_t> missing() const;
  std::uint64_t bytes_done() const;
  const ShardLayout& layout() const { return layout_; }
  std::filesystem::path path() const;  // of model.gguf
  bool complete() const;

  // Next bytes of piece `index`, which must continue where the last call for it ended (one piece at a time; starting
  // another abandons the first). After its last byte the hash is checked: kCorrupt drops the piece's bytes, and it is
  // missing as before. kResourceExhausted: the disk is full.
  Status append(std::size_t index, ByteSpan bytes);

 private:
  friend class ShardStore;
  ShardLayout layout_;
  std::filesystem::path directory_;
  FileDescriptor file_;
  FileDescriptor done_file_;
  std::vector<std::uint8_t> done_;
  std::size_t current_ = SIZE_MAX;
  std::uint64_t current_bytes_ = 0;
  Sha256 current_hash_;
  ShardStore* store_ = nullptr;
};

class ShardStore {
 public:
  // Opens or makes the store; shards whose layout cannot be read are removed (they can be fetched again).
  static Result<std::unique_ptr<ShardStore>> open(const std::filesystem::path& directory);

  // The shard of this layout, fresh or resumed; pieces that other shards or an added model file hold are filled in at
  // once (copied locally, verified). kResourceExhausted: the disk has too little room (says how much is missing).
  Result<std::unique_ptr<ShardWriter>> open_shard(const ShardLayout& layout);

  std::optional<PieceLocation> find(const Digest& sha256) const;

  // Makes the tensors of a whole model file known as pieces (nothing is copied): what `--model FILE` of a node does.
  void add_model(const Manifest& manifest, const std::vector<Digest>& tensor_hashes);

  // Shards on flash, complete or not, and the removal of one that no stage uses.
  std::vector<Digest> shards() const;
  Status remove(const Digest& shard_id);

 private:
  friend class ShardWriter;
  explicit ShardStore(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::filesystem::path directory_;
  std::unordered_map<Digest, PieceLocation> pieces_;
};

}  // namespace shoal::model
