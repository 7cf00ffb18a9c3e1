// Text to tokens and back, by the model's own tokenizer and chat template (llama.cpp's vocabulary and `common`).
// Immutable after loading; every method may be called from any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/stage_spec.h"

namespace shoal::model {

struct ChatMessage {
  std::string role;  // system, user, assistant, tool
  std::string content;
};

class Vocabulary {
 public:
  // Loads only the vocabulary of a GGUF (no weights). kCorrupt, kUnsupported.
  static Result<std::shared_ptr<const Vocabulary>> load(const std::filesystem::path& gguf);
  virtual ~Vocabulary() = default;

  virtual std::uint32_t size() const = 0;
  // `add_special`: the BOS the model asks for; `parse_special`: "<|im_end|>" in the text is the control token.
  virtual std::vector<Token> tokenize(std::string_view text, bool add_special, bool parse_special) const = 0;
  // The bytes a token stands for: may be part of a UTF-8 character; empty for control tokens.
  virtual std::string piece(Token token) const = 0;
  virtual bool ends_generation(Token token) const = 0;
  virtual bool has_chat_template() const = 0;
  // The prompt for an answer of the assistant, by the model's own template (Jinja, through llama.cpp's `common`); a
  // model without one gets ChatML. kInvalidArgument: the template refuses these messages (says why).
  virtual Result<std::string> apply_chat_template(const std::vector<ChatMessage>& messages) const = 0;
};

}  // namespace shoal::model
