#include "coordinator/text_stream.h"

#include <map>

#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::coordinator {
namespace {

// Tokens are indices into a list of byte strings; kEnd ends generation.
class ListVocabulary final : public model::Vocabulary {
 public:
  static constexpr Token kEnd = 1000;
  explicit ListVocabulary(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}

  std::uint32_t size() const override { return 1001; }
  std::vector<Token> tokenize(std::string_view, bool, bool) const override { return {}; }
  std::string piece(Token token) const override {
    return static_cast<std::size_t>(token) < pieces_.size() ? pieces_[static_cast<std::size_t>(token)] : "";
  }
  bool ends_generation(Token token) const override { return token == kEnd; }
  bool has_chat_template() const override { return false; }
  Result<std::string> apply_chat_template(const std::vector<model::ChatMessage>&) const override {
    return std::string();
  }

 private:
  std::vector<std::string> pieces_;
};

// What a client sees: every delta, and "$" where the stream ended by itself.
std::vector<std::string> stream(const std::vector<std::string>& pieces, const std::vector<std::string>& stop) {
  const ListVocabulary vocabulary(pieces);
  TextStream text(vocabulary, stop);
  std::vector<std::string> seen;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto update = text.feed(pieces[i] == "<end>" ? ListVocabulary::kEnd : static_cast<Token>(i));
    seen.push_back(update.delta.text);
    if (update.ended) {
      seen.push_back("$");
      break;
    }
  }
  seen.push_back(text.finish().text);
  return seen;
}

using Seen = std::vector<std::string>;

TEST(TextStream, SendsPiecesAsTheyCome) {
  EXPECT_EQ(stream({"Hel", "lo", " fish"}, {}), (Seen{"Hel", "lo", " fish", ""}));
  EXPECT_EQ(stream({"Hel", "<end>", "never"}, {}), (Seen{"Hel", "", "$", ""}));
  EXPECT_EQ(stream({}, {}), (Seen{""}));
}

TEST(TextStream, KeepsCharactersWhole) {
  EXPECT_EQ(stream({"a\xf0", "\x9f\x90", "\x9f", "b"}, {}), (Seen{"a", "", "\xf0\x9f\x90\x9f", "b", ""}));
  EXPECT_EQ(stream({"\xc3"}, {}), (Seen{"", "\xef\xbf\xbd"}));                           // cut off by the limit
  EXPECT_EQ(stream({"\xc3", "\xc3", "\xbc"}, {}), (Seen{"", "\xef\xbf\xbd", "ü", ""}));  // broken off by another
  EXPECT_EQ(stream({"\xf0\x9f", "x"}, {}), (Seen{"", "\xef\xbf\xbdx", ""}));
  EXPECT_EQ(stream({"\xff"}, {}), (Seen{"\xef\xbf\xbd", ""}));  // begins no character: no wait
  EXPECT_EQ(stream({"\xc3", "<end>"}, {}), (Seen{"", "", "$", "\xef\xbf\xbd"}));
}

TEST(TextStream, NeverShowsAStopString) {
  EXPECT_EQ(stream({"one", "\n\ntwo"}, {"\n\n"}), (Seen{"one", "", "$", ""}));
  EXPECT_EQ(stream({"one\n", "\n", "two"}, {"\n\n"}), (Seen{"one", "", "$", ""}));
  EXPECT_EQ(stream({"one\n", "two"}, {"\n\n"}), (Seen{"one", "\ntwo", ""}));
  EXPECT_EQ(stream({"one\n"}, {"\n\n"}), (Seen{"one", "\n"}));                 // the limit: what was held back comes
  EXPECT_EQ(stream({"aaa", "ab"}, {"aab"}), (Seen{"a", "a", "$", ""}));        // a prefix that begins anew
  EXPECT_EQ(stream({"x", "abc"}, {"bc", "abcd"}), (Seen{"x", "a", "$", ""}));  // the first complete one decides
  EXPECT_EQ(stream({"xEND", "y"}, {"END", "x"}), (Seen{"", "$", ""}));         // the leftmost one decides
  EXPECT_EQ(stream({"grü\xc3", "\x9f", "e"}, {"üße"}), (Seen{"gr", "", "", "$", ""}));
  EXPECT_EQ(stream({"one"}, {""}), (Seen{"one", ""}));
}

// Goal: however text is cut into tokens, the client sees what a search over the whole text would give.
TEST(TextStream, DoesNotDependOnWhereTokensEnd) {
  SplitMix64 random(3);
  const std::vector<std::string> letters = {"a", "b", "ü", "🐟"};
  for (int round = 0; round < 3000; ++round) {
    std::string whole;
    for (std::uint64_t i = random.below(30); i > 0; --i) whole += letters[random.below(4)];
    std::vector<std::string> stop;
    for (std::uint64_t i = random.below(4); i > 0; --i) {
      std::string text;
      for (std::uint64_t n = 1 + random.below(4); n > 0; --n) text += letters[random.below(4)];
      stop.push_back(text);
    }
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < whole.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random.below(3), whole.size() - at);
      pieces.push_back(whole.substr(at, size));
      at += size;
    }
    // By the book: after which byte is a stop string first complete, and where does the leftmost of those begin?
    std::string expected = whole;
    std::size_t end = 0;
    for (const std::string& piece : pieces) {
      end += piece.size();
      std::size_t at = std::string::npos;
      for (const std::string& text : stop) at = std::min(at, whole.substr(0, end).find(text));
      if (at == std::string::npos) continue;
      expected = whole.substr(0, at);
      break;
    }
    std::string seen;
    for (const std::string& delta : stream(pieces, stop)) {
      EXPECT_EQ(utf8_replace_invalid(delta), delta);
      if (delta != "$") seen += delta;
    }
    ASSERT_EQ(seen, expected) << whole;
  }
}

TokenLogprobs logprobs_for(const std::string& bytes) {
  return {{0, bytes, -1.0}, {}};
}

// Goal: log-probabilities come with the text of their token, each once, none of the stop string.
TEST(TextStream, SendsLogprobsWithTheirText) {
  const std::vector<std::string> pieces = {"a", "\xc3", "\xbc\n", "b", "\n", "\n", "c"};
  const ListVocabulary vocabulary(pieces);
  TextStream text(vocabulary, {"\n\n"});
  std::vector<std::string> seen;  // bytes of each delta's tokens
  std::vector<std::uint32_t> counts;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto update = text.feed(static_cast<Token>(i), logprobs_for(pieces[i]));
    std::string bytes;
    for (const TokenLogprobs& entry : update.delta.logprobs) bytes += entry.chosen.bytes + "|";
    seen.push_back(bytes);
    counts.push_back(update.delta.tokens);
    if (update.ended) break;
  }
  EXPECT_EQ(seen, (Seen{"a|", "", "\xc3|", "\xbc\n|b|", "", ""}));
  EXPECT_EQ(counts, (std::vector<std::uint32_t>(6, 1)));
  EXPECT_TRUE(text.finish().logprobs.empty());
}

TEST(TextStream, TakesLogprobsFromLogits) {
  const ListVocabulary vocabulary({"x", "y", "z"});
  const model::Logits logits{{{2, 3.0f}, {0, 2.0f}, {1, 1.0f}}, 4.0};
  const TokenLogprobs entry = TextStream::logprobs_of(vocabulary, logits, 1, 2);
  EXPECT_EQ(entry.chosen.bytes, "x");
  EXPECT_DOUBLE_EQ(entry.chosen.logprob, -2.0);
  ASSERT_EQ(entry.best.size(), 2u);
  EXPECT_EQ(entry.best[0].bytes, "z");
  EXPECT_DOUBLE_EQ(entry.best[0].logprob, -1.0);
  EXPECT_EQ(TextStream::logprobs_of(vocabulary, logits, 0, 20).best.size(), 3u);
}

TEST(Utf8, FindsIncompleteTails) {
  EXPECT_EQ(utf8_incomplete_tail(""), 0u);
  EXPECT_EQ(utf8_incomplete_tail("a"), 0u);
  EXPECT_EQ(utf8_incomplete_tail("ü"), 0u);
  EXPECT_EQ(utf8_incomplete_tail("\xc3"), 1u);
  EXPECT_EQ(utf8_incomplete_tail("a\xf0\x9f\x90"), 3u);
  EXPECT_EQ(utf8_incomplete_tail("🐟"), 0u);
  EXPECT_EQ(utf8_incomplete_tail("\xe0\x80"), 0u);  // overlong: can never become a character
  EXPECT_EQ(utf8_incomplete_tail("\xed\xa0"), 0u);  // surrogate
  EXPECT_EQ(utf8_incomplete_tail("\xc0"), 0u);
}

}  // namespace
}  // namespace shoal::coordinator
