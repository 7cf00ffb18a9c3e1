// A model's chat template, rendered by llama.cpp's `common`. Only chat_template.cc includes common's headers: they
// bring their own JSON library. Part of Vocabulary; nothing else uses it. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/vocabulary.h"

struct llama_model;

namespace shoal::model {

class ChatTemplate {
 public:
  // `model` must outlive the call only. A model without a template gets ChatML. A template that cannot be parsed is
  // reported by apply(), so that plain completions work with such a model.
  explicit ChatTemplate(const llama_model* model);
  ~ChatTemplate();

  bool from_model() const { return from_model_; }
  // With the prompt for the assistant's answer at its end. The BOS that the tokenizer adds is left out.
  // kInvalidArgument: the template refuses the messages; kUnsupported: llama.cpp cannot parse the template.
  Result<std::string> apply(const std::vector<ChatMessage>& messages) const;

 private:
  struct Parsed;
  std::unique_ptr<Parsed> parsed_;
  bool from_model_ = false;
};

}  // namespace shoal::model
