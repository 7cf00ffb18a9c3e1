// Goal: hidden states go on in the type that was ordered for this plan, and are understood in any. How: a small model
// as one stage of a real table, behind which a peer writes down what comes over its data link.
#include "engine/activations.h"

#include <cstring>

#include "base/random.h"
#include "node/node_test_support.h"
#include "node/stage_table.h"

namespace shoal::node {
namespace {

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
            io_, transport_, *store_, 1,
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

}  // namespace
}  // namespace shoal::node
