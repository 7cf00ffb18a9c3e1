// Goal: drafts are what the draft model would say itself, however its texts were read, interrupted and mixed; what
// makes no sense is answered with none.
#include "draft/drafter.h"

#include <cstdlib>
#include <filesystem>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>

#include "base/random.h"
#include "draft/draft_model.h"
#include "make_model/make_model.h"

namespace shoal::draft {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DrafterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string folder = (std::filesystem::temp_directory_path() / "shoal-draft-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
    model_ = folder_ / "draft.gguf";
    tools::ModelOptions options;
    options.layers = 2;
    options.vocabulary = std::filesystem::path(SHOAL_VOCABULARY_DIR) / "ggml-vocab-llama-spm.gguf";
    const auto made = tools::make_model(options, model_);
    ASSERT_TRUE(made.ok()) << made.error().message;
    vocabulary_ = *model::Vocabulary::load(model_);
  }
  static void TearDownTestSuite() {
    vocabulary_.reset();
    std::filesystem::remove_all(folder_);
  }

  static DrafterOptions options(std::uint32_t sequences = 4, std::uint32_t cells = 512) {
    DrafterOptions options;
    options.settings.context_tokens_max = 256;
    options.settings.sequences_max = sequences;
    options.settings.kv_tokens_total = cells;
    options.settings.exact = ExactMode::kOn;  // so that equal texts give equal drafts, whatever is beside them
    return options;
  }
  static std::unique_ptr<Drafter> load(const DrafterOptions& options) {
    auto drafter = Drafter::load(model_, *vocabulary_, options);
    EXPECT_TRUE(drafter.ok()) << drafter.error().message;
    return std::move(*drafter);
  }
  static std::vector<Token> text(std::uint64_t seed, std::size_t length) {
    SplitMix64 random(seed);
    std::vector<Token> tokens(length);
    for (Token& token : tokens) token = static_cast<Token>(3 + random.below(200));
    return tokens;
  }
  static std::vector<Token> alone(const std::vector<Token>& text, std::uint32_t count) {
    auto drafter = load(options());
    drafter->tell(1, 0, text);
    while (drafter->catch_up()) continue;
    return drafter->draft(std::vector<Wish>{{1, count}}).at(0);
  }

  inline static std::filesystem::path folder_, model_;
  inline static std::shared_ptr<const model::Vocabulary> vocabulary_;
};

TEST_F(DrafterTest, DraftsAreTheModelsOwnContinuation) {
  const auto prompt = text(1, 20);
  const auto long_draft = alone(prompt, 8);
  ASSERT_THAT(long_draft, SizeIs(8));
  // One by one, each told as the next token: the same.
  auto drafter = load(options());
  drafter->tell(7, 0, prompt);
  std::uint32_t told = 20;
  for (const Token expected : long_draft) {
    const auto drafts = drafter->draft(std::vector<Wish>{{7, 1}}).at(0);
    ASSERT_THAT(drafts, ElementsAre(expected));
    drafter->tell(7, told++, drafts);
  }
}

TEST_F(DrafterTest, GoesOnAfterDraftsThatDidNotComeTrue) {
  auto drafter = load(options());
  auto known = text(2, 70);
  drafter->tell(1, 0, known);
  EXPECT_THAT(drafter->draft(std::vector<Wish>{{1, 4}}).at(0), IsEmpty());  // 70 tokens are not read yet
  while (drafter->catch_up()) continue;
  SplitMix64 random(5);
  for (int i = 0; i < 12; ++i) {
    const auto drafts = drafter->draft(std::vector<Wish>{{1, 5}}).at(0);
    ASSERT_EQ(drafts, alone(known, 5)) << i;
    // Some of them come true, then comes another token.
    std::vector<Token> next(drafts.begin(), drafts.begin() + static_cast<std::ptrdiff_t>(random.below(6)));
    next.push_back(static_cast<Token>(3 + random.below(200)));
    drafter->tell(1, static_cast<std::uint32_t>(known.size()), next);
    known.insert(known.end(), next.begin(), next.end());
  }
}

TEST_F(DrafterTest, TextsTogetherAreGuessedAsAlone) {
  auto drafter = load(options());
  std::vector<Wish> wishes;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    drafter->tell(id, 0, text(id, 10 + 7 * id));
    wishes.push_back({id, static_cast<std::uint32_t>(id + 1)});
  }
  const auto drafts = drafter->draft(wishes);  // 38 rows a text at most: more than one step
  for (std::uint64_t id = 1; id <= 4; ++id) {
    const auto length = 10 + 7 * id;
    if (length > Drafter::kUnreadMax) {
      EXPECT_THAT(drafts[id - 1], IsEmpty());
    } else {
      EXPECT_EQ(drafts[id - 1], alone(text(id, length), static_cast<std::uint32_t>(id + 1)));
    }
  }
}

// Cells for two of the texts: the others' are taken, and read again when they are asked for.
TEST_F(DrafterTest, CellsAreTakenFromTheTextUsedLeast) {
  auto drafter = load(options(4, 160));
  for (std::uint64_t id = 1; id <= 4; ++id) drafter->tell(id, 0, text(id, 60));
  for (int i = 0; i < 100 && drafter->catch_up(); ++i) continue;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    auto drafts = drafter->draft(std::vector<Wish>{{id, 3}}).at(0);
    if (drafts.empty()) {
      for (int i = 0; i < 3; ++i) drafter->catch_up();  // the one used last is read first
      drafts = drafter->draft(std::vector<Wish>{{id, 3}}).at(0);
    }
    EXPECT_EQ(drafts, alone(text(id, 60), 3)) << id;
  }
}

TEST_F(DrafterTest, WhatMakesNoSenseGetsNoGuess) {
  auto drafter = load(options(2));
  drafter->tell(1, 5, text(1, 3));  // its beginning is missing
  drafter->tell(2, 0, text(2, 10));
  drafter->tell(2, 11, text(2, 1));  // a token is missing
  drafter->tell(3, 0, text(3, 255));
  while (drafter->catch_up()) continue;
  EXPECT_THAT(drafter->draft(std::vector<Wish>{{1, 2}, {2, 2}, {3, 8}, {9, 1}}), Each(IsEmpty()));
  drafter->tell(4, 0, text(4, 9));
  drafter->tell(5, 0, text(5, 9));  // a third text: the first of them is forgotten
  EXPECT_THAT(drafter->draft(std::vector<Wish>{{3, 1}}).at(0), IsEmpty());
  EXPECT_THAT(drafter->draft(std::vector<Wish>{{4, 2}, {5, 2}}), Each(SizeIs(2)));
  drafter->forget(4);
  drafter->forget(4);
  EXPECT_THAT(drafter->draft(std::vector<Wish>{{4, 2}}).at(0), IsEmpty());
}

TEST_F(DrafterTest, OnItsThreadItAnswersWhatIsAsked) {
  boost::asio::io_context io;
  auto model = DraftModel::open(io, model_, *vocabulary_, options());
  ASSERT_TRUE(model.ok()) << model.error().message;
  sched::Drafted answer;
  (*model)->ask({0, {{1, 0, text(1, 12), 0}}}, {});
  (*model)->ask({3, {{1, 12, {40}, 4}, {2, 0, text(2, 12), 4}}}, [&](sched::Drafted drafted) { answer = drafted; });
  const auto work = boost::asio::make_work_guard(io);
  while (answer.ask == 0) io.run_one_for(std::chrono::seconds(30));
  EXPECT_EQ(answer.ask, 3u);
  ASSERT_THAT(answer.texts, SizeIs(2));
  EXPECT_THAT(answer.texts[0].tokens, SizeIs(4));
  EXPECT_THAT(answer.texts[1].tokens, SizeIs(4));
  (*model)->forget(1);
}

// A vocabulary of which some tokens are other ones.
class OtherWords final : public model::Vocabulary {
 public:
  OtherWords(std::shared_ptr<const model::Vocabulary> like, Token other) : like_(std::move(like)), other_(other) {}
  std::uint32_t size() const override { return like_->size() + 8; }
  std::vector<Token> tokenize(std::string_view text, bool add, bool parse) const override {
    return like_->tokenize(text, add, parse);
  }
  std::string piece(Token token) const override { return token == other_ ? "other" : like_->piece(token); }
  bool ends_generation(Token token) const override { return like_->ends_generation(token); }
  bool has_chat_template() const override { return false; }
  Result<std::string> apply_chat_template(const std::vector<model::ChatMessage>& messages) const override {
    return like_->apply_chat_template(messages);
  }

 private:
  std::shared_ptr<const model::Vocabulary> like_;
  Token other_;
};

TEST_F(DrafterTest, RefusesAnotherVocabulary) {
  EXPECT_TRUE(check_vocabularies(*vocabulary_, *vocabulary_).ok());
  EXPECT_TRUE(check_vocabularies(OtherWords(vocabulary_, -1), *vocabulary_).ok());  // longer by a few
  const Status refused = check_vocabularies(OtherWords(vocabulary_, 100), *vocabulary_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("token 100"));
}

}  // namespace
}  // namespace shoal::draft
