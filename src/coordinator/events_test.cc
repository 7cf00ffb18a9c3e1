// Goal: events are told in order and once, stay over a restart, never more than the bounds allow, and a storm is told
// in few events that count all of it. How: real SQLite files, a clock that the test moves, and short pauses between
// writes.
#include "coordinator/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "coordinator/event_test_support.h"
#include "model/test_models.h"
#include "net/test_loop.h"

namespace shoal::coordinator {
namespace {

using test::ManualClock;
using test::node_id;
using ::testing::ElementsAre;

class EventLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    limits_.write_delay = std::chrono::milliseconds(1);
    limits_.burst = 3;
    limits_.every = std::chrono::milliseconds(10);
    reopen();
  }

  void reopen() {
    log_.reset();
    store_.reset();
    auto store = Store::open(folder_ / "state");
    ASSERT_TRUE(store.ok()) << store.error().message;
    store_ = std::move(*store);
    log_ = std::make_unique<EventLog>(io_, clock_, *store_, limits_);
  }

  // Each about another node, so that no storm is seen in them.
  void add(const std::string& text, const std::string& node) {
    Event event;
    event.kind = EventKind::kNodeLost;
    event.text = text;
    event.node = node_id(node);
    event.node_name = node;
    log_->add(std::move(event));
  }
  void add_many(int count) {
    for (int i = 1; i <= count; ++i) add(fmt::format("event {}", i), fmt::format("node-{}", i));
  }
  EventPage read(const EventQuery& query = {}) {
    auto page = log_->read(query);
    EXPECT_TRUE(page.ok()) << page.error().message;
    return page.ok() ? *page : EventPage{};
  }
  std::vector<std::string> texts(const EventQuery& query = {}) {
    std::vector<std::string> texts;
    for (const auto& event : read(query).events) texts.push_back(event.text);
    return texts;
  }
  std::vector<std::uint64_t> numbers(const EventQuery& query = {}) {
    std::vector<std::uint64_t> numbers;
    for (const auto& event : read(query).events) numbers.push_back(event.number);
    return numbers;
  }
  std::size_t rows() { return store_->events(0, 0, 1u << 20).value().size(); }
  bool run_until(const std::function<bool()>& condition) { return net::test::run_until(io_, condition); }
  void damage(const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((folder_ / "state/shoal.db").c_str(), &database), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message;
    sqlite3_close(database);
  }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  ManualClock clock_;
  EventLimits limits_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<EventLog> log_;
};

TEST_F(EventLogTest, EventsAreThereAtOnceAndInOrder) {
  EXPECT_EQ(read().newest, 0u);
  add("lost", "a");
  clock_.advance(std::chrono::milliseconds(7));
  add("lost too", "b");
  const EventPage page = read();
  ASSERT_EQ(page.events.size(), 2u);
  EXPECT_EQ(page.newest, 2u);
  EXPECT_EQ(page.events[0].number, 1u);
  EXPECT_EQ(page.events[0].node, node_id("a"));
  EXPECT_EQ(page.events[0].times, 1u);
  EXPECT_EQ(page.events[1].unix_ms, page.events[0].unix_ms + 7);
}

TEST_F(EventLogTest, AllFieldsOutliveTheProcess) {
  Event event{.kind = EventKind::kStageReady,
              .node = node_id("a"),
              .node_name = "Ana's phone",
              .text = "stage ready after 1.4 s",
              .duration_ms = 1400,
              .epoch = Epoch{8}};
  log_->add(event);
  log_->add({.kind = EventKind::kPlanNone, .text = "no plan"});
  const auto before = read().events;
  reopen();
  EXPECT_EQ(read().events, before);
  add("the next one", "b");
  EXPECT_THAT(numbers(), ElementsAre(1, 2, 3)) << "numbers go on";
}

// A process that is killed writes nothing at its end: what was written before must be enough.
TEST_F(EventLogTest, WhatWasToldIsSoonOnDisk) {
  add_many(3);
  EXPECT_EQ(rows(), 0u) << "not a commit an event";
  ASSERT_TRUE(run_until([&] { return rows() == 3; }));
  add("another", "d");
  ASSERT_TRUE(run_until([&] { return rows() == 4; }));
}

TEST_F(EventLogTest, ReadsFromANumberFromATimeAndTheNewest) {
  limits_.ring_events = 4;
  reopen();
  for (int i = 1; i <= 10; ++i) {
    add(fmt::format("event {}", i), fmt::format("node-{}", i));
    clock_.advance(std::chrono::seconds(1));
  }
  ASSERT_TRUE(run_until([&] { return rows() == 10; }));
  EXPECT_THAT(numbers({.limit = 2}), ElementsAre(9, 10));
  EXPECT_THAT(numbers({.limit = 6}), ElementsAre(5, 6, 7, 8, 9, 10)) << "more than the ring has";
  EXPECT_THAT(numbers({.after = 2, .limit = 3}), ElementsAre(3, 4, 5));
  EXPECT_THAT(numbers({.after = 7}), ElementsAre(8, 9, 10));
  EXPECT_TRUE(numbers({.after = 10}).empty());
  EXPECT_TRUE(numbers({.after = UINT64_MAX}).empty());
  EXPECT_THAT(numbers({.since = std::chrono::seconds(3)}), ElementsAre(8, 9, 10));
  EXPECT_THAT(numbers({.since = std::chrono::seconds(8), .limit = 2}), ElementsAre(3, 4)) << "from then on";
  EXPECT_THAT(numbers({.after = 9, .since = std::chrono::seconds(8)}), ElementsAre(10));
}

TEST_F(EventLogTest, KeepsTheNewestAndForgetsTheOthers) {
  std::vector<Event> events(kEventsKeptMax);
  for (std::size_t i = 0; i < events.size(); ++i) events[i].number = i + 1;
  ASSERT_TRUE(store_->keep_events(events).ok());
  EXPECT_EQ(rows(), kEventsKeptMax);
  reopen();
  add("one more", "a");
  reopen();
  EXPECT_EQ(rows(), kEventsKeptMax);
  EXPECT_THAT(numbers({.limit = 1}), ElementsAre(kEventsKeptMax + 1));
  EXPECT_THAT(numbers({.after = 0, .limit = 1}), ElementsAre(2)) << "the oldest went";
}

TEST_F(EventLogTest, RowsThatAreDamagedAreLeftOut) {
  add_many(6);
  reopen();
  damage("UPDATE event SET kind = 'landed on the moon' WHERE number = 1");
  damage("UPDATE event SET node = x'0102' WHERE number = 2");
  damage("UPDATE event SET times = -1 WHERE number = 3");
  damage("UPDATE event SET text = hex(zeroblob(4096)) WHERE number = 4");
  damage(
      "INSERT INTO event SELECT -7, unix_ms, kind, node, node_name, text, NULL, NULL, 1 FROM event WHERE number = 5");
  reopen();
  EXPECT_THAT(texts(), ElementsAre("event 5", "event 6"));
  EXPECT_THAT(texts({.after = 0, .limit = 1}), ElementsAre("event 5")) << "a page is not shorter for them";
  add("event 7", "x");
  EXPECT_THAT(numbers({.after = 5}), ElementsAre(6, 7));
}

TEST_F(EventLogTest, AStoreThatCannotBeReadIsNoReasonToStop) {
  add_many(2);
  reopen();
  damage("DROP TABLE event");
  reopen();
  add("in memory", "a");
  EXPECT_THAT(texts(), ElementsAre("in memory"));
}

// Goal: a disk that is full costs nothing but durability, until it has room again.
TEST_F(EventLogTest, WhatCannotBeWrittenWaits) {
  damage("CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END");
  add_many(2);
  log_.reset();
  EXPECT_EQ(rows(), 0u);
  log_ = std::make_unique<EventLog>(io_, clock_, *store_, limits_);
  add_many(3);
  damage("DROP TRIGGER full");
  EXPECT_THAT(numbers(), ElementsAre(1, 2, 3));
  reopen();
  EXPECT_THAT(numbers(), ElementsAre(1, 2, 3));
}

// --- storms ---

TEST_F(EventLogTest, AStormIsToldInFewEventsThatCountIt) {
  for (int i = 1; i <= 10; ++i) {
    clock_.advance(std::chrono::milliseconds(1));
    add(fmt::format("lost for the {}. time", i), "flapper");
  }
  EXPECT_EQ(read().events.size(), 3u) << "a burst";
  add("lost", "another node");
  EXPECT_EQ(read().events.size(), 4u) << "nobody else waits";

  const std::int64_t when = clock_.unix_ms();
  clock_.advance(limits_.every);
  ASSERT_TRUE(run_until([&] { return read().newest == 5; }));
  const Event last = read().events.back();
  EXPECT_EQ(last.text, "lost for the 10. time");
  EXPECT_EQ(last.times, 7u);
  EXPECT_EQ(last.unix_ms, when) << "when it happened, not when its turn came";

  // While it flaps on, one for each `every`.
  for (int i = 0; i < 5; ++i) {
    add("lost again", "flapper");
    add("lost again", "flapper");
    clock_.advance(limits_.every);
    ASSERT_TRUE(run_until([&] { return read().newest == 6u + i; }));
    EXPECT_EQ(read().events.back().times, 2u);
  }
  // After a quiet time, a burst again.
  clock_.advance(limits_.every * limits_.burst);
  for (int i = 0; i < 4; ++i) add("lost", "flapper");
  EXPECT_EQ(read().newest, 13u);
}

TEST_F(EventLogTest, WhatIsHeldBackIsToldAtTheEnd) {
  for (int i = 0; i < 9; ++i) add("lost", "flapper");
  reopen();
  const auto events = read().events;
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events.back().times, 6u);
}

TEST_F(EventLogTest, ManyNodesInMotionShareTheirKindsTurn) {
  for (int i = 0; i < 6000; ++i) add("lost", fmt::format("node-{}", i));
  EXPECT_EQ(read().newest, 4096u + limits_.burst);
}

// --- watching, and what is no text ---

TEST_F(EventLogTest, WhoWatchesIsCalledAsLongAsItHolds) {
  int calls = 0;
  auto watch = log_->watch([&] { ++calls; });
  add("lost", "a");
  EXPECT_EQ(calls, 1);
  {
    int others = 0;
    const auto other = log_->watch([&] { ++others; });
    add("lost", "b");
    EXPECT_EQ(others, 1);
  }
  watch.reset();
  add("lost", "c");
  EXPECT_EQ(calls, 2);
}

TEST_F(EventLogTest, TextsFromOutsideBecomeOneCleanLine) {
  add("a\nb\x1b[31mc\x7f \xff", "ev\til");
  const Event event = read().events.at(0);
  EXPECT_EQ(event.text, "a b [31mc  \xef\xbf\xbd");
  EXPECT_EQ(event.node_name, "ev il");
  // Cut between characters.
  EXPECT_EQ(clean_text("abc\xc3\xa9\xc3\xa9", 7), "abc\xc3\xa9\xc3\xa9");
  EXPECT_EQ(clean_text("abc\xc3\xa9\xc3\xa9\xc3\xa9", 7), "abc...");
  EXPECT_EQ(clean_text("abc\xc3\xa9\xc3\xa9\xc3\xa9", 8), "abc\xc3\xa9...");
  add(std::string(5000, 'x'), "b");
  EXPECT_EQ(read().events.at(1).text.size(), kEventTextBytesMax);
}

TEST(EventKinds, NamesAreUniqueAndFound) {
  for (std::size_t i = 0; i < kEventKinds.size(); ++i) {
    const auto kind = static_cast<EventKind>(i);
    EXPECT_EQ(parse_event_kind(to_string(kind)), kind);
  }
  EXPECT_EQ(kEventKinds.size(), static_cast<std::size_t>(EventKind::kSequencesMoved) + 1);
  EXPECT_FALSE(parse_event_kind("node"));
}

}  // namespace
}  // namespace shoal::coordinator
