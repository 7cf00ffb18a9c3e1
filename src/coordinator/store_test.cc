// Goal: what the coordinator promised to remember is there after reopening, a join token pairs one device once, and a
// file that is no store of this version is refused with words. How: real SQLite files; damage is done with SQLite or
// by writing other bytes.
#include "coordinator/store.h"

#include <csignal>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

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

KeyedRequest keyed(std::string_view request, std::uint64_t seed, std::int64_t created = kNow) {
  return {Sha256::of(as_bytes(request)), Sha256::of(as_bytes("model")), seed, ~seed, created};
}

TEST_F(StoreTest, AKeyStandsForTheRequestThatWasKeptFirst) {
  const KeyedRequest first = keyed("a", UINT64_MAX - 1);
  EXPECT_EQ(store_->claim_key("key", first).value(), first);
  reopen();
  EXPECT_EQ(store_->claim_key("key", keyed("b", 2, kNow + 60)).value(), first) << "whatever is asked with it";
  const KeyedRequest other = keyed("a", 3);
  EXPECT_EQ(store_->claim_key("Key", other).value(), other);
}

TEST_F(StoreTest, KeysAreForgottenAfterADay) {
  const KeyedRequest first = keyed("a", 1);
  ASSERT_TRUE(store_->claim_key("key", first).ok());
  EXPECT_EQ(store_->claim_key("key", keyed("b", 2, kNow + kKeyedRequestSecondsMax)).value(), first);
  const KeyedRequest later = keyed("b", 3, kNow + kKeyedRequestSecondsMax + 1);
  EXPECT_EQ(store_->claim_key("key", later).value(), later);
}

// --- with SQLite itself, beside the store ---

// The values of a query's first column, as text.
std::vector<std::string> query(const std::filesystem::path& path, const std::string& sql) {
  sqlite3* database = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  std::vector<std::string> found;
  const auto add = [](void* into, int, char** values, char**) {
    static_cast<std::vector<std::string>*>(into)->emplace_back(values[0] ? values[0] : "");
    return 0;
  };
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), add, &found, &message), SQLITE_OK) << (message ? message : "");
  sqlite3_free(message);
  sqlite3_close(database);
  return found;
}

TEST_F(StoreTest, OnlyTheNewestKeysAreKept) {
  ASSERT_TRUE(store_->claim_key("first", keyed("a", 1)).ok());
  const auto path = folder_ / "state/shoal.db";
  query(path, fmt::format("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
                          "INSERT INTO keyed_request (key, request, decided_by, seed, id, created_at) "
                          "SELECT 'k' || i, zeroblob(32), zeroblob(32), i, i, {} FROM n",
                          kKeyedRequestsMax - 1, kNow));
  ASSERT_EQ(store_->claim_key("first", keyed("a", 2)).value().seed, 1u) << "there is room for it";
  ASSERT_TRUE(store_->claim_key("last", keyed("a", 3)).ok());
  EXPECT_EQ(query(path, "SELECT count(*) FROM keyed_request"), std::vector{std::to_string(kKeyedRequestsMax)});
  EXPECT_EQ(store_->claim_key("k1", keyed("a", 4)).value().seed, 1u);
  EXPECT_EQ(store_->claim_key("first", keyed("a", 5)).value().seed, 5u) << "the oldest made room";
}

// Claims one key after the other and says so, until it is killed.
[[noreturn]] void write_for_ever(const std::filesystem::path& folder, int told, int round) {
  auto store = Store::open(folder);
  for (std::uint64_t i = 0; store.ok(); ++i) {
    if (!(*store)->claim_key(fmt::format("{}-{}", round, i), keyed("a", i)).ok()) break;
    if (::write(told, &i, sizeof i) != sizeof i) break;
  }
  ::_exit(1);
}

// Goal: kill -9 at any moment loses nothing that was promised, and damages nothing. How: 20 processes that write and
// are killed after a drawn number of writes, in the middle of the next ones.
TEST_F(StoreTest, KillsLoseNothing) {
  store_.reset();
  for (int round = 0; round < 20; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_for_ever(folder_ / "state", pipe[1], round);
    ::close(pipe[1]);
    std::uint64_t done = 0;
    const std::uint64_t wanted = static_cast<std::uint64_t>(round) * 7 % 31;
    while (::read(pipe[0], &done, sizeof done) == sizeof done && done < wanted) {
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    while (::read(pipe[0], &done, sizeof done) == sizeof done) {
    }
    ::close(pipe[0]);
    int how = 0;
    ASSERT_EQ(::waitpid(child, &how, 0), child);
    ASSERT_TRUE(WIFSIGNALED(how)) << "it ended by itself";
    reopen();
    for (std::uint64_t i = 0; i <= done; ++i) {
      EXPECT_EQ(store_->claim_key(fmt::format("{}-{}", round, i), keyed("b", 999)).value(), keyed("a", i));
    }
    store_.reset();
    ASSERT_EQ(query(folder_ / "state/shoal.db", "PRAGMA integrity_check"), std::vector<std::string>{"ok"});
  }
}

// Goal: after a power loss the store is whole, and holds a beginning of what was written. How: the write-ahead log is
// cut off, or holds garbage from there on, as where the disk had not yet taken the rest.
TEST_F(StoreTest, APowerLossDamagesNothing) {
  for (std::uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(store_->claim_key(std::to_string(i), keyed("a", i)).ok());
  const std::string database = read_file(folder_ / "state/shoal.db", 1 << 24).value();
  const std::string log = read_file(folder_ / "state/shoal.db-wal", 1 << 24).value();
  ASSERT_GT(log.size(), 20u * 4096);
  std::size_t fewest = 20, most = 0;
  for (std::size_t cut = 0; cut <= log.size(); cut += 19'997) {
    for (const bool garbage : {false, true}) {
      const auto after = folder_ / fmt::format("after-{}-{}", cut, garbage);
      ASSERT_TRUE(make_directories(after).ok());
      std::string left = log.substr(0, cut);
      if (garbage) left.resize(log.size(), '\x5a');
      ASSERT_TRUE(write_file_atomic(after / "shoal.db", database).ok());
      ASSERT_TRUE(write_file_atomic(after / "shoal.db-wal", left).ok());
      ASSERT_TRUE(Store::open(after).ok()) << cut;
      EXPECT_EQ(query(after / "shoal.db", "PRAGMA integrity_check"), std::vector<std::string>{"ok"}) << cut;
      const auto seeds = query(after / "shoal.db", "SELECT seed FROM keyed_request ORDER BY number");
      for (std::size_t i = 0; i < seeds.size(); ++i) EXPECT_EQ(seeds[i], std::to_string(i)) << cut;
      fewest = std::min(fewest, seeds.size());
      most = std::max(most, seeds.size());
    }
  }
  EXPECT_EQ(fewest, 0u);
  EXPECT_GT(most, 15u);
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
