// Goal: what the coordinator promised to remember is there after reopening, a join token pairs one device once, and a
// file that is no store of this version is refused with words. How: real SQLite files; damage is done with SQLite or
// by writing other bytes.
#include "coordinator/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "base/file.h"
#include "model/test_models.h"

namespace shoal::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::int64_t kNow = 1'800'000'000;

NodeId node_id(std::string_view name) {
  return NodeId{Sha256::of(as_bytes(name))};
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }

  void reopen() {
    store_.reset();
    auto store = Store::open(folder_ / "state");
    ASSERT_TRUE(store.ok()) << store.error().message;
    store_ = std::move(*store);
  }

  std::vector<KnownNode> nodes() {
    auto nodes = store_->nodes();
    EXPECT_TRUE(nodes.ok()) << nodes.error().message;
    return nodes.ok() ? *nodes : std::vector<KnownNode>{};
  }

  void add_token(std::string_view secret, std::int64_t expires) {
    auto status = store_->add_token(as_bytes(secret), expires);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  Status redeem(std::string_view secret, std::string_view node, std::int64_t now = kNow) {
    return store_->redeem_token(as_bytes(secret), node_id(node), std::string(node), now);
  }
  static void expect_refused(const Status& status, const std::string& why) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kUnauthenticated);
    EXPECT_THAT(status.error().message, AllOf(HasSubstr(why), HasSubstr("shoal token create")));
  }

  model::TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, ATokenPairsOneNodeOnce) {
  add_token("secret", kNow + 600);
  ASSERT_TRUE(redeem("secret", "a").ok());
  ASSERT_EQ(nodes().size(), 1u);
  EXPECT_EQ(nodes()[0].id, node_id("a"));
  EXPECT_EQ(nodes()[0].name, "a");
  EXPECT_EQ(nodes()[0].paired_unix_seconds, kNow);

  expect_refused(redeem("secret", "b"), "already used");
  EXPECT_EQ(nodes().size(), 1u);
}

TEST_F(StoreTest, TheDeviceThatUsedATokenMayAskAgain) {
  add_token("secret", kNow + 600);
  ASSERT_TRUE(redeem("secret", "a").ok());
  EXPECT_TRUE(redeem("secret", "a", kNow + 5).ok()) << "its answer was lost on the way";
  EXPECT_EQ(nodes().size(), 1u);
}

TEST_F(StoreTest, UnknownAndExpiredTokensPairNobody) {
  add_token("secret", kNow + 600);
  expect_refused(redeem("another secret", "a"), "unknown");
  expect_refused(redeem("secret", "a", kNow + 601), "expired");
  EXPECT_TRUE(nodes().empty());
  EXPECT_TRUE(redeem("secret", "a", kNow + 600).ok()) << "its last second counts";
}

TEST_F(StoreTest, OnlyTheHashOfASecretIsOnDisk) {
  const std::string secret = "a secret that would be easy to find";
  add_token(secret, kNow + 600);
  ASSERT_TRUE(redeem(secret, "a").ok());
  for (const char* name : {"state/shoal.db", "state/shoal.db-wal"}) {
    auto bytes = read_file(folder_ / name, 1 << 24);
    ASSERT_TRUE(bytes.ok()) << bytes.error().message;
    EXPECT_EQ(bytes->find(secret), std::string::npos) << name;
  }
}

TEST_F(StoreTest, TokensThatExpiredADayAgoAreForgotten) {
  add_token("old", kNow - 2 * 86400);
  add_token("new", kNow + 600);
  expect_refused(redeem("old", "a"), "unknown");
  EXPECT_TRUE(redeem("new", "a").ok());
}

TEST_F(StoreTest, ANodeThatJoinsAnewIsTheSameNode) {
  add_token("one", kNow + 600);
  add_token("two", kNow + 600);
  ASSERT_TRUE(redeem("one", "a").ok());
  ASSERT_TRUE(store_->redeem_token(as_bytes("two"), node_id("a"), "renamed", kNow + 10).ok());
  ASSERT_EQ(nodes().size(), 1u);
  EXPECT_EQ(nodes()[0].name, "renamed");
  EXPECT_EQ(nodes()[0].paired_unix_seconds, kNow + 10);
}

TEST_F(StoreTest, AForgottenNodeNeedsANewToken) {
  add_token("old", kNow + 600);
  add_token("another's", kNow + 600);
  add_token("new", kNow + 600);
  ASSERT_TRUE(redeem("old", "a").ok());
  ASSERT_TRUE(redeem("another's", "b").ok());
  ASSERT_TRUE(store_->forget_node(node_id("a")).ok());
  reopen();
  ASSERT_EQ(nodes().size(), 1u);
  EXPECT_EQ(nodes()[0].id, node_id("b"));
  expect_refused(redeem("old", "a"), "already used");
  ASSERT_TRUE(store_->see_node(node_id("a"), "a", kNow + 1).ok());
  EXPECT_EQ(nodes().size(), 1u);
  EXPECT_TRUE(store_->forget_node(node_id("a")).ok());
  EXPECT_TRUE(redeem("new", "a").ok());
  EXPECT_EQ(nodes().size(), 2u);
}

TEST_F(StoreTest, NodesTokensAndHashesOutliveTheProcess) {
  add_token("used", kNow + 600);
  add_token("unused", kNow + 600);
  ASSERT_TRUE(redeem("used", "a").ok());
  ASSERT_TRUE(store_->see_node(node_id("a"), "Ana's phone", kNow + 60).ok());
  const std::vector<Digest> hashes = {Sha256::of(as_bytes("x")), Sha256::of(as_bytes("y"))};
  ASSERT_TRUE(store_->keep_hashes("model", hashes).ok());

  reopen();
  ASSERT_EQ(nodes().size(), 1u);
  EXPECT_EQ(nodes()[0].name, "Ana's phone");
  EXPECT_EQ(nodes()[0].paired_unix_seconds, kNow);
  EXPECT_EQ(nodes()[0].seen_unix_seconds, kNow + 60);
  expect_refused(redeem("used", "b"), "already used");
  EXPECT_TRUE(redeem("unused", "b").ok());
  auto found = store_->find_hashes("model");
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ(**found, hashes);
}

TEST_F(StoreTest, HashesAreKeptByKeyAndReplaced) {
  auto none = store_->find_hashes("model");
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  ASSERT_TRUE(store_->keep_hashes("model", {Sha256::of(as_bytes("old"))}).ok());
  ASSERT_TRUE(store_->keep_hashes("model", {Sha256::of(as_bytes("new"))}).ok());
  auto found = store_->find_hashes("model");
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ(**found, std::vector{Sha256::of(as_bytes("new"))});
  EXPECT_FALSE(store_->find_hashes("another model")->has_value());
}

TEST_F(StoreTest, ASeenNodeThatNeverPairedIsNotMadeUp) {
  ASSERT_TRUE(store_->see_node(node_id("stranger"), "stranger", kNow).ok());
  EXPECT_TRUE(nodes().empty());
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  const std::string text = std::string(4096, 'n') + "not a database";
  ASSERT_TRUE(make_directories(folder_ / "other").ok());
  ASSERT_TRUE(write_file_atomic(folder_ / "other/shoal.db", text).ok());
  auto store = Store::open(folder_ / "other");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(store.error().message, AllOf(HasSubstr("shoal.db"), HasSubstr("move it away")));
  EXPECT_EQ(read_file(folder_ / "other/shoal.db", 1 << 20).value(), text);
}

TEST_F(StoreTest, ADatabaseOfANewerVersionIsRefused) {
  store_.reset();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "state/shoal.db").c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  auto store = Store::open(folder_ / "state");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(store.error().message, AllOf(HasSubstr("another version"), HasSubstr("99")));
}

}  // namespace
}  // namespace shoal::coordinator
