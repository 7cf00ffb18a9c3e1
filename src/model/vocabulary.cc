#include "model/vocabulary.h"

#include <array>
#include <cstdint>
#include <exception>
#include <limits>

#include <fmt/format.h>

#include "base/file.h"
#include "llama.h"
#include "model/chat_template.h"
#include "model/llama_log.h"

namespace shoal::model {
namespace {

// llama.cpp counts text and tokens in int32; half of that leaves room for what tokenizers add.
constexpr std::size_t kTextBytesMax = std::size_t{1} << 30;
// The smallest GGUF header: magic, version, tensor count, metadata count.
constexpr std::uint64_t kHeaderBytes = 24;

struct FreeModel {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
using ModelPointer = std::unique_ptr<llama_model, FreeModel>;

// Cheap and first: garbage never gets as far as llama.cpp.
Status check_header(const std::filesystem::path& gguf) {
  SHOAL_ASSIGN_OR_RETURN(const FileDescriptor file, FileDescriptor::open_read(gguf));
  SHOAL_ASSIGN_OR_RETURN(const std::uint64_t size, file.size(gguf));
  std::array<std::uint8_t, kHeaderBytes> header{};
  if (size >= kHeaderBytes) SHOAL_RETURN_IF_ERROR(file.read_at(0, header, gguf));
  if (as_text(header).substr(0, 4) != "GGUF") {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is no GGUF file: give a model in GGUF format", gguf.string())};
  }
  const auto version = load_le<std::uint32_t>(header.data() + 4);
  if (version < 2 || version > 3) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} has GGUF version {}: versions 2 and 3 are known", gguf.string(), version)};
  }
  return {};
}

class LlamaVocabulary final : public Vocabulary {
 public:
  explicit LlamaVocabulary(ModelPointer model)
      : model_(std::move(model)), vocab_(llama_model_get_vocab(model_.get())), template_(model_.get()) {}

  std::uint32_t size() const override { return static_cast<std::uint32_t>(llama_vocab_n_tokens(vocab_)); }

  std::vector<Token> tokenize(std::string_view text, bool add_special, bool parse_special) const override {
    static_assert(std::is_same_v<Token, llama_token>);
    text = text.substr(0, kTextBytesMax);
    std::vector<Token> tokens(text.size() / 3 + 16);
    for (int attempt = 0; attempt < 2; ++attempt) {
      std::int32_t count = 0;
      try {
        count = llama_tokenize(vocab_, text.data(), static_cast<std::int32_t>(text.size()), tokens.data(),
                               static_cast<std::int32_t>(tokens.size()), add_special, parse_special);
      } catch (const std::exception&) {  // text that the tokenizer's tables have no entry for
        return {};
      }
      if (count == std::numeric_limits<std::int32_t>::min()) return {};
      tokens.resize(static_cast<std::size_t>(count < 0 ? -count : count));
      if (count >= 0) break;
    }
    return tokens;
  }

  std::string piece(Token token) const override {
    if (token < 0 || token >= llama_vocab_n_tokens(vocab_)) return {};
    std::string bytes(32, '\0');
    for (int attempt = 0; attempt < 2; ++attempt) {
      const std::int32_t count =
          llama_token_to_piece(vocab_, token, bytes.data(), static_cast<std::int32_t>(bytes.size()), 0, false);
      bytes.resize(static_cast<std::size_t>(count < 0 ? -count : count));
      if (count >= 0) break;
    }
    return bytes;
  }

  bool ends_generation(Token token) const override {
    return token >= 0 && token < llama_vocab_n_tokens(vocab_) && llama_vocab_is_eog(vocab_, token);
  }

  bool has_chat_template() const override { return template_.from_model(); }

  Result<std::string> apply_chat_template(const std::vector<ChatMessage>& messages) const override {
    return template_.apply(messages);
  }

 private:
  ModelPointer model_;
  const llama_vocab* vocab_;
  ChatTemplate template_;
};

}  // namespace

Result<std::shared_ptr<const Vocabulary>> Vocabulary::load(const std::filesystem::path& gguf) {
  SHOAL_RETURN_IF_ERROR(check_header(gguf));
  route_llama_log();
  (void)take_llama_error();
  llama_model_params parameters = llama_model_default_params();
  parameters.vocab_only = true;
  ModelPointer model;
  try {
    model.reset(llama_model_load_from_file(gguf.c_str(), parameters));
  } catch (const std::exception& exception) {
    return Error{ErrorCode::kCorrupt, fmt::format("cannot read the vocabulary of {} (truncated or corrupt?): {}",
                                                  gguf.string(), exception.what())};
  }
  if (model == nullptr) {
    const std::string reason = take_llama_error();
    return Error{ErrorCode::kCorrupt,
                 fmt::format("cannot read the vocabulary of {} (truncated or corrupt?): {}", gguf.string(),
                             reason.empty() ? "llama.cpp gives no reason" : reason)};
  }
  if (llama_vocab_type(llama_model_get_vocab(model.get())) == LLAMA_VOCAB_TYPE_NONE) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} has no vocabulary (a stage that was cut out?): give the whole model", gguf.string())};
  }
  return std::shared_ptr<const Vocabulary>(std::make_shared<LlamaVocabulary>(std::move(model)));
}

}  // namespace shoal::model
