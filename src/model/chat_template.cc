#include "model/chat_template.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include <fmt/format.h>

#include "chat.h"
#include "llama.h"
#include "log.h"

namespace shoal::model {
namespace {

// Exceptions of the template engine run over several lines, with a source excerpt; its first line is enough.
std::string first_line(const std::string& text) {
  const std::size_t start = text.find_first_not_of(" \n\r\t");
  if (start == std::string::npos) return "no reason given";
  return text.substr(start, text.find_first_of("\r\n", start) - start);
}

// `raise_exception('…')` in a template is how it says what it wants; the engine wraps that in lines of its own.
std::string reason_of(const std::exception& exception) {
  const std::string text = exception.what();
  constexpr std::string_view kMark = "Jinja Exception: ";
  const std::size_t mark = text.find(kMark);
  return first_line(mark == std::string::npos ? text : text.substr(mark + kMark.size()));
}

}  // namespace

struct ChatTemplate::Parsed {
  common_chat_templates_ptr templates;
  mutable std::mutex mutex;  // the engine's thread safety is not promised
};

ChatTemplate::ChatTemplate(const llama_model* model) {
  from_model_ = llama_model_chat_template(model, nullptr) != nullptr;
  common_log_set_verbosity_thold(-1);  // common's own log goes to stdout and stderr
  try {
    auto parsed = std::make_unique<Parsed>();
    parsed->templates = common_chat_templates_init(model, "");
    parsed_ = std::move(parsed);
  } catch (const std::exception&) {
    // apply() reports it
  }
}

ChatTemplate::~ChatTemplate() = default;

Result<std::string> ChatTemplate::apply(const std::vector<ChatMessage>& messages) const {
  if (parsed_ == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 "the model's chat template cannot be parsed: use plain completions, or a GGUF with another template"};
  }
  common_chat_templates_inputs inputs;
  inputs.use_jinja = true;
  inputs.add_generation_prompt = true;
  inputs.force_pure_content = true;  // no tools are parsed from answers, so none of the analysis for that
  for (const ChatMessage& message : messages) {
    common_chat_msg converted;
    converted.role = message.role;
    converted.content = message.content;
    inputs.messages.push_back(std::move(converted));
  }
  try {
    const std::lock_guard lock(parsed_->mutex);
    return common_chat_templates_apply(parsed_->templates.get(), inputs).prompt;
  } catch (const std::exception& exception) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the model's chat template refuses these messages: {}", reason_of(exception))};
  }
}

}  // namespace shoal::model
