// Goal: a stage computes the steps of the current plan and no others, and says of each that it cannot compute why. How:
// a small model as one stage of a real table; the control link is a list of messages, the coordinator a peer that
// serves pieces.
#include "node/stage_table.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "node/node_test_support.h"

namespace shoal::node {
namespace {

constexpr StageId kStage{1};

class StageTableTest : public ::testing::Test {
 protected:
  explicit StageTableTest(const std::string& vocabulary = {})
      : shard_(vocabulary),
        coordinator_(io_,
                     [this](const std::shared_ptr<net::Link>& link, const wire::Frame&) {
                       fetch_links_.push_back(link);
                       net::serve_pieces(link,
                                         [this](const Digest& sha256, std::uint64_t offset, std::uint32_t length) {
                                           return shard_.read_piece(sha256, offset, length);
                                         });
                     }),
        store_(std::move(*model::ShardStore::open(folder_ / "store"))) {
    make_table();
  }

  void make_table() {
    table_.reset();
    table_ = std::make_unique<StageTable>(
        io_, transport_, *store_, 1, kJournalBytesMax,
        [this](const wire::Message& message, const std::shared_ptr<const Bytes>& raw) {
          sent_.push_back(message);
          raw_.push_back(raw ? *raw : Bytes());
        },
        [this] {
          return FetchSource{coordinator_.id(), "the coordinator", {coordinator_.endpoint()}};
        });
  }

  wire::LoadStage order() const {
    wire::LoadStage order;
    order.stage = kStage;
    order.range = shard_.layout.range;
    order.is_first = order.is_last = true;
    order.shard_bytes = shard_.layout.file_bytes;
    for (const auto& piece : shard_.layout.pieces)
      order.pieces.push_back({piece.sha256, piece.offset, piece.size_bytes});
    order.settings.context_tokens_max = 128;
    order.settings.kv_tokens_total = 256;
    order.settings.sequences_max = 4;
    return order;
  }
  void set_plan(std::uint64_t epoch) {
    wire::PlanStage stage;
    stage.stage = kStage;
    stage.node = transport_.identity().id();
    stage.range = shard_.layout.range;
    stage.is_first = stage.is_last = true;
    table_->set_plan({Epoch{epoch}, {stage}});
  }
  template <typename T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const auto& message : sent_) {
      if (const auto* one = std::get_if<T>(&message)) found.push_back(*one);
    }
    return found;
  }
  void load() {
    set_plan(1);
    table_->load(order());
    ASSERT_TRUE(run_until([&] { return !all<wire::StageReady>().empty() || !all<wire::StageFailed>().empty(); }));
    ASSERT_TRUE(all<wire::StageFailed>().empty()) << all<wire::StageFailed>()[0].message;
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }

  // A row of sequence 1 that wants the best two logits.
  static wire::Step step(std::uint64_t epoch, std::uint64_t id, std::uint32_t position) {
    wire::Step step;
    step.epoch = Epoch{epoch};
    step.step = StepId{id};
    step.to_stage = kStage;
    step.has_tokens = true;
    step.rows = {{SequenceId{1}, position, 5, 2}};
    return step;
  }

  test::TestShard shard_;
  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  net::Transport transport_{io_, net::Identity::generate()};
  std::vector<std::shared_ptr<net::Link>> fetch_links_;
  test::Peer coordinator_;
  std::unique_ptr<model::ShardStore> store_;
  std::vector<wire::Message> sent_;
  std::vector<Bytes> raw_;
  std::unique_ptr<StageTable> table_;
};

TEST_F(StageTableTest, LoadsAStageAndComputesItsSteps) {
  load();
  const auto ready = all<wire::StageReady>().at(0);
  EXPECT_EQ(ready.stage, kStage);
  EXPECT_GT(ready.memory.weights_bytes, 0u);
  const auto progress = all<wire::StageProgress>();
  EXPECT_EQ(progress.front().bytes_done, 0u);
  EXPECT_TRUE(progress.back().loading);

  auto asked = step(1, 10, 0);
  asked.times = {{StageId{77}, 1, 2, 3, 4}};
  const auto clock_us = [] { return static_cast<std::uint64_t>(SystemClock().now().time_since_epoch().count()); };
  const std::uint64_t before_us = clock_us();
  table_->on_step(asked, {});
  ASSERT_TRUE(run_until([&] { return !all<wire::StepResult>().empty(); }));
  const auto result = all<wire::StepResult>().at(0);
  EXPECT_EQ(result.epoch, Epoch{1});
  EXPECT_EQ(result.step, StepId{10});
  EXPECT_EQ(result.candidate_counts, std::vector<std::uint32_t>{2});
  EXPECT_EQ(raw_.back().size(), 2 * (sizeof(Token) + sizeof(float)));
  ASSERT_EQ(result.times.size(), 2u) << "the times of the stages before, and its own";
  EXPECT_EQ(result.times[0], asked.times[0]);
  const wire::StageTime& own = result.times[1];
  EXPECT_EQ(own.stage, kStage);
  EXPECT_GT(own.compute_us, 0u);
  EXPECT_GE(own.queued_at_us, before_us);
  EXPECT_LE(own.queued_at_us + own.queue_us + own.compute_us + own.send_us, clock_us());
  const StageTelemetry told = table_->telemetry().at(0);
  EXPECT_EQ(told.steps_done, 1u);
  EXPECT_EQ(told.step_us, own.compute_us) << "one step, of one row";
  EXPECT_EQ(told.row_us, own.compute_us);
}

TEST_F(StageTableTest, AStepOfAnOlderEpochIsDropped) {
  load();
  set_plan(2);
  table_->on_step(step(1, 10, 0), {});
  table_->on_step(step(2, 11, 0), {});  // would be out of order if the first had been computed
  ASSERT_TRUE(run_until([&] { return !all<wire::StepResult>().empty(); }));
  EXPECT_EQ(all<wire::StepResult>().size(), 1u);
  EXPECT_EQ(all<wire::StepResult>()[0].step, StepId{11});
  EXPECT_TRUE(all<wire::StepFailed>().empty());
}

TEST_F(StageTableTest, AStepThatOvertookItsPlanWaitsForIt) {
  load();
  table_->on_step(step(3, 10, 0), {});
  set_plan(2);  // not yet its plan
  table_->on_step(step(3, 11, 1), {});
  io_.poll();
  EXPECT_TRUE(all<wire::StepResult>().empty());
  set_plan(3);
  ASSERT_TRUE(run_until([&] { return all<wire::StepResult>().size() == 2; }));
  EXPECT_EQ(all<wire::StepResult>()[0].step, StepId{10});
  EXPECT_EQ(all<wire::StepResult>()[1].step, StepId{11});
}

TEST_F(StageTableTest, OnlySoManyStepsWait) {
  load();
  for (std::uint32_t i = 0; i < 2 * kEarlyStepsMax; ++i) table_->on_step(step(2, 10 + i, i), {});
  set_plan(2);
  ASSERT_TRUE(run_until([&] { return all<wire::StepResult>().size() == kEarlyStepsMax; }));
  io_.run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(all<wire::StepResult>().size(), kEarlyStepsMax);
}

TEST_F(StageTableTest, AnOlderPlanChangesNothing) {
  load();
  set_plan(5);
  set_plan(4);
  table_->on_step(step(5, 10, 0), {});
  ASSERT_TRUE(run_until([&] { return !all<wire::StepResult>().empty(); }));
}

TEST_F(StageTableTest, AStepThatCannotBeComputedIsAnsweredWithWhy) {
  load();
  auto without_tokens = step(1, 10, 0);
  without_tokens.has_tokens = false;
  table_->on_step(without_tokens, {});
  table_->on_step(step(1, 11, 5), {});    // positions 0 to 4 are missing
  table_->on_step(step(1, 12, 128), {});  // beyond the context
  ASSERT_TRUE(run_until([&] { return all<wire::StepFailed>().size() == 3; }));
  for (const auto& failed : all<wire::StepFailed>()) {
    EXPECT_EQ(failed.stage, kStage);
    EXPECT_EQ(failed.code, ErrorCode::kInvalidArgument);
    EXPECT_NE(failed.message, "");
  }
  EXPECT_EQ(all<wire::StepFailed>()[1].step, StepId{11});
  // The stage is as it was.
  table_->on_step(step(1, 13, 0), {});
  ASSERT_TRUE(run_until([&] { return !all<wire::StepResult>().empty(); }));
}

TEST_F(StageTableTest, APromptLongerThanTheKvIsRefusedAndItsCellsComeBack) {
  load();
  std::uint64_t id = 100;
  // Three sequences of 128 rows in 256 cells: the third does not fit.
  auto feed = [&](SequenceId sequence, std::vector<SequenceId> frees) {
    for (std::uint32_t at = 0; at < 128; at += 32) {
      wire::Step chunk = step(1, ++id, at);
      chunk.rows.clear();
      for (std::uint32_t i = 0; i < 32; ++i) chunk.rows.push_back({sequence, at + i, 5, at + i == 127 ? 1u : 0u});
      chunk.frees = std::exchange(frees, {});
      table_->on_step(chunk, {});
    }
  };
  feed(SequenceId{1}, {});
  feed(SequenceId{2}, {});
  ASSERT_TRUE(run_until([&] { return all<wire::StepResult>().size() == 8; }));
  table_->on_step(
      [&] {
        auto more = step(1, 200, 0);
        more.rows = {{SequenceId{3}, 0, 5, 1}};
        return more;
      }(),
      {});
  ASSERT_TRUE(run_until([&] { return !all<wire::StepFailed>().empty(); }));
  EXPECT_EQ(all<wire::StepFailed>()[0].code, ErrorCode::kResourceExhausted);
  feed(SequenceId{4}, {SequenceId{1}});
  ASSERT_TRUE(run_until([&] { return all<wire::StepResult>().size() == 12; }));
}

TEST_F(StageTableTest, DroppedStagesComputeNothing) {
  load();
  table_->on_step(step(1, 10, 0), {});
  table_->drop(kStage);
  table_->on_step(step(1, 11, 1), {});
  io_.run_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(all<wire::StepResult>().empty());
  EXPECT_TRUE(table_->telemetry().empty());
}

TEST_F(StageTableTest, ALayoutThatCannotBeIsRefused) {
  set_plan(1);
  auto wrong = order();
  std::swap(wrong.pieces[0], wrong.pieces[1]);
  table_->load(wrong);
  ASSERT_EQ(all<wire::StageFailed>().size(), 1u);
  EXPECT_EQ(all<wire::StageFailed>()[0].code, ErrorCode::kCorrupt);
}

// The disk that has the pieces does not answer for a while: a pipe stands for the file, and opening it waits.
TEST_F(StageTableTest, TheLoopTurnsWhileAShardIsFilledFromTheDisk) {
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  auto hashes = model::hash_tensors(shard_.manifest);
  ASSERT_TRUE(hashes.ok());
  auto manifest = shard_.manifest;
  manifest.files = {pipe};
  store_->add_model(manifest, *hashes);
  set_plan(1);
  table_->load(order());
  test::Ticks ticks(io_);
  ASSERT_TRUE(run_until([&] { return ticks.count() > 3; }));
  EXPECT_TRUE(sent_.empty());
  FileDescriptor end;  // of the pipe; can be had once somebody waits for it
  ASSERT_TRUE(run_until([&] {
    end = FileDescriptor(::open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    return end.open();
  }));
  // A pipe cannot be read in places: the pieces come from the coordinator then.
  ASSERT_TRUE(run_until([&] { return !all<wire::StageReady>().empty(); }));
  EXPECT_TRUE(all<wire::StageFailed>().empty());
}

// Goal: a spare node's shard is on flash, and nothing is loaded until it is needed; then nothing is fetched again.
TEST_F(StageTableTest, AShardThatIsFetchedOnlyIsNotLoaded) {
  set_plan(1);
  auto only = order();
  only.stage = StageId{9};
  only.fetch_only = true;
  table_->load(only);
  ASSERT_TRUE(run_until([&] { return !all<wire::ShardFetched>().empty(); }));
  EXPECT_EQ(all<wire::ShardFetched>()[0].stage, StageId{9});
  EXPECT_TRUE(all<wire::StageReady>().empty());
  EXPECT_TRUE(table_->telemetry().empty());
  const std::size_t links = fetch_links_.size();
  load();
  EXPECT_EQ(fetch_links_.size(), links);
}

TEST_F(StageTableTest, AStageMayBeDroppedWhileItIsOpenedFetchedOrLoaded) {
  set_plan(1);
  table_->load(order());
  table_->drop(kStage);
  EXPECT_TRUE(table_->telemetry().empty());
  table_->load(order());
  ASSERT_TRUE(run_until([&] { return !all<wire::StageProgress>().empty(); }));
  table_->drop(kStage);
  load();  // what was fetched before is used, the rest follows
  EXPECT_EQ(all<wire::StageReady>().size(), 1u);
  sent_.clear();
  table_->drop(kStage);
  table_->load(order());
  ASSERT_TRUE(run_until([&] { return !sent_.empty() && all<wire::StageProgress>().back().loading; }));
  table_->drop(kStage);  // waits for the load to be abandoned
  io_.run_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(all<wire::StageReady>().empty());
}

TEST_F(StageTableTest, AfterDropAllThePlansOfANewCoordinatorCount) {
  load();
  set_plan(9);
  table_->drop_all();
  sent_.clear();
  EXPECT_FALSE(table_->knows_peer(transport_.identity().id()));
  load();  // epoch 1 again
  table_->on_step(step(1, 10, 0), {});
  ASSERT_TRUE(run_until([&] { return !all<wire::StepResult>().empty(); }));
}

class StageTableOfALargeVocabulary : public StageTableTest {
 protected:
  StageTableOfALargeVocabulary() : StageTableTest("ggml-vocab-qwen2.gguf") {}
};

TEST_F(StageTableOfALargeVocabulary, AResultThatNoFrameCarriesIsAnsweredWithWhy) {
  load();
  const std::uint64_t vocabulary = shard_.manifest.vocabulary_size;
  const std::uint64_t row_bytes = vocabulary * (sizeof(Token) + sizeof(float));
  const auto rows_max = static_cast<std::uint32_t>(wire::raw_bytes_max(wire::StepResult{}) / row_bytes);
  ASSERT_LT(rows_max, kStepRowsMax) << "the vocabulary is too small for this test";
  auto all_logits_of = [](std::uint64_t id, SequenceId sequence, std::uint32_t rows) {
    wire::Step asked = step(1, id, 0);
    asked.rows.clear();
    for (std::uint32_t i = 0; i < rows; ++i) asked.rows.push_back({sequence, i, 5, wire::kAllLogits});
    return asked;
  };
  table_->on_step(all_logits_of(10, SequenceId{1}, rows_max + 1), {});
  ASSERT_TRUE(run_until([&] { return !all<wire::StepFailed>().empty(); }));
  const auto failed = all<wire::StepFailed>()[0];
  EXPECT_EQ(failed.step, StepId{10});
  EXPECT_EQ(failed.stage, kStage);
  EXPECT_EQ(failed.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(failed.message, ::testing::HasSubstr("64.0 MiB"));
  EXPECT_TRUE(all<wire::StepResult>().empty());
  // One row less fits, and makes a frame.
  table_->on_step(all_logits_of(11, SequenceId{2}, rows_max), {});
  ASSERT_TRUE(run_until([&] { return !all<wire::StepResult>().empty(); }));
  EXPECT_EQ(raw_.back().size(), rows_max * row_bytes);
  EXPECT_EQ(all<wire::StepFailed>().size(), 1u);
}

}  // namespace
}  // namespace shoal::node
