#include "model/shard_store.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shoal::model {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kCopyBytes = 1u << 20;
constexpr std::uint64_t kSyncEveryBytes =
    8u << 20;  // what a crash of the machine can cost, at most, besides the piece in flight
// The same for pieces that are copied from other files of this device: they can be copied again, and waiting for the
// disk after every few MiB would take as long as the copying.
constexpr std::uint64_t kSyncCopiesEveryBytes = 32u << 20;
constexpr std::uint64_t kLayoutFileBytesMax = 16u << 20;  // kPiecesMax lines of at most 110 bytes fit
constexpr std::uint64_t kSlackBytes = 1u << 20;           // folders, layout and done files
constexpr std::string_view kLayoutMagic = "shoal-shard-1";

std::string layout_text(const ShardLayout& layout) {
  std::string text = fmt::format("{} {} {} {} {}\n", kLayoutMagic, layout.range.first, layout.range.last,
                                 layout.file_bytes, layout.pieces.size());
  for (const Piece& piece : layout.pieces) {
    text += fmt::format("{} {} {}\n", piece.sha256.hex(), piece.offset, piece.size_bytes);
  }
  return text;
}

Result<ShardLayout> parse_layout(const std::string& text, const fs::path& path) {
  Error wrong{ErrorCode::kCorrupt, path.string() + " is not the layout of a shard"};
  std::istringstream in(text);
  std::string magic, hex;
  std::size_t count = 0;
  ShardLayout layout;
  in >> magic >> layout.range.first >> layout.range.last >> layout.file_bytes >> count;
  if (!in || magic != kLayoutMagic || count > kPiecesMax) return wrong;
  for (std::size_t i = 0; i < count; ++i) {
    Piece piece;
    in >> hex >> piece.offset >> piece.size_bytes;
    if (!in) return wrong;
    SHOAL_ASSIGN_OR_RETURN(piece.sha256, Digest::from_hex(hex));
    layout.pieces.push_back(piece);
  }
  SHOAL_RETURN_IF_ERROR(layout.check());
  return layout;
}

Status sync(const FileDescriptor& file, const fs::path& name) {
  if (::fdatasync(file.get()) == 0) return {};
  bool full = errno == ENOSPC || errno == EDQUOT;
  return Error{full ? ErrorCode::kResourceExhausted : ErrorCode::kInternal, "cannot sync " + name.string()};
}

// The disk begins to write; nobody waits for it. What cannot begin now is written by the next sync.
void start_writing(const FileDescriptor& file) {
#if defined(__linux__)
  (void)::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
}

Status sync_directory(const fs::path& path) {
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::open_read(path));
  return ::fsync(file.get()) == 0 ? Status() : Status(Error{ErrorCode::kInternal, "cannot sync " + path.string()});
}

Error given_up(const fs::path& name) {
  return {ErrorCode::kCancelled, "the work on " + name.string() + " was given up"};
}

Result<Digest> hash_run(const FileDescriptor& file, const fs::path& name, std::uint64_t offset, std::uint64_t size,
                        const std::function<bool()>& stop) {
  Sha256 hash;
  Bytes buffer(std::min<std::uint64_t>(size, kCopyBytes));
  while (size > 0) {
    if (stop()) return given_up(name);
    auto part = std::span(buffer).first(std::min<std::uint64_t>(size, buffer.size()));
    SHOAL_RETURN_IF_ERROR(file.read_at(offset, part, name));
    hash.update(part);
    offset += part.size();
    size -= part.size();
  }
  return hash.finish();
}

}  // namespace

Result<std::vector<std::size_t>> damaged_pieces(const ShardLayout& layout, const fs::path& file,
                                                const std::function<bool()>& stop) {
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor open, FileDescriptor::open_read(file));
  std::vector<std::size_t> damaged;
  for (std::size_t i = 0; i < layout.pieces.size(); ++i) {
    const Piece& piece = layout.pieces[i];
    auto found = hash_run(open, file, piece.offset, piece.size_bytes, stop);
    if (!found.ok() && found.error().code == ErrorCode::kCancelled) return found.error();
    if (!found.ok() || *found != piece.sha256) damaged.push_back(i);  // what cannot be read is damaged as well
  }
  return damaged;
}

// --- ShardWriter ---------------------------------------------------------------------------------------------------

ShardWriter::ShardWriter(ShardStore& store, ShardLayout layout, fs::path directory)
    : store_(store), layout_(std::move(layout)), directory_(std::move(directory)), sync_every_bytes_(kSyncEveryBytes) {}

ShardWriter::~ShardWriter() {
  // A failure leaves pieces unmarked, which the next open_shard finds by their hashes.
  Status marked = mark_synced();
  static_cast<void>(marked.ok());
}

Status ShardWriter::open_files() {
  SHOAL_ASSIGN_OR_RETURN(file_, FileDescriptor::open_write(path()));
  SHOAL_ASSIGN_OR_RETURN(done_file_, FileDescriptor::open_write(directory_ / "done"));
  done_.resize(layout_.pieces.size());
  SHOAL_RETURN_IF_ERROR(done_file_.read_at(0, done_, directory_ / "done"));
  pieces_left_ = layout_.pieces.size();
  for (std::size_t i = 0; i < done_.size(); ++i) {
    done_[i] = done_[i] == 1 ? 1 : 0;
    if (done_[i] == 0) continue;
    --pieces_left_;
    bytes_done_ += layout_.pieces[i].size_bytes;
  }
  bytes_unread_ = bytes_done_;
  return {};
}

// Pieces whose bytes a run before this one wrote, but did not get to mark.
Status ShardWriter::find_unmarked(const Progress& progress) {
  auto stop = [&] { return progress && !progress(bytes_done_); };
  for (std::size_t i = 0; i < done_.size(); ++i) {
    const Piece& piece = layout_.pieces[i];
    if (done_[i] != 0) continue;
    // A piece that was never begun lies in a hole of the file and need not be read. Where the file system knows no
    // holes, the first byte itself is data, and the piece is read.
    off_t data = ::lseek(file_.get(), static_cast<off_t>(piece.offset), SEEK_DATA);
    if (data < 0 || static_cast<std::uint64_t>(data) >= piece.offset + piece.size_bytes) continue;
    SHOAL_ASSIGN_OR_RETURN(Digest found, hash_run(file_, path(), piece.offset, piece.size_bytes, stop));
    if (found == piece.sha256) SHOAL_RETURN_IF_ERROR(accept(i));
  }
  return {};
}

Status ShardWriter::fill_from_store(const Progress& progress) {
  sync_every_bytes_ = kSyncCopiesEveryBytes;
  Status filled = copy_pieces(progress);
  sync_every_bytes_ = kSyncEveryBytes;
  SHOAL_RETURN_IF_ERROR(std::move(filled));
  return mark_synced();  // here, where waiting is allowed, and not with the first piece that is fetched
}

Status ShardWriter::copy_pieces(const Progress& progress) {
  for (std::size_t i = 0; i < done_.size(); ++i) {
    if (done_[i] != 0) continue;
    for (const PieceLocation& place : store_.find_all(layout_.pieces[i].sha256)) {
      Status copied = copy_piece(i, place, progress);
      if (copied.ok()) break;
      // Another file that has gone or changed since is no loss: the piece stays missing, to be fetched. A full disk is.
      const ErrorCode code = copied.error().code;
      if (code == ErrorCode::kResourceExhausted || code == ErrorCode::kCancelled) return copied;
    }
  }
  return {};
}

Status ShardWriter::copy_piece(std::size_t index, const PieceLocation& from, const Progress& progress) {
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor source, FileDescriptor::open_read(from.file));
  current_ = SIZE_MAX;
  std::uint64_t offset = from.offset, left = layout_.pieces[index].size_bytes;
  if (from.size_bytes != left) return Error{ErrorCode::kCorrupt, "a piece of another size has the same hash"};
  Bytes buffer(std::min<std::uint64_t>(left, kCopyBytes));
  while (left > 0) {
    if (progress && !progress(bytes_done_ + (current_ == index ? current_bytes_ : 0))) return given_up(path());
    auto part = std::span(buffer).first(std::min<std::uint64_t>(left, buffer.size()));
    SHOAL_RETURN_IF_ERROR(source.read_at(offset, part, from.file));
    SHOAL_RETURN_IF_ERROR(append(index, part));
    offset += part.size();
    left -= part.size();
  }
  return {};
}

std::vector<std::size_t> ShardWriter::missing() const {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < done_.size(); ++i) {
    if (done_[i] == 0) result.push_back(i);
  }
  return result;
}

Status ShardWriter::append(std::size_t index, ByteSpan bytes) {
  if (index >= done_.size() || done_[index] != 0) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("piece {} of a shard is not missing", index)};
  }
  if (index != current_) {
    current_ = index;
    current_bytes_ = 0;
    current_hash_ = Sha256();
  }
  const Piece& piece = layout_.pieces[index];
  if (bytes.size() > piece.size_bytes - current_bytes_) {
    current_ = SIZE_MAX;
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("more than the {} bytes of piece {} of a shard were sent", piece.size_bytes, index)};
  }
  Status written = file_.write_at(piece.offset + current_bytes_, bytes, path());
  if (!written.ok()) {
    current_ = SIZE_MAX;
    return written;
  }
  current_hash_.update(bytes);
  current_bytes_ += bytes.size();
  const bool begin = (written_bytes_ + bytes.size()) / kSyncEveryBytes > written_bytes_ / kSyncEveryBytes;
  written_bytes_ += bytes.size();
  // A piece may have hundreds of MiB. Left to its end, the sync would hold up the thread for as long as they take.
  if (written_bytes_ >= sync_every_bytes_) {
    SHOAL_RETURN_IF_ERROR(sync(file_, path()));
    written_bytes_ = 0;
  } else if (begin) {
    start_writing(file_);
  }
  if (current_bytes_ < piece.size_bytes) return {};
  current_ = SIZE_MAX;
  if (current_hash_.finish() != piece.sha256) {
    return Error{ErrorCode::kCorrupt, fmt::format("piece {} of the shard {} came damaged (wrong SHA-256); it must be "
                                                  "fetched again",
                                                  index, layout_.range.text())};
  }
  return accept(index);
}

Status ShardWriter::accept(std::size_t index) {
  const Piece& piece = layout_.pieces[index];
  done_[index] = 1;
  --pieces_left_;
  bytes_done_ += piece.size_bytes;
  store_.add_piece(piece.sha256, {path(), piece.offset, piece.size_bytes});
  unsynced_.push_back(index);
  unsynced_bytes_ += piece.size_bytes;
  if (unsynced_bytes_ >= sync_every_bytes_ || pieces_left_ == 0) return mark_synced();
  return {};
}

Status ShardWriter::mark_synced() {
  if (unsynced_.empty()) return {};
  SHOAL_RETURN_IF_ERROR(sync(file_, path()));  // first the bytes, then the marks
  written_bytes_ = 0;
  constexpr std::uint8_t kDone = 1;
  for (std::size_t index : unsynced_) {
    SHOAL_RETURN_IF_ERROR(done_file_.write_at(index, ByteSpan(&kDone, 1), directory_ / "done"));
  }
  SHOAL_RETURN_IF_ERROR(sync(done_file_, directory_ / "done"));
  unsynced_.clear();
  unsynced_bytes_ = 0;
  return {};
}

// --- ShardStore ----------------------------------------------------------------------------------------------------

Result<std::unique_ptr<ShardStore>> ShardStore::open(const fs::path& directory) {
  SHOAL_RETURN_IF_ERROR(make_directories(directory));
  std::unique_ptr<ShardStore> store(new ShardStore(directory));
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    folders.push_back(it->path());
  }
  if (error) {
    return Error{ErrorCode::kInternal, fmt::format("cannot list {}: {}", directory.string(), error.message())};
  }
  for (const fs::path& folder : folders) {
    Result<Digest> id = Digest::from_hex(folder.filename().string());
    if (id.ok() && store->load_shard(*id).ok()) continue;
    // Half made, half removed or damaged. Only names that the store itself gives are touched.
    if (id.ok() || folder.extension() == ".removed") fs::remove_all(folder, error);
  }
  return store;
}

Status ShardStore::load_shard(const Digest& shard_id) {
  fs::path directory = folder(shard_id);
  SHOAL_ASSIGN_OR_RETURN(std::string text, read_file(directory / "layout", kLayoutFileBytesMax));
  SHOAL_ASSIGN_OR_RETURN(ShardLayout layout, parse_layout(text, directory / "layout"));
  SHOAL_ASSIGN_OR_RETURN(std::string done, read_file(directory / "done", kPiecesMax));
  std::error_code error;
  if (layout.id() != shard_id || done.size() != layout.pieces.size() ||
      fs::file_size(directory / "model.gguf", error) != layout.file_bytes || error) {
    return Error{ErrorCode::kCorrupt, directory.string() + " is not a whole shard"};
  }
  for (std::size_t i = 0; i < done.size(); ++i) {
    const Piece& piece = layout.pieces[i];
    if (done[i] != 1) continue;
    pieces_.emplace(piece.sha256, PieceLocation{directory / "model.gguf", piece.offset, piece.size_bytes});
  }
  shards_.emplace(shard_id, std::move(layout));
  return {};
}

Status ShardStore::make_shard(const ShardLayout& layout, const Digest& shard_id) {
  fs::path directory = folder(shard_id);
  // What stands there under this name was no shard that load_shard took.
  std::error_code error;
  fs::remove_all(directory, error);
  SHOAL_RETURN_IF_ERROR(
      check_free_space(directory_, layout.bytes() + kSlackBytes, fmt::format("the shard {}", layout.range.text())));
  SHOAL_RETURN_IF_ERROR(make_directories(directory));
  for (auto [name, size] :
       {std::pair<const char*, std::uint64_t>{"model.gguf", layout.file_bytes}, {"done", layout.pieces.size()}}) {
    SHOAL_ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::open_write(directory / name));
    if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
      return Error{ErrorCode::kResourceExhausted,
                   fmt::format("cannot make {} {} long", (directory / name).string(), format_size(size))};
    }
    SHOAL_RETURN_IF_ERROR(sync(file, directory / name));
  }
  // The layout last: a folder with a layout has the other two.
  SHOAL_RETURN_IF_ERROR(write_file_atomic(directory / "layout", layout_text(layout)));
  SHOAL_RETURN_IF_ERROR(sync_directory(directory_));
  std::lock_guard lock(mutex_);
  shards_.emplace(shard_id, layout);
  return {};
}

Result<std::unique_ptr<ShardWriter>> ShardStore::open_shard(const ShardLayout& layout, const Progress& progress) {
  SHOAL_RETURN_IF_ERROR(layout.check());
  Digest shard_id = layout.id();
  if (!contains(shard_id)) SHOAL_RETURN_IF_ERROR(make_shard(layout, shard_id));
  std::unique_ptr<ShardWriter> writer(new ShardWriter(*this, layout, folder(shard_id)));
  SHOAL_RETURN_IF_ERROR(writer->open_files());
  SHOAL_RETURN_IF_ERROR(writer->find_unmarked(progress));
  if (!writer->complete()) {
    std::uint64_t left = layout.bytes() - writer->bytes_done();
    SHOAL_RETURN_IF_ERROR(check_free_space(directory_, left, fmt::format("the shard {}", layout.range.text())));
  }
  SHOAL_RETURN_IF_ERROR(writer->fill_from_store(progress));
  return writer;
}

bool ShardStore::contains(const Digest& shard_id) const {
  std::lock_guard lock(mutex_);
  return shards_.contains(shard_id);
}

void ShardStore::add_piece(const Digest& sha256, PieceLocation location) {
  std::lock_guard lock(mutex_);
  pieces_.emplace(sha256, std::move(location));
}

std::vector<PieceLocation> ShardStore::find_all(const Digest& sha256) const {
  std::lock_guard lock(mutex_);
  std::vector<PieceLocation> places;
  auto [begin, end] = pieces_.equal_range(sha256);
  for (auto it = begin; it != end; ++it) places.push_back(it->second);
  return places;
}

std::optional<PieceLocation> ShardStore::find(const Digest& sha256) const {
  std::lock_guard lock(mutex_);
  auto it = pieces_.find(sha256);
  return it == pieces_.end() ? std::nullopt : std::optional(it->second);
}

void ShardStore::add_model(const Manifest& manifest, const std::vector<Digest>& tensor_hashes) {
  SHOAL_ASSERT(tensor_hashes.size() == manifest.tensors.size());
  std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < tensor_hashes.size(); ++i) {
    const Tensor& tensor = manifest.tensors[i];
    pieces_.emplace(tensor_hashes[i], PieceLocation{manifest.files[tensor.file], tensor.offset, tensor.size_bytes});
  }
}

Status ShardStore::drop_pieces(const Digest& shard_id, const std::vector<std::size_t>& pieces) {
  const ShardLayout* shard = layout(shard_id);
  if (shard == nullptr) return Error{ErrorCode::kNotFound, "there is no shard " + shard_id.hex()};
  fs::path directory = folder(shard_id);
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor done, FileDescriptor::open_write(directory / "done"));
  constexpr std::uint8_t kMissing = 0;
  for (std::size_t index : pieces) {
    if (index >= shard->pieces.size()) return Error{ErrorCode::kInvalidArgument, "a shard has no such piece"};
    SHOAL_RETURN_IF_ERROR(done.write_at(index, ByteSpan(&kMissing, 1), directory / "done"));
    const Piece& piece = shard->pieces[index];
    std::lock_guard lock(mutex_);
    std::erase_if(pieces_, [&](const auto& entry) {
      return entry.first == piece.sha256 && entry.second.file.parent_path() == directory &&
             entry.second.offset == piece.offset;
    });
  }
  return sync(done, directory / "done");
}

std::vector<Digest> ShardStore::shards() const {
  std::lock_guard lock(mutex_);
  std::vector<Digest> ids;
  for (const auto& [id, layout] : shards_) ids.push_back(id);
  return ids;
}

const ShardLayout* ShardStore::layout(const Digest& shard_id) const {
  std::lock_guard lock(mutex_);
  auto it = shards_.find(shard_id);
  return it == shards_.end() ? nullptr : &it->second;
}

Status ShardStore::remove(const Digest& shard_id) {
  if (!contains(shard_id)) {
    return Error{ErrorCode::kNotFound, "there is no shard " + shard_id.hex() + " in " + directory_.string()};
  }
  fs::path from = folder(shard_id), to = from;
  to += ".removed";  // renamed first: a shard is there or it is not, whatever moment the power goes
  std::error_code error;
  fs::remove_all(to, error);
  fs::rename(from, to, error);
  if (error) return Error{ErrorCode::kInternal, fmt::format("cannot remove {}: {}", from.string(), error.message())};
  {
    std::lock_guard lock(mutex_);
    std::erase_if(pieces_, [&](const auto& entry) { return entry.second.file.parent_path() == from; });
    shards_.erase(shard_id);
  }
  fs::remove_all(to, error);
  if (error) return Error{ErrorCode::kInternal, fmt::format("cannot remove {}: {}", to.string(), error.message())};
  return {};
}

}  // namespace shoal::model
