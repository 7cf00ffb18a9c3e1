#include "api/request.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace shoal::api {
namespace {

using Json = nlohmann::json;
using Problem = std::optional<ApiError>;

ApiError bad(std::string_view param, std::string message) {
  ApiError error;
  error.message = std::move(message);
  error.param = param;
  return error;
}

ApiError wrong_type(std::string_view param, std::string_view wanted, const Json& value) {
  return bad(param, fmt::format("{} must be {}, not {}", param, wanted, value.type_name()));
}

// --- values, each with the name to complain about ---

Problem read(std::string_view name, const Json& value, bool& into) {
  if (!value.is_boolean()) return wrong_type(name, "true or false", value);
  into = value.get<bool>();
  return {};
}

Problem read(std::string_view name, const Json& value, std::string& into) {
  if (!value.is_string()) return wrong_type(name, "a string", value);
  into = value.get<std::string>();
  return {};
}

Problem read(std::string_view name, const Json& value, std::int64_t low, std::int64_t high, std::int64_t& into) {
  if (!value.is_number_integer()) return wrong_type(name, "an integer", value);
  const bool too_large = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high);
  if (too_large || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    return bad(name, fmt::format("{} must be from {} to {}, not {}", name, low, high, value.dump()));
  }
  into = value.get<std::int64_t>();
  return {};
}

Problem read(std::string_view name, const Json& value, double low, double high, float& into) {
  if (!value.is_number()) return wrong_type(name, "a number", value);
  const double number = value.get<double>();
  if (!(number >= low && number <= high)) {
    return bad(name, fmt::format("{} must be from {:g} to {:g}, not {}", name, low, high, value.dump()));
  }
  into = static_cast<float>(number);
  return {};
}

// --- fields ---

// What is being read, with what only matters once all fields are known.
struct Reading {
  ApiRequest request;
  bool chat_logprobs = false;
  std::optional<std::uint32_t> top_logprobs;
  bool has_completion_limit = false;
};

struct Field {
  std::string_view name;
  bool in_chat;
  bool in_text;
  Problem (*read)(std::string_view name, const Json& value, Reading& into);
};

Problem read_tokens_max(std::string_view name, const Json& value, Reading& into) {
  std::int64_t count = 0;
  if (Problem problem = read(name, value, 1, std::numeric_limits<std::int64_t>::max(), count)) return problem;
  // max_completion_tokens is the newer name and wins over max_tokens, whichever comes first.
  const bool newer = name == "max_completion_tokens";
  if (newer || !into.has_completion_limit) {
    into.request.tokens_max = static_cast<std::uint32_t>(std::min<std::int64_t>(count, UINT32_MAX));
  }
  into.has_completion_limit |= newer;
  return {};
}

Problem read_top_k(std::string_view name, const Json& value, Reading& into) {
  std::int64_t count = 0;
  if (Problem problem = read(name, value, -1, std::numeric_limits<std::int32_t>::max(), count)) return problem;
  into.request.sampling.top_k = static_cast<std::int32_t>(std::max<std::int64_t>(0, count));  // -1: off, as elsewhere
  return {};
}

Problem read_seed(std::string_view name, const Json& value, Reading& into) {
  if (!value.is_number_integer()) return wrong_type(name, "an integer", value);
  into.request.seed =
      value.is_number_unsigned() ? value.get<std::uint64_t>() : static_cast<std::uint64_t>(value.get<std::int64_t>());
  return {};
}

Problem read_stop(std::string_view name, const Json& value, Reading& into) {
  if (!value.is_string() && !value.is_array()) return wrong_type(name, "a string or an array of strings", value);
  const Json list = value.is_array() ? value : Json::array({value});
  if (list.size() > coordinator::kStopStringsMax) {
    return bad(name, fmt::format("stop has {} strings: {} are allowed", list.size(), coordinator::kStopStringsMax));
  }
  for (const Json& item : list) {
    if (!item.is_string()) return wrong_type(name, "a string or an array of strings", item);
    if (item.get_ref<const std::string&>().empty()) return bad(name, "stop must not hold an empty string");
    into.request.stop.push_back(item.get<std::string>());
  }
  return {};
}

Problem read_stream_options(std::string_view name, const Json& value, Reading& into) {
  if (!value.is_object()) return wrong_type(name, "an object", value);
  const auto usage = value.find("include_usage");
  if (usage == value.end() || usage->is_null()) return {};
  return read("stream_options.include_usage", *usage, into.request.include_usage);
}

// The text of a message: a string, or an array of {"type": "text", "text": ...}, joined by newlines as llama.cpp does.
Problem read_content(const std::string& name, const Json& value, std::string& into) {
  if (value.is_string()) return read(name, value, into);
  if (!value.is_array()) return wrong_type(name, "a string or an array of text parts", value);
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string part_name = fmt::format("{}[{}]", name, i);
    const Json& part = value[i];
    if (!part.is_object()) return wrong_type(part_name, "an object", part);
    if (part.value("type", Json()) != "text") {
      return bad(part_name, fmt::format("{} must have type \"text\": other content is not supported", part_name));
    }
    const auto text = part.find("text");
    if (text == part.end()) return bad(part_name + ".text", fmt::format("{}.text is missing", part_name));
    std::string piece;
    if (Problem problem = read(part_name + ".text", *text, piece)) return problem;
    if (i > 0) into += '\n';
    into += piece;
  }
  return {};
}

Problem read_messages(std::string_view name, const Json& value, Reading& into) {
  static constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool"};
  if (!value.is_array()) return wrong_type(name, "an array", value);
  if (value.empty()) return bad(name, "messages must hold at least one message");
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", name, i);
    if (!value[i].is_object()) return wrong_type(at, "an object", value[i]);
    const auto role = value[i].find("role"), content = value[i].find("content");
    if (role == value[i].end()) return bad(at + ".role", at + ".role is missing");
    model::ChatMessage message;
    if (Problem problem = read(at + ".role", *role, message.role)) return problem;
    if (std::find(std::begin(kRoles), std::end(kRoles), message.role) == std::end(kRoles)) {
      return bad(at + ".role", fmt::format("{}.role must be one of {}, not \"{}\"", at, fmt::join(kRoles, ", "),
                                           message.role.substr(0, 40)));
    }
    const bool empty = content == value[i].end() || content->is_null();
    if (empty && message.role != "assistant") return bad(at + ".content", at + ".content is missing");
    if (!empty) {
      if (Problem problem = read_content(at + ".content", *content, message.content)) return problem;
    }
    into.request.messages.push_back(std::move(message));
  }
  return {};
}

// A string, an array of tokens, or an array with one of these.
Problem read_prompt(std::string_view name, const Json& value, Reading& into) {
  if (value.is_string()) return read(name, value, into.request.prompt);
  if (!value.is_array()) return wrong_type(name, "a string or an array of tokens", value);
  if (value.empty()) return bad(name, "prompt must not be an empty array");
  if (value.size() == 1 && (value[0].is_string() || value[0].is_array())) return read_prompt(name, value[0], into);
  if (value[0].is_string() || value[0].is_array()) {
    return bad(name, fmt::format("prompt holds {} prompts: one a request is supported", value.size()));
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::int64_t token = 0;
    if (Problem problem = read(fmt::format("{}[{}]", name, i), value[i], 0, INT32_MAX, token)) return problem;
    into.request.prompt_tokens.push_back(static_cast<Token>(token));
  }
  return {};
}

Problem read_text_logprobs(std::string_view name, const Json& value, Reading& into) {
  std::int64_t count = 0;
  if (Problem problem = read(name, value, 0, coordinator::kLogprobsMax, count)) return problem;
  into.request.logprobs = static_cast<std::uint32_t>(count);
  return {};
}

Problem read_top_logprobs(std::string_view name, const Json& value, Reading& into) {
  std::int64_t count = 0;
  if (Problem problem = read(name, value, 0, coordinator::kLogprobsMax, count)) return problem;
  into.top_logprobs = static_cast<std::uint32_t>(count);
  return {};
}

// Fields that would change the answer and that Shoal cannot do: refused where they ask for something.
Problem only_one(std::string_view name, const Json& value, Reading&) {
  if (!value.is_number_integer()) return wrong_type(name, "an integer", value);
  if (value != 1) return bad(name, fmt::format("{} must be 1: more than one answer a request is not supported", name));
  return {};
}
Problem only_zero(std::string_view name, const Json& value, Reading&) {
  if (!value.is_number()) return wrong_type(name, "a number", value);
  if (value != 0) return bad(name, fmt::format("{} is not supported: leave it out or give 0", name));
  return {};
}
Problem only_empty(std::string_view name, const Json& value, Reading&) {
  const bool empty =
      value == Json(false) || value == Json("") || value == Json("none") || (value.is_structured() && value.empty());
  if (!empty) return bad(name, fmt::format("{} is not supported: leave it out", name));
  return {};
}
Problem only_text_format(std::string_view name, const Json& value, Reading&) {
  if (!value.is_object()) return wrong_type(name, "an object", value);
  if (value.value("type", Json("text")) != "text") return bad(name, "response_format must have type \"text\"");
  return {};
}

template <std::string ApiRequest::*kMember>
Problem read_string(std::string_view name, const Json& value, Reading& into) {
  return read(name, value, into.request.*kMember);
}
template <float model::SamplingParameters::*kMember, int kHigh>
Problem read_parameter(std::string_view name, const Json& value, Reading& into) {
  return read(name, value, 0.0, static_cast<double>(kHigh), into.request.sampling.*kMember);
}

constexpr Field kFields[] = {
    // name, in chat, in text, reader
    {"messages", true, false, read_messages},
    {"prompt", false, true, read_prompt},
    {"model", true, true, read_string<&ApiRequest::model>},
    {"user", true, true, read_string<&ApiRequest::user>},
    {"stream", true, true, [](auto name, auto& value, auto& into) { return read(name, value, into.request.stream); }},
    {"stream_options", true, true, read_stream_options},
    {"max_tokens", true, true, read_tokens_max},
    {"max_completion_tokens", true, false, read_tokens_max},
    {"temperature", true, true, read_parameter<&model::SamplingParameters::temperature, 2>},
    {"top_p", true, true, read_parameter<&model::SamplingParameters::top_p, 1>},
    {"min_p", true, true, read_parameter<&model::SamplingParameters::min_p, 1>},
    {"top_k", true, true, read_top_k},
    {"seed", true, true, read_seed},
    {"stop", true, true, read_stop},
    {"logprobs", true, false, [](auto name, auto& value, auto& into) { return read(name, value, into.chat_logprobs); }},
    {"logprobs", false, true, read_text_logprobs},
    {"top_logprobs", true, false, read_top_logprobs},
    {"n", true, true, only_one},
    {"best_of", false, true, only_one},
    {"echo", false, true, only_empty},
    {"suffix", false, true, only_empty},
    {"tools", true, false, only_empty},
    {"functions", true, false, only_empty},
    {"logit_bias", true, true, only_empty},
    {"presence_penalty", true, true, only_zero},
    {"frequency_penalty", true, true, only_zero},
    {"response_format", true, false, only_text_format},
};

// --- JSON ---

// Nesting and the number of values, before a tree is made of them.
Problem check_size(std::string_view body) {
  std::size_t depth = 0, values = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (c == ',' || c == '[' || c == '{') ++values;
    if (depth > kJsonDepthMax) return bad("", fmt::format("the JSON is nested deeper than {} levels", kJsonDepthMax));
    if (values > kJsonValuesMax) return bad("", fmt::format("the JSON holds more than {} values", kJsonValuesMax));
  }
  return {};
}

ApiResult<Json> parse_object(std::string_view body) {
  if (Problem problem = check_size(body)) return *std::move(problem);
  try {
    Json json = Json::parse(body);
    if (!json.is_object()) return bad("", fmt::format("the body must be a JSON object, not {}", json.type_name()));
    return json;
  } catch (const Json::exception& exception) {
    const std::string_view what = exception.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    const std::size_t text = what.find("] ");
    return bad("", fmt::format("the body is not valid JSON: {}",
                               what.substr(text == std::string_view::npos ? 0 : text + 2, 200)));
  }
}

}  // namespace

ApiResult<ApiRequest> parse_request(RequestKind kind, std::string_view body) {
  ApiResult<Json> parsed = parse_object(body);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return std::move(*error);
  const Json& json = std::get<Json>(parsed);

  Reading reading;
  reading.request.kind = kind;
  const bool chat = kind == RequestKind::kChat;
  for (const Field& field : kFields) {
    if (!(chat ? field.in_chat : field.in_text)) continue;
    const auto value = json.find(field.name);
    if (value == json.end() || value->is_null()) continue;
    if (Problem problem = field.read(field.name, *value, reading)) return *std::move(problem);
  }

  const std::string_view required = chat ? "messages" : "prompt";
  const auto given = json.find(required);
  if (given == json.end() || given->is_null()) return bad(required, fmt::format("{} is missing", required));
  if (reading.top_logprobs && !reading.chat_logprobs) {
    return bad("top_logprobs", "top_logprobs needs logprobs to be true");
  }
  if (reading.chat_logprobs) reading.request.logprobs = reading.top_logprobs.value_or(0);
  return std::move(reading.request);
}

ApiResult<coordinator::CompletionRequest> prepare_request(const ApiRequest& request,
                                                          const model::Vocabulary& vocabulary,
                                                          const std::string& model_name,
                                                          std::uint32_t context_tokens_max,
                                                          std::uint64_t default_seed) {
  if (!request.model.empty() && request.model != model_name) {
    ApiError error = bad("model", fmt::format("model \"{}\" does not exist here: the model is \"{}\"",
                                              request.model.substr(0, 200), model_name));
    error.status = 404;
    error.code = "model_not_found";
    return error;
  }

  coordinator::CompletionRequest prepared;
  const std::string_view param = request.kind == RequestKind::kChat ? "messages" : "prompt";
  if (request.kind == RequestKind::kChat) {
    Result<std::string> text = vocabulary.apply_chat_template(request.messages);
    if (!text.ok()) {
      ApiError error = to_api_error(text.error());
      error.param = param;
      return error;
    }
    prepared.prompt = vocabulary.tokenize(*text, true, true);
  } else if (!request.prompt_tokens.empty()) {
    prepared.prompt = request.prompt_tokens;
    for (std::size_t i = 0; i < prepared.prompt.size(); ++i) {
      if (static_cast<std::uint32_t>(prepared.prompt[i]) < vocabulary.size()) continue;
      return bad(fmt::format("prompt[{}]", i), fmt::format("prompt[{}] is {}: the vocabulary has {} tokens", i,
                                                           prepared.prompt[i], vocabulary.size()));
    }
  } else {
    prepared.prompt = vocabulary.tokenize(request.prompt, true, true);
  }
  if (prepared.prompt.empty()) return bad(param, fmt::format("{} has no tokens: give some text", param));

  if (prepared.prompt.size() >= context_tokens_max) {
    ApiError error =
        bad(param, fmt::format("the prompt has {} tokens, and the context of this model holds {} for prompt "
                               "and answer together: shorten the prompt",
                               prepared.prompt.size(), context_tokens_max));
    error.code = "context_length_exceeded";
    return error;
  }
  const auto room = context_tokens_max - static_cast<std::uint32_t>(prepared.prompt.size());
  prepared.tokens_max = std::min(room, request.tokens_max.value_or(room));
  prepared.sampling = request.sampling;
  prepared.sampling.seed = request.seed.value_or(default_seed);
  prepared.stop = request.stop;
  prepared.logprobs = request.logprobs;
  prepared.user = request.user;
  return prepared;
}

ApiResult<std::chrono::seconds> parse_token_request(std::string_view body) {
  std::int64_t lifetime_s = 600;
  if (!body.empty()) {
    ApiResult<Json> parsed = parse_object(body);
    if (ApiError* error = std::get_if<ApiError>(&parsed)) return std::move(*error);
    const Json& json = std::get<Json>(parsed);
    const auto value = json.find("ttl_seconds");
    if (value != json.end() && !value->is_null()) {
      if (Problem problem = read("ttl_seconds", *value, 1, std::int64_t{30} * 86'400, lifetime_s))
        return *std::move(problem);
    }
  }
  return std::chrono::seconds(lifetime_s);
}

}  // namespace shoal::api
