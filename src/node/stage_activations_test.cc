// Goal: hidden states go on in the type that was ordered for this plan, and are understood in any; what was sent can be
// sent again. How: a small model as one stage of a real table, behind which a peer writes down what comes over its data
// link.
#include "engine/activations.h"

#include <cstring>

#include "base/random.h"
#include "node/node_test_support.h"
#include "node/stage_table.h"

namespace shoal::node {
namespace {

using ::testing::ElementsAre;

constexpr StageId kStage{1}, kNext{2};
constexpr std::uint32_t kRows = 3;

class StageActivationsTest : public ::testing::Test {
 protected:
  StageActivationsTest()
      : coordinator_(io_,
                     [this](const std::shared_ptr<net::Link>& link, const wire::Frame&) {
                       fetch_links_.push_back(link);
                       net::serve_pieces(link,
                                         [this](const Digest& sha256, std::uint64_t offset, std::uint32_t length) {
                                           return shard_.read_piece(sha256, offset, length);
                                         });
                     }),
        next_(io_,
              [this](std::shared_ptr<net::Link> link, const wire::Frame& first) {
                data_link_ = std::move(link);
                net::Link::Handlers handlers;
                handlers.on_frame = [this](wire::Frame frame) { arrived_.push_back(std::move(frame)); };
                handlers.on_closed = [](const Error&) {};
                data_link_->start(std::move(handlers));
                data_link_->send(first.message);
              }),
        store_(std::move(*model::ShardStore::open(folder_ / "store"))),
        table_(
            io_, transport_, *store_, 1, kJournalBytesMax,
            [this](const wire::Message& message, const std::shared_ptr<const Bytes>& raw) {
              told_.push_back({message, raw ? *raw : Bytes()});
            },
            [this] {
              return FetchSource{coordinator_.id(), "the coordinator", {coordinator_.endpoint()}};
            }) {}

  void set_plan(std::uint64_t epoch) {
    wire::PlanStage own, next;
    own.stage = kStage;
    own.node = transport_.identity().id();
    next.stage = kNext;
    next.node = next_.id();
    next.addresses = {"127.0.0.1"};
    next.data_port = next_.endpoint().port;
    if (is_last_) {
      table_.set_plan({Epoch{epoch}, {next, own}});
    } else {
      table_.set_plan({Epoch{epoch}, {own, next}});
    }
  }
  void load(bool is_last) {
    is_last_ = is_last;
    set_plan(1);
    wire::LoadStage order;
    order.stage = kStage;
    order.range = shard_.layout.range;
    order.is_first = !is_last;
    order.is_last = is_last;
    order.shard_bytes = shard_.layout.file_bytes;
    for (const auto& piece : shard_.layout.pieces)
      order.pieces.push_back({piece.sha256, piece.offset, piece.size_bytes});
    order.settings.context_tokens_max = 64;
    order.settings.kv_tokens_total = 256;
    table_.load(order);
    ASSERT_TRUE(run_until([&] { return find<wire::StageReady>() || find<wire::StageFailed>(); }));
    ASSERT_FALSE(find<wire::StageFailed>());
  }
  template <typename T>
  const wire::Frame* find() const {
    for (const auto& frame : told_) {
      if (std::holds_alternative<T>(frame.message)) return &frame;
    }
    return nullptr;
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }
  std::size_t width() const { return shard_.manifest.embedding_length; }

  // The same rows for every sequence.
  wire::Step step(std::uint64_t id) const {
    wire::Step step;
    step.epoch = epoch_;
    step.step = StepId{id};
    step.to_stage = kStage;
    step.has_tokens = !is_last_;
    for (std::uint32_t i = 0; i < kRows; ++i) {
      step.rows.push_back({SequenceId{id}, i, is_last_ ? 0 : static_cast<Token>(5 + i), 2});
    }
    return step;
  }
  // What the next stage's node gets of a step.
  wire::Frame sent_on(std::uint64_t id) {
    arrived_.clear();
    table_.on_step(step(id), {});
    EXPECT_TRUE(run_until([&] { return !arrived_.empty(); }));
    return arrived_.empty() ? wire::Frame{wire::Step{}, {}} : arrived_.front();
  }
  static ActivationType type_of(const wire::Frame& frame) { return std::get<wire::Step>(frame.message).activations; }
  // What the last stage tells the coordinator of a step with these hidden states.
  wire::Frame answer(std::uint64_t id, ActivationType type, Bytes raw) {
    told_.clear();
    wire::Step asked = step(id);
    asked.activations = type;
    table_.on_step(asked, std::move(raw));
    EXPECT_TRUE(run_until([&] { return !told_.empty(); }));
    return told_.empty() ? wire::Frame{} : told_.front();
  }

  test::TestShard shard_;
  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  net::Transport transport_{io_, net::Identity::generate()};
  std::vector<std::shared_ptr<net::Link>> fetch_links_;
  std::shared_ptr<net::Link> data_link_;
  std::vector<wire::Frame> arrived_;
  std::vector<wire::Frame> told_;
  Epoch epoch_{1};
  bool is_last_ = false;
  test::Peer coordinator_, next_;
  std::unique_ptr<model::ShardStore> store_;
  StageTable table_;
};

TEST_F(StageActivationsTest, TheyGoOnAsOrderedUntilTheNextPlan) {
  load(false);
  const wire::Frame plain = sent_on(1);
  EXPECT_EQ(type_of(plain), ActivationType::kF32);
  ASSERT_EQ(plain.raw.size(), kRows * width() * sizeof(float));
  std::vector<float> exact(kRows * width());
  std::memcpy(exact.data(), plain.raw.data(), plain.raw.size());

  std::uint64_t id = 2;
  for (const ActivationType type : {ActivationType::kF16, ActivationType::kQ8_0}) {
    SCOPED_TRACE(to_string(type));
    table_.set_activations({epoch_, kStage, type});
    const wire::Frame packed = sent_on(id++);
    EXPECT_EQ(type_of(packed), type);
    ASSERT_EQ(packed.raw.size(), kRows * *activation_row_bytes(type, width()));
    // The rows are equal in every company, so they are those of the first step.
    EXPECT_EQ(packed.raw, *engine::pack_activations(exact, width(), type));
  }
  table_.set_activations({Epoch{9}, kStage, ActivationType::kF32});
  table_.set_activations({epoch_, kNext, ActivationType::kF32});
  EXPECT_EQ(type_of(sent_on(id++)), ActivationType::kQ8_0) << "orders of another plan or stage change nothing";
  epoch_ = Epoch{2};
  set_plan(2);
  const wire::Frame again = sent_on(id++);
  EXPECT_EQ(type_of(again), ActivationType::kF32);
  EXPECT_EQ(again.raw, plain.raw);
}

TEST_F(StageActivationsTest, AnyTypeIsUnderstoodAndWrongSizesAreAnswered) {
  load(true);
  SplitMix64 random(3);
  std::vector<float> hidden(kRows * width());
  for (float& value : hidden) value = static_cast<float>(random.below(64)) / 16 - 2;  // f16 keeps these
  Bytes raw(hidden.size() * sizeof(float));
  std::memcpy(raw.data(), hidden.data(), raw.size());
  const Bytes half = *engine::pack_activations(hidden, width(), ActivationType::kF16);
  const Bytes eighth = *engine::pack_activations(hidden, width(), ActivationType::kQ8_0);

  const wire::Frame plain = answer(1, ActivationType::kF32, raw);
  ASSERT_TRUE(std::holds_alternative<wire::StepResult>(plain.message));
  EXPECT_EQ(answer(2, ActivationType::kF16, half).raw, plain.raw) << "the same values, the same bits";
  EXPECT_TRUE(std::holds_alternative<wire::StepResult>(answer(3, ActivationType::kQ8_0, eighth).message));

  const auto refused = [&](std::uint64_t id, ActivationType type, Bytes bytes) {
    const wire::Frame told = answer(id, type, std::move(bytes));
    const auto* failed = std::get_if<wire::StepFailed>(&told.message);
    return failed != nullptr && failed->code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused(4, ActivationType::kF16, raw));
  EXPECT_TRUE(refused(5, ActivationType::kQ8_0, half));
  EXPECT_TRUE(refused(6, ActivationType::kF16, {}));
  EXPECT_EQ(answer(7, ActivationType::kF32, raw).raw, plain.raw) << "the stage is as it was";
}

// Goal: what a successor that is new gets from the journal are the bytes that were sent before, under the new plan.
TEST_F(StageActivationsTest, AReplayIsWhatWasSentBefore) {
  load(false);
  const wire::Frame before = sent_on(1);
  const std::size_t row_bytes = before.raw.size() / kRows;
  epoch_ = Epoch{2};
  set_plan(2);
  const auto replayed = [&](std::uint32_t first, std::uint32_t count) {
    arrived_.clear();
    table_.replay({epoch_, StepId{9}, kStage, kNext, SequenceId{1}, first, count});
    EXPECT_TRUE(run_until([&] { return !arrived_.empty(); }));
    return arrived_.empty() ? wire::Frame{wire::Step{}, {}} : arrived_.front();
  };
  const wire::Frame all = replayed(0, kRows);
  EXPECT_EQ(all.raw, before.raw);
  const auto& step = std::get<wire::Step>(all.message);
  EXPECT_EQ(step.epoch, epoch_);
  EXPECT_EQ(step.step, StepId{9});
  EXPECT_EQ(step.to_stage, kNext);
  EXPECT_EQ(step.ends_at, kNext);
  EXPECT_THAT(step.frees, ElementsAre(SequenceId{1}));
  ASSERT_EQ(step.rows.size(), kRows);
  EXPECT_EQ(step.rows[1], (wire::StepRow{SequenceId{1}, 1, 0, 0}));
  const wire::Frame some = replayed(1, 2);
  EXPECT_EQ(some.raw, Bytes(before.raw.begin() + static_cast<std::ptrdiff_t>(row_bytes), before.raw.end()));
  EXPECT_TRUE(std::get<wire::Step>(some.message).frees.empty());

  told_.clear();
  table_.replay({epoch_, StepId{10}, kStage, kNext, SequenceId{1}, 1, kRows});  // one row more than there are
  table_.replay({Epoch{1}, StepId{11}, kStage, kNext, SequenceId{1}, 0, 1});    // of an old plan
  table_.replay({epoch_, StepId{12}, StageId{77}, kNext, SequenceId{1}, 0, 1});
  const auto* failed = find<wire::StepFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(std::get<wire::StepFailed>(failed->message).step, StepId{10});
  EXPECT_EQ(std::get<wire::StepFailed>(failed->message).code, ErrorCode::kNotFound);
  EXPECT_EQ(told_.size(), 1u);
}

// Goal: a step that ends here is told of to the coordinator, and goes no further.
TEST_F(StageActivationsTest, AStepEndsWhereItShould) {
  load(false);
  wire::Step asked = step(1);
  asked.ends_at = kStage;
  table_.on_step(asked, {});
  ASSERT_TRUE(run_until([&] { return find<wire::StepResult>() != nullptr; }));
  EXPECT_TRUE(std::get<wire::StepResult>(find<wire::StepResult>()->message).candidate_counts.empty());
  sent_on(2);  // comes behind it
  EXPECT_EQ(std::get<wire::Step>(arrived_.front().message).step, StepId{2});
}

}  // namespace
}  // namespace shoal::node
