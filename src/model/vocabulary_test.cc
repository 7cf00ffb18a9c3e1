#include "model/vocabulary.h"

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "gguf.h"

namespace shoal::model {
namespace {

namespace fs = std::filesystem;

fs::path vocabulary_file(const std::string& name) {
  return fs::path(SHOAL_LLAMA_SOURCE_DIR) / "models" / ("ggml-vocab-" + name + ".gguf");
}

std::shared_ptr<const Vocabulary> load(const fs::path& path) {
  auto loaded = Vocabulary::load(path);
  EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().message);
  return loaded.ok() ? *loaded : nullptr;
}

// A directory of this test's own, removed at its end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_(fs::temp_directory_path() / ("shoal-vocabulary-" + to_hex(secure_random(8)))) {
    fs::create_directories(path_);
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// A copy of a vocabulary file with other metadata.
template <typename Change>
fs::path changed_copy(const std::string& name, const fs::path& out, Change change) {
  gguf_context* gguf = gguf_init_from_file(vocabulary_file(name).c_str(), {.no_alloc = true, .ctx = nullptr});
  EXPECT_NE(gguf, nullptr);
  change(gguf);
  EXPECT_TRUE(gguf_write_to_file(gguf, out.c_str(), true));
  gguf_free(gguf);
  return out;
}

std::string joined_pieces(const Vocabulary& vocabulary, const std::vector<Token>& tokens) {
  std::string text;
  for (const Token token : tokens) text += vocabulary.piece(token);
  return text;
}

const std::vector<std::string> kTexts = {
    "Hello, world!",
    "Fische schwimmen über 3 Brücken – ganz ruhig.",
    "鱼群在海里游。",
    "two  spaces,\ttab\nnewline\n\n  and  an end  ",
    "🐟🐠🐡 👨‍👩‍👧‍👦 e\u0301",
    "for (int i = 0; i < 10; ++i) { a[i] += 0x1F; }",
};

class RealVocabulary : public testing::TestWithParam<std::string> {};

// Goal: text survives tokens and back, when it continues another text (the first piece of SPM carries the space that
// stands for the start of a text).
TEST_P(RealVocabulary, RoundTripsText) {
  const auto vocabulary = load(vocabulary_file(GetParam()));
  ASSERT_NE(vocabulary, nullptr);
  EXPECT_GT(vocabulary->size(), 30'000u);
  for (const std::string& text : kTexts) {
    const std::vector<Token> tokens = vocabulary->tokenize(text, false, false);
    ASSERT_FALSE(tokens.empty());
    const std::string back = joined_pieces(*vocabulary, tokens);
    const bool prefixed = GetParam() == "llama-spm" || GetParam() == "phi-3";
    EXPECT_EQ(back, (prefixed ? " " : "") + text);
  }
}

// Goal: a character that no single token holds comes in pieces which are not UTF-8 by themselves and are together.
TEST_P(RealVocabulary, SplitsRareCharactersIntoBytes) {
  const auto vocabulary = load(vocabulary_file(GetParam()));
  ASSERT_NE(vocabulary, nullptr);
  const std::string text = "\U00012345";  // a cuneiform sign
  const std::vector<Token> tokens = vocabulary->tokenize(text, false, false);
  std::size_t inside = 0;  // pieces that begin within the character
  for (const Token token : tokens) {
    const std::string piece = vocabulary->piece(token);
    if (!piece.empty() && (static_cast<unsigned char>(piece[0]) & 0xc0) == 0x80) ++inside;
  }
  EXPECT_GE(inside, 1u);
  EXPECT_THAT(joined_pieces(*vocabulary, tokens), testing::EndsWith(text));
}

TEST_P(RealVocabulary, TakesAnyBytesAndAnyToken) {
  const auto vocabulary = load(vocabulary_file(GetParam()));
  ASSERT_NE(vocabulary, nullptr);
  EXPECT_EQ(vocabulary->piece(-1), "");
  EXPECT_EQ(vocabulary->piece(static_cast<Token>(vocabulary->size())), "");
  EXPECT_FALSE(vocabulary->ends_generation(-1));
  EXPECT_FALSE(vocabulary->ends_generation(static_cast<Token>(vocabulary->size())));
  EXPECT_TRUE(vocabulary->tokenize("", false, false).empty());
  SplitMix64 random(1);
  for (int i = 0; i < 50; ++i) {
    std::string bytes(random.below(200), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    for (const Token token : vocabulary->tokenize(bytes, true, true)) {
      ASSERT_GE(token, 0);
      ASSERT_LT(token, static_cast<Token>(vocabulary->size()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, RealVocabulary, testing::Values("llama-spm", "llama-bpe", "qwen2", "phi-3"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Vocabulary, ControlTokensEndGenerationAndHaveNoText) {
  const auto vocabulary = load(vocabulary_file("qwen2"));
  ASSERT_NE(vocabulary, nullptr);
  const std::vector<Token> parsed = vocabulary->tokenize("<|im_end|>", false, true);
  ASSERT_EQ(parsed.size(), 1u);
  EXPECT_TRUE(vocabulary->ends_generation(parsed[0]));
  EXPECT_EQ(vocabulary->piece(parsed[0]), "");
  EXPECT_GT(vocabulary->tokenize("<|im_end|>", false, false).size(), 1u);
  EXPECT_FALSE(vocabulary->ends_generation(vocabulary->tokenize("fish", false, false)[0]));
}

TEST(Vocabulary, AddsTheBosThatTheModelAsksFor) {
  const auto spm = load(vocabulary_file("llama-spm"));
  ASSERT_NE(spm, nullptr);
  EXPECT_EQ(spm->tokenize("fish", true, false).front(), 1);
  EXPECT_NE(spm->tokenize("fish", false, false).front(), 1);
}

TEST(Vocabulary, AppliesChatMlWhereTheModelHasNoTemplate) {
  const TemporaryDirectory directory;
  const auto vocabulary = load(changed_copy("qwen2", directory.path() / "m.gguf", [](gguf_context* gguf) {
    gguf_remove_key(gguf, "tokenizer.chat_template");
  }));
  ASSERT_NE(vocabulary, nullptr);
  EXPECT_FALSE(vocabulary->has_chat_template());
  const auto prompt = vocabulary->apply_chat_template({{"system", "Be brief."}, {"user", "Hi"}});
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(*prompt,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('tools are not for me') }}"
    "{% endif %}[{{ m.role }}] {{ m.content | trim }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif "
    "%}";

// Goal: the model's own template is used, without the BOS that tokenize() adds; what it refuses is said in one line.
TEST(Vocabulary, AppliesTheModelsOwnTemplate) {
  const TemporaryDirectory directory;
  const auto vocabulary = load(changed_copy("llama-spm", directory.path() / "m.gguf", [](gguf_context* gguf) {
    gguf_set_val_str(gguf, "tokenizer.chat_template", kTemplate);
  }));
  ASSERT_NE(vocabulary, nullptr);
  EXPECT_TRUE(vocabulary->has_chat_template());
  const auto prompt = vocabulary->apply_chat_template({{"user", " Hi "}, {"assistant", "Yes?"}, {"user", "{{ 1 }}"}});
  ASSERT_TRUE(prompt.ok()) << prompt.error().message;
  EXPECT_EQ(*prompt, "[user] Hi\n[assistant] Yes?\n[user] {{ 1 }}\n[assistant]");

  const auto refused = vocabulary->apply_chat_template({{"tool", "x"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("tools are not for me"));
  EXPECT_THAT(refused.error().message, testing::Not(testing::HasSubstr("\n")));
}

TEST(Vocabulary, ReportsATemplateItCannotParse) {
  const TemporaryDirectory directory;
  const auto vocabulary = load(changed_copy("llama-spm", directory.path() / "m.gguf", [](gguf_context* gguf) {
    gguf_set_val_str(gguf, "tokenizer.chat_template", "{% for %}{{");
  }));
  ASSERT_NE(vocabulary, nullptr);
  const auto prompt = vocabulary->apply_chat_template({{"user", "Hi"}});
  ASSERT_FALSE(prompt.ok());
  EXPECT_EQ(prompt.error().code, ErrorCode::kUnsupported);
}

TEST(Vocabulary, RefusesWhatIsNoModel) {
  const TemporaryDirectory directory;
  const auto written = [&](const std::string& content) {
    const fs::path path = directory.path() / "bad.gguf";
    std::ofstream(path, std::ios::binary) << content;
    return path;
  };
  const auto code_of = [](const fs::path& path) {
    const auto loaded = Vocabulary::load(path);
    EXPECT_FALSE(loaded.ok());
    if (loaded.ok()) return ErrorCode::kInternal;
    EXPECT_THAT(loaded.error().message, testing::HasSubstr(path.string()));
    EXPECT_THAT(loaded.error().message, testing::Not(testing::HasSubstr("\n")));
    return loaded.error().code;
  };
  EXPECT_EQ(code_of(directory.path() / "missing.gguf"), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(written("")), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of(written("hello")), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of(written(std::string("GGUF\x09\0\0\0", 8) + std::string(64, '\0'))), ErrorCode::kUnsupported);
  EXPECT_EQ(code_of(written(std::string("GGUF\x03\0\0\0", 8) + std::string(64, '\xff'))), ErrorCode::kCorrupt);

  std::ifstream whole(vocabulary_file("phi-3"), std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(whole)), {});
  for (const std::size_t size : {std::size_t{24}, std::size_t{100}, content.size() / 2}) {
    EXPECT_EQ(code_of(written(content.substr(0, size))), ErrorCode::kCorrupt) << size;
  }
  const fs::path no_vocabulary = changed_copy("phi-3", directory.path() / "none.gguf", [](gguf_context* gguf) {
    gguf_set_val_str(gguf, "tokenizer.ggml.model", "no_vocab");
  });
  EXPECT_EQ(code_of(no_vocabulary), ErrorCode::kUnsupported);
}

// Goal: a split set is loaded by its first part; one that lacks a part is refused.
TEST(Vocabulary, LoadsSplitSets) {
  const TemporaryDirectory directory;
  for (std::uint16_t part = 0; part < 2; ++part) {
    const std::string name = "m-0000" + std::to_string(part + 1) + "-of-00002.gguf";
    changed_copy("llama-spm", directory.path() / name, [&](gguf_context* gguf) {
      gguf_set_val_u16(gguf, "split.no", part);
      gguf_set_val_u16(gguf, "split.count", 2);
      gguf_set_val_i32(gguf, "split.tensors.count", 0);
    });
  }
  const auto vocabulary = load(directory.path() / "m-00001-of-00002.gguf");
  ASSERT_NE(vocabulary, nullptr);
  EXPECT_EQ(vocabulary->size(), 32'000u);
  fs::remove(directory.path() / "m-00002-of-00002.gguf");
  EXPECT_FALSE(Vocabulary::load(directory.path() / "m-00001-of-00002.gguf").ok());
}

}  // namespace
}  // namespace shoal::model
