// The shards a node keeps on flash: content-addressed, resumable, verified, no byte stored twice for one shard.
//
// Under `directory`: one folder a shard, named by ShardLayout::id(), holding layout (the pieces, as text), model.gguf
// (written in place) and done (one byte a piece). A piece that any shard holds can be read by hash, to serve a peer or
// to fill another cut without the network. The store may be used from several threads, because opening a shard can mean
// copying gigabytes, which an io thread must not wait for; a writer belongs to one thread at a time.
//
// kill -9 or power loss at any moment loses at most the pieces in flight. A piece's `done` byte is set after its
// SHA-256 was checked and its bytes were synced; since a sync is dear on flash, several small pieces share one (of
// pieces that are copied from other files of this device, more of them), and what was written but not yet marked is
// found again by its hash on the next open_shard.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "model/cut.h"

namespace shoal::model {

// A verified piece that can be read: some file, some run of it.
struct PieceLocation {
  std::filesystem::path file;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

class ShardStore;

// Indices of the pieces whose bytes in `file` are not what the layout says: flash decays, files get changed. Reads
// every byte (some 0.5 to 2 GB/s where the file is cached); any thread. `stop` is asked every MiB and ends the check
// with kCancelled.
Result<std::vector<std::size_t>> damaged_pieces(const ShardLayout& layout, const std::filesystem::path& file,
                                                const std::function<bool()>& stop);

// One shard on its way to being complete. At most one writer a shard; the store outlives it.
class ShardWriter {
 public:
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  // Indices of pieces still missing, in file order.
  std::vector<std::size_t> missing() const;
  std::uint64_t bytes_done() const { return bytes_done_; }  // of layout().bytes()
  // Of these, bytes of pieces that were marked before this writer, and that nobody has read since: the others were
  // hashed by it, wherever they came from.
  std::uint64_t bytes_unread() const { return bytes_unread_; }
  const ShardLayout& layout() const { return layout_; }
  std::filesystem::path path() const { return directory_ / "model.gguf"; }
  bool complete() const { return pieces_left_ == 0; }

  // Next bytes of piece `index`, which must continue where the last call for it ended (one piece at a time; starting
  // another abandons the first). After its last byte the hash is checked: kCorrupt drops the piece's bytes, and it is
  // missing as before. kInvalidArgument: no such piece, one that is there already, or more bytes than it has.
  // kResourceExhausted: the disk is full. Waits for the disk now and then, never for more than a few MiB.
  Status append(std::size_t index, ByteSpan bytes);

 private:
  friend class ShardStore;
  ShardWriter(ShardStore& store, ShardLayout layout, std::filesystem::path directory);
  Status open_files();
  Status find_unmarked(const Progress& progress);
  Status fill_from_store(const Progress& progress);
  Status copy_pieces(const Progress& progress);
  Status copy_piece(std::size_t index, const PieceLocation& from, const Progress& progress);
  Status accept(std::size_t index);  // a verified piece, its bytes written
  Status mark_synced();

  ShardStore& store_;
  ShardLayout layout_;
  std::filesystem::path directory_;
  FileDescriptor file_;
  FileDescriptor done_file_;
  std::vector<std::uint8_t> done_;     // verified
  std::vector<std::size_t> unsynced_;  // verified, the byte in the done file not yet set
  std::uint64_t unsynced_bytes_ = 0;   // of those
  std::uint64_t written_bytes_ = 0;    // since the last sync, verified or not
  std::uint64_t sync_every_bytes_;
  std::uint64_t bytes_done_ = 0;
  std::uint64_t bytes_unread_ = 0;
  std::size_t pieces_left_ = 0;
  std::size_t current_ = SIZE_MAX;
  std::uint64_t current_bytes_ = 0;
  Sha256 current_hash_;
};

class ShardStore {
 public:
  // Opens or makes the store; shards whose layout cannot be read are removed (they can be fetched again).
  static Result<std::unique_ptr<ShardStore>> open(const std::filesystem::path& directory);

  // The shard of this layout, fresh or resumed; pieces that other shards or an added model file hold are filled in at
  // once (copied locally, verified): this reads and writes as much as the shard has bytes. kCorrupt: the layout is
  // wrong (ShardLayout::check). kResourceExhausted: the disk has too little room (says how much is missing).
  // kCancelled: `progress` said so; what was copied by then is there the next time.
  Result<std::unique_ptr<ShardWriter>> open_shard(const ShardLayout& layout, const Progress& progress = {});

  // Where a verified piece lies; the bytes of a model file are as the hashes given to add_model say.
  std::optional<PieceLocation> find(const Digest& sha256) const;

  // Makes the tensors of a whole model file known as pieces (nothing is copied): what `--model FILE` of a node does.
  void add_model(const Manifest& manifest, const std::vector<Digest>& tensor_hashes);

  // Pieces that damaged_pieces() found: missing from now on, to be fetched again. No writer of the shard may be open.
  Status drop_pieces(const Digest& shard_id, const std::vector<std::size_t>& pieces);

  // Shards on flash, complete or not, in the order of their ids; the layout of one; and the removal of one that no
  // stage and no writer uses (kNotFound when there is none).
  std::vector<Digest> shards() const;
  const ShardLayout* layout(const Digest& shard_id) const;
  Status remove(const Digest& shard_id);

 private:
  friend class ShardWriter;
  explicit ShardStore(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::filesystem::path folder(const Digest& shard_id) const { return directory_ / shard_id.hex(); }
  Status load_shard(const Digest& shard_id);
  Status make_shard(const ShardLayout& layout, const Digest& shard_id);
  bool contains(const Digest& shard_id) const;
  std::vector<PieceLocation> find_all(const Digest& sha256) const;
  void add_piece(const Digest& sha256, PieceLocation location);

  const std::filesystem::path directory_;
  mutable std::mutex mutex_;  // of the tables below, never held while a file is read or written
  std::map<Digest, ShardLayout> shards_;
  std::unordered_multimap<Digest, PieceLocation> pieces_;  // a piece may lie in several shards
};

}  // namespace shoal::model
