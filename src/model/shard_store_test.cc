#include "model/shard_store.h"

#include <gmock/gmock.h>

#include "base/random.h"
#include "model/test_models.h"

namespace shoal::model {
namespace {

using ::testing::HasSubstr;

// A model, its tensors' hashes, and a way to read any piece's bytes: what the network brings in real life.
class Stored : public ::testing::Test {
 protected:
  void SetUp() override {
    tools::ModelOptions options = small_model("llama");
    options.tied = true;
    write_model(options, folder_ / "m.gguf");
    manifest_ = manifest_of(folder_ / "m.gguf");
    auto hashes = hash_tensors(manifest_);
    ASSERT_TRUE(hashes.ok());
    hashes_ = *hashes;
  }
  Cut cut(LayerRange range) const { return *plan_cut(manifest_, range); }
  ShardLayout layout(LayerRange range) const { return make_layout(manifest_, cut(range), hashes_); }
  Bytes bytes_of(LayerRange range, std::size_t piece) const {
    Cut planned = cut(range);
    const PieceSource& source = planned.sources[piece];
    if (!source.made.empty()) return source.made;
    Bytes bytes(source.size_bytes);
    EXPECT_TRUE(FileDescriptor::open_read(manifest_.files[0])->read_at(source.offset, bytes, "m").ok());
    return bytes;
  }
  std::unique_ptr<ShardStore> open_store(std::string_view name = "store") {
    auto store = ShardStore::open(folder_ / name);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(*store);
  }
  std::unique_ptr<ShardWriter> open_shard(ShardStore& store, LayerRange range) {
    auto writer = store.open_shard(layout(range));
    EXPECT_TRUE(writer.ok()) << writer.error().message;
    return std::move(*writer);
  }
  // In two halves, as frames of a stream would bring it.
  void deliver(ShardWriter& writer, LayerRange range, std::size_t piece) {
    Bytes bytes = bytes_of(range, piece);
    Status a = writer.append(piece, ByteSpan(bytes).first(bytes.size() / 2));
    Status b = writer.append(piece, ByteSpan(bytes).subspan(bytes.size() / 2));
    ASSERT_TRUE(a.ok() && b.ok()) << b.error().message;
  }
  void expect_same_as_cut(const std::filesystem::path& shard, LayerRange range) {
    ASSERT_TRUE(write_shard(manifest_, cut(range), folder_ / "expected").ok());
    auto a = read_file(shard, 1u << 30), b = read_file(folder_ / "expected", 1u << 30);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_TRUE(*a == *b);
  }

  TemporaryFolder folder_;
  Manifest manifest_;
  std::vector<Digest> hashes_;
};

TEST_F(Stored, AShardIsMadeOfItsPieces) {
  auto store = open_store();
  auto writer = open_shard(*store, {0, 2});
  std::size_t count = writer->layout().pieces.size();
  EXPECT_EQ(writer->missing().size(), count);
  for (std::size_t piece = count; piece-- > 0;) deliver(*writer, {0, 2}, piece);  // in any order
  EXPECT_TRUE(writer->complete());
  EXPECT_EQ(writer->bytes_done(), writer->layout().bytes());
  EXPECT_EQ(writer->bytes_unread(), 0u);
  expect_same_as_cut(writer->path(), {0, 2});
  EXPECT_EQ(manifest_of(writer->path()).shard_of, (LayerRange{0, 2}));
}

TEST_F(Stored, OpeningThatIsGivenUpGoesOnTheNextTime) {
  auto store = open_store();
  store->add_model(manifest_, hashes_);
  const ShardLayout wanted = layout({0, 4});
  std::uint64_t seen = 0;
  auto given_up = store->open_shard(wanted, [&](std::uint64_t bytes_done) {
    seen = bytes_done;
    return bytes_done < wanted.bytes() / 2;
  });
  ASSERT_FALSE(given_up.ok());
  EXPECT_EQ(given_up.error().code, ErrorCode::kCancelled);
  EXPECT_LT(seen, wanted.bytes());
  store = open_store();  // knows what is on flash, and no model
  auto writer = open_shard(*store, {0, 4});
  EXPECT_GT(writer->bytes_done(), 0u);
  EXPECT_GT(writer->bytes_unread(), 0u) << "what was marked before may have decayed since";
  EXPECT_FALSE(writer->complete());
  writer.reset();
  store->add_model(manifest_, hashes_);
  EXPECT_EQ(open_shard(*store, {0, 4})->missing(), std::vector<std::size_t>{0}) << "the header is in no model file";
}

TEST_F(Stored, AnInterruptedTransferGoesOn) {
  LayerRange range{1, 3};
  std::vector<std::size_t> missing;
  std::filesystem::path done;
  {
    auto store = open_store();
    auto writer = open_shard(*store, range);
    for (std::size_t piece : {0u, 3u, 4u}) deliver(*writer, range, piece);
    Bytes half = bytes_of(range, 5);
    ASSERT_TRUE(writer->append(5, ByteSpan(half).first(half.size() / 2)).ok());
    missing = writer->missing();
    done = writer->path().parent_path() / "done";
  }
  auto store = open_store();
  EXPECT_EQ(store->shards(), std::vector<Digest>{layout(range).id()});
  EXPECT_EQ(*store->layout(layout(range).id()), layout(range));
  auto writer = open_shard(*store, range);
  EXPECT_EQ(writer->missing(), missing);
  for (std::size_t piece : writer->missing()) deliver(*writer, range, piece);
  EXPECT_TRUE(writer->complete());
  expect_same_as_cut(writer->path(), range);
  writer.reset();

  // Killed between the bytes and their marks: what is there is found by its hash, and nothing is believed.
  auto marks = FileDescriptor::open_write(done);
  ASSERT_TRUE(marks->write_at(2, Bytes{0, 0, 0}, done).ok());
  auto again = open_store();
  EXPECT_TRUE(open_shard(*again, range)->complete());
}

TEST_F(Stored, DamagedBytesAreNotTaken) {
  auto store = open_store();
  auto writer = open_shard(*store, {0, 2});
  Bytes bytes = bytes_of({0, 2}, 2);
  bytes[bytes.size() / 3] ^= 1;
  Status status = writer->append(2, bytes);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(status.error().message, HasSubstr("wrong SHA-256"));
  EXPECT_EQ(writer->missing().size(), writer->layout().pieces.size());
  EXPECT_FALSE(store->find(writer->layout().pieces[2].sha256));
  writer.reset();
  EXPECT_EQ(open_shard(*store, {0, 2})->missing().size(), layout({0, 2}).pieces.size());
  writer = open_shard(*store, {0, 2});
  deliver(*writer, {0, 2}, 2);
  EXPECT_TRUE(store->find(writer->layout().pieces[2].sha256));
}

TEST_F(Stored, PiecesThatCannotBeAreRefused) {
  auto store = open_store();
  auto writer = open_shard(*store, {0, 2});
  Bytes bytes = bytes_of({0, 2}, 2);
  bytes.push_back(0);
  EXPECT_EQ(writer->append(2, bytes).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(writer->append(1000, bytes).error().code, ErrorCode::kInvalidArgument);
  deliver(*writer, {0, 2}, 2);
  EXPECT_EQ(writer->append(2, bytes).error().code, ErrorCode::kInvalidArgument);
  ShardLayout bad = layout({0, 2});
  bad.pieces[1].offset = 0;
  EXPECT_EQ(store->open_shard(bad).error().code, ErrorCode::kCorrupt);
}

TEST_F(Stored, AnotherCutIsFilledFromTheFirst) {
  auto store = open_store();
  {
    auto writer = open_shard(*store, {0, 4});
    for (std::size_t piece : writer->missing()) deliver(*writer, {0, 4}, piece);
  }
  // Of 2:6 the store holds layers 2 and 3, and the tied output, which is the first stage's embedding.
  auto writer = open_shard(*store, {2, 6});
  Cut planned = cut({2, 6});
  for (std::size_t piece : writer->missing()) {
    const std::string& name = planned.sources[piece].name;
    EXPECT_TRUE(piece == 0 || name.starts_with("blk.4.") || name.starts_with("blk.5.")) << name;
  }
  EXPECT_GT(writer->bytes_done(), writer->layout().bytes() / 2);
  EXPECT_EQ(writer->bytes_unread(), 0u) << "copying hashes";
  // The first shard goes; what was copied from it stays.
  Digest moved =
      hashes_[static_cast<std::size_t>(manifest_.find_tensor("token_embd.weight") - manifest_.tensors.data())];
  ASSERT_TRUE(store->remove(layout({0, 4}).id()).ok());
  EXPECT_EQ(store->find(moved)->file, writer->path());
  EXPECT_EQ(store->shards().size(), 1u);
  EXPECT_EQ(store->remove(layout({0, 4}).id()).error().code, ErrorCode::kNotFound);
  for (std::size_t piece : writer->missing()) deliver(*writer, {2, 6}, piece);
  expect_same_as_cut(writer->path(), {2, 6});
}

TEST_F(Stored, AWholeModelFillsAllButTheHeader) {
  auto store = open_store();
  store->add_model(manifest_, hashes_);
  auto writer = open_shard(*store, {0, 2});
  EXPECT_EQ(writer->missing(), std::vector<std::size_t>{0});
  deliver(*writer, {0, 2}, 0);
  EXPECT_TRUE(writer->complete());
  expect_same_as_cut(writer->path(), {0, 2});
}

TEST_F(Stored, AModelThatChangedIsNotBelieved) {
  auto store = open_store();
  store->add_model(manifest_, hashes_);
  {
    auto file = FileDescriptor::open_write(folder_ / "m.gguf");
    ASSERT_TRUE(file->write_at(manifest_.find_tensor("blk.0.attn_q.weight")->offset + 7, Bytes{1, 2, 3}, "m").ok());
  }
  auto writer = open_shard(*store, {0, 2});
  ASSERT_EQ(writer->missing().size(), 2u);  // the header and the changed tensor
  EXPECT_EQ(cut({0, 2}).sources[writer->missing()[1]].name, "blk.0.attn_q.weight");
}

// Bytes that changed on flash after they were marked: found by a check, missing afterwards, and only they.
TEST_F(Stored, DamageOnFlashIsFoundAndMended) {
  LayerRange range{1, 3};
  auto store = open_store();
  auto writer = open_shard(*store, range);
  for (std::size_t piece : writer->missing()) deliver(*writer, range, piece);
  auto path = writer->path();
  writer.reset();
  ShardLayout whole = layout(range);
  auto go_on = [] { return false; };
  EXPECT_EQ(*damaged_pieces(whole, path, go_on), std::vector<std::size_t>());
  EXPECT_EQ(damaged_pieces(whole, path, [] { return true; }).error().code, ErrorCode::kCancelled);

  const std::vector<std::size_t> damaged = {0, 4};
  {
    auto file = FileDescriptor::open_write(path);
    for (std::size_t piece : damaged) {
      Bytes byte = bytes_of(range, piece);
      byte[10] ^= 1;
      ASSERT_TRUE(file->write_at(whole.pieces[piece].offset + 10, ByteSpan(byte).subspan(10, 1), path).ok());
    }
  }
  EXPECT_EQ(*damaged_pieces(whole, path, go_on), damaged);
  ASSERT_TRUE(store->drop_pieces(whole.id(), damaged).ok());
  EXPECT_FALSE(store->find(whole.pieces[4].sha256));
  EXPECT_TRUE(store->find(whole.pieces[3].sha256));
  writer = open_shard(*store, range);
  EXPECT_EQ(writer->missing(), damaged);
  for (std::size_t piece : damaged) deliver(*writer, range, piece);
  expect_same_as_cut(path, range);
  EXPECT_EQ(store->drop_pieces(layout({0, 1}).id(), {0}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->drop_pieces(whole.id(), {9999}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Stored, DamagedFoldersAreRemovedAndOthersLeftAlone) {
  ShardLayout whole = layout({0, 2});
  {
    auto store = open_store();
    open_shard(*store, {0, 2});
    open_shard(*store, {2, 4});
  }
  auto shard = folder_ / "store" / whole.id().hex();
  ASSERT_TRUE(write_file_atomic(shard / "layout", "shoal-shard-1 0 2 99999999999999999999 1\n").ok());
  std::filesystem::create_directory(folder_ / "store/notes");
  std::filesystem::create_directory(folder_ / "store" / (whole.id().hex() + ".removed"));
  auto store = open_store();
  EXPECT_EQ(store->shards(), std::vector<Digest>{layout({2, 4}).id()});
  EXPECT_FALSE(std::filesystem::exists(shard));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "store/notes"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "store" / (whole.id().hex() + ".removed")));
  EXPECT_FALSE(open_shard(*store, {0, 2})->complete());  // made afresh
}

TEST_F(Stored, AFullDiskIsSaidBeforeAnythingIsFetched) {
  auto store = open_store();
  ShardLayout huge = layout({0, 2});
  huge.file_bytes = kShardBytesMax;
  huge.pieces.back().size_bytes = kShardBytesMax - huge.pieces.back().offset;
  auto writer = store->open_shard(huge);
  ASSERT_FALSE(writer.ok());
  EXPECT_EQ(writer.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(writer.error().message, HasSubstr("make room for"));
  EXPECT_TRUE(store->shards().empty());
}

}  // namespace
}  // namespace shoal::model
