// Goal: a shard becomes complete and right as long as its sources have all pieces together, whatever one of them lacks
// or breaks; otherwise one error says so. How: real links to peers on loopback that serve by hooks.
#include "node/shard_fetcher.h"

#include "node/node_test_support.h"

namespace shoal::node {
namespace {

using ::testing::HasSubstr;

class ShardFetcherTest : public ::testing::Test {
 protected:
  // Answers pieces; counts those it gave.
  struct Source {
    Source(boost::asio::io_context& io, net::ReadPiece read)
        : peer(io, [this, read = std::move(read)](std::shared_ptr<net::Link> link, const wire::Frame&) {
            ++links;
            kept.push_back(link);
            net::serve_pieces(link, [this, read](const Digest& sha256, std::uint64_t offset, std::uint32_t length) {
              auto bytes = read(sha256, offset, length);
              if (bytes.ok() && offset == 0) given.insert(sha256);
              return bytes;
            });
          }) {}
    FetchSource named(std::string name) const { return {peer.id(), std::move(name), {peer.endpoint()}}; }

    std::set<Digest> given;
    int links = 0;
    std::vector<std::shared_ptr<net::Link>> kept;
    test::Peer peer;
  };

  net::ReadPiece everything() const {
    return [this](const Digest& sha256, std::uint64_t offset, std::uint32_t length) {
      return shard_.read_piece(sha256, offset, length);
    };
  }
  const std::vector<model::Piece>& pieces() const { return shard_.layout.pieces; }

  void fetch(std::vector<FetchSource> sources) {
    if (!store_) store_ = std::move(*model::ShardStore::open(folder_ / "store"));
    auto writer = store_->open_shard(shard_.layout);
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    ShardFetcher::Handlers handlers;
    handlers.on_progress = [this](std::uint64_t done, std::uint64_t total) { progress_.emplace_back(done, total); };
    handlers.on_done = [this](Result<std::filesystem::path> result) {
      EXPECT_FALSE(done_) << "called twice";
      done_ = std::move(result);
    };
    fetcher_ = std::make_shared<ShardFetcher>(io_, transport_, std::move(*writer), std::move(sources), handlers);
    fetcher_->start();
  }
  void expect_whole() {
    ASSERT_TRUE(test::run_until(io_, [&] { return done_.has_value(); }));
    ASSERT_TRUE(done_->ok()) << done_->error().message;
    EXPECT_TRUE(read_file(**done_, 1u << 30).value() == shard_.bytes);
    EXPECT_EQ(progress_.back().first, progress_.back().second);
  }

  test::TestShard shard_;
  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  net::Transport transport_{io_, net::Identity::generate()};
  std::unique_ptr<model::ShardStore> store_;
  std::shared_ptr<ShardFetcher> fetcher_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> progress_;
  std::optional<Result<std::filesystem::path>> done_;
};

TEST_F(ShardFetcherTest, AllPiecesOfOneSource) {
  Source source(io_, everything());
  fetch({source.named("a")});
  expect_whole();
  EXPECT_EQ(progress_.front().first, 0u);
  EXPECT_TRUE(std::is_sorted(progress_.begin(), progress_.end()));
}

TEST_F(ShardFetcherTest, WhatIsOnFlashIsNotAskedFor) {
  Source source(io_, everything());
  fetch({source.named("a")});
  expect_whole();
  fetcher_.reset();
  store_.reset();
  done_.reset();
  progress_.clear();
  const int links = source.links;
  fetch({source.named("a")});
  expect_whole();
  EXPECT_EQ(source.links, links);
  EXPECT_EQ(progress_.front().first, progress_.front().second);
}

TEST_F(ShardFetcherTest, PiecesThatOneLacksComeFromTheNext) {
  std::set<Digest> lacks;
  for (std::size_t i = 0; i < pieces().size(); i += 2) lacks.insert(pieces()[i].sha256);
  Source poor(io_, [&](const Digest& sha256, std::uint64_t offset, std::uint32_t length) -> Result<Bytes> {
    if (lacks.contains(sha256)) return Error{ErrorCode::kNotFound, "not here"};
    return shard_.read_piece(sha256, offset, length);
  });
  Source rich(io_, everything());
  fetch({poor.named("poor"), rich.named("rich")});
  expect_whole();
  EXPECT_EQ(rich.given, lacks) << "the rest came from the first";
}

TEST_F(ShardFetcherTest, DamagedBytesAreFetchedFromAnother) {
  const Digest damaged = pieces()[1].sha256;
  Source bad(io_, [&](const Digest& sha256, std::uint64_t offset, std::uint32_t length) {
    auto bytes = shard_.read_piece(sha256, offset, length);
    if (bytes.ok() && sha256 == damaged) bytes->back() ^= 1;
    return bytes;
  });
  Source good(io_, everything());
  fetch({bad.named("bad"), good.named("good")});
  expect_whole();
  EXPECT_EQ(good.given, std::set{damaged});
}

TEST_F(ShardFetcherTest, AnswersOfTheWrongLengthAreNotUsed) {
  Source brief(io_, [&](const Digest& sha256, std::uint64_t offset, std::uint32_t length) {
    return shard_.read_piece(sha256, offset, std::max(length / 2, 1u));
  });
  Source good(io_, everything());
  fetch({brief.named("brief"), good.named("good")});
  expect_whole();
  EXPECT_FALSE(good.given.empty());
}

TEST_F(ShardFetcherTest, ASourceThatIsGoneOrIsSomebodyElseIsPassedOver) {
  Source good(io_, everything());
  FetchSource gone = good.named("gone");
  {
    test::Peer closed(io_, [](std::shared_ptr<net::Link>, const wire::Frame&) {});
    gone = {closed.id(), "gone", {closed.endpoint()}};
  }
  FetchSource impostor = good.named("impostor");
  impostor.node = gone.node;  // another key than the one that answers there
  FetchSource nowhere{gone.node, "nowhere", {}};
  fetch({gone, impostor, nowhere, good.named("good")});
  expect_whole();
}

TEST_F(ShardFetcherTest, ASourceThatClosesTheLinkIsPassedOver) {
  test::Peer closing(io_, [](const std::shared_ptr<net::Link>& link, const wire::Frame&) { link->close(); });
  Source good(io_, everything());
  fetch({{closing.id(), "closing", {closing.endpoint()}}, good.named("good")});
  expect_whole();
}

TEST_F(ShardFetcherTest, APieceThatComesToASourceLaterIsGotInAnotherRound) {
  int asked = 0;
  Source late(io_, [&](const Digest& sha256, std::uint64_t offset, std::uint32_t length) -> Result<Bytes> {
    if (sha256 == pieces()[0].sha256 && ++asked == 1) return Error{ErrorCode::kNotFound, "not yet"};
    return shard_.read_piece(sha256, offset, length);
  });
  fetch({late.named("late")});
  expect_whole();
  EXPECT_EQ(asked, 2);
}

TEST_F(ShardFetcherTest, GivesUpWithWordsWhenNobodyHasAPiece) {
  Source poor(io_, [&](const Digest& sha256, std::uint64_t offset, std::uint32_t length) -> Result<Bytes> {
    if (sha256 == pieces()[1].sha256) return Error{ErrorCode::kNotFound, "not here"};
    return shard_.read_piece(sha256, offset, length);
  });
  fetch({poor.named("poor")});
  ASSERT_TRUE(test::run_until(io_, [&] { return done_.has_value(); }));
  ASSERT_FALSE(done_->ok());
  EXPECT_EQ(done_->error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(done_->error().message, HasSubstr("1 pieces"));
  EXPECT_THAT(done_->error().message, HasSubstr("poor lacks"));
  EXPECT_EQ(poor.links, 1 + kRounds);
}

TEST_F(ShardFetcherTest, NothingIsHeardAfterCancel) {
  Source source(io_, everything());
  fetch({source.named("a")});
  ASSERT_TRUE(test::run_until(io_, [&] { return progress_.size() > 2; }));
  fetcher_->cancel();
  const auto heard = progress_.size();
  io_.run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(progress_.size(), heard);
  EXPECT_FALSE(done_);
}

}  // namespace
}  // namespace shoal::node
