#include "api/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/fake_completion_service.h"

namespace shoal::api {
namespace {

using testing::HasSubstr;

ApiRequest parsed(RequestKind kind, const std::string& body) {
  ApiResult<ApiRequest> result = parse_request(kind, body);
  if (const ApiError* error = std::get_if<ApiError>(&result)) {
    ADD_FAILURE() << body << ": " << error->message;
    return {};
  }
  return std::get<ApiRequest>(result);
}

ApiRequest chat(const std::string& fields) {
  return parsed(RequestKind::kChat, R"({"messages":[{"role":"user","content":"Hi"}])" + fields + "}");
}

ApiRequest text(const std::string& fields) {
  return parsed(RequestKind::kText, "{" + fields + "}");
}

TEST(ParseRequest, HasDefaults) {
  for (const std::string fields : {"", R"(,"temperature":null,"stop":null,"max_tokens":null,"stream":null,"n":null)"}) {
    const ApiRequest request = chat(fields);
    EXPECT_EQ(request.model, "");
    EXPECT_FALSE(request.stream);
    EXPECT_FLOAT_EQ(request.sampling.temperature, model::SamplingParameters{}.temperature);
    EXPECT_FALSE(request.seed || request.tokens_max || request.logprobs);
    EXPECT_TRUE(request.stop.empty());
  }
}

TEST(ParseRequest, ReadsEveryField) {
  const ApiRequest request = chat(
      R"(,"model":"m","user":"u","stream":true,"stream_options":{"include_usage":true,"x":1},"temperature":0,
         "top_p":0.5,"min_p":0.25,"top_k":7,"seed":-1,"stop":["a","ü"],"max_tokens":9,"n":1,"logprobs":true,
         "top_logprobs":3,"tools":[],"presence_penalty":0,"logit_bias":{},"response_format":{"type":"text"},
         "somebody_elses":{"field":[1]})");
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.user, "u");
  EXPECT_TRUE(request.stream && request.include_usage);
  EXPECT_EQ(request.sampling.temperature, 0);
  EXPECT_EQ(request.sampling.top_p, 0.5f);
  EXPECT_EQ(request.sampling.min_p, 0.25f);
  EXPECT_EQ(request.sampling.top_k, 7);
  EXPECT_EQ(request.seed, ~std::uint64_t{0});
  EXPECT_EQ(request.stop, (std::vector<std::string>{"a", "ü"}));
  EXPECT_EQ(request.tokens_max, 9u);
  EXPECT_EQ(request.logprobs, 3u);
}

TEST(ParseRequest, KnowsTheOtherSpellings) {
  EXPECT_EQ(chat(R"(,"max_tokens":5,"max_completion_tokens":6)").tokens_max, 6u);
  EXPECT_EQ(chat(R"(,"max_tokens":99999999999)").tokens_max, UINT32_MAX);
  EXPECT_EQ(chat(R"(,"stop":"x")").stop, std::vector<std::string>{"x"});
  EXPECT_EQ(chat(R"(,"top_k":-1)").sampling.top_k, 0);
  EXPECT_EQ(chat(R"(,"logprobs":true)").logprobs, 0u);
  EXPECT_EQ(chat(R"(,"logprobs":false)").logprobs, std::nullopt);
  EXPECT_EQ(chat(R"(,"seed":18446744073709551615)").seed, ~std::uint64_t{0});
  EXPECT_EQ(text(R"("prompt":"p","logprobs":2)").logprobs, 2u);
  EXPECT_EQ(text(R"("prompt":["p"])").prompt, "p");
  EXPECT_EQ(text(R"("prompt":[1,2])").prompt_tokens, (std::vector<Token>{1, 2}));
  EXPECT_EQ(text(R"("prompt":[[1,2]],"echo":false,"suffix":"","best_of":1)").prompt_tokens, (std::vector<Token>{1, 2}));
  const ApiRequest parts = parsed(RequestKind::kChat, R"({"messages":[
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
      {"role":"assistant","content":null},{"role":"user","content":"c"}]})");
  ASSERT_EQ(parts.messages.size(), 3u);
  EXPECT_EQ(parts.messages[0].content, "a\nb");
  EXPECT_EQ(parts.messages[1].content, "");
}

// Goal: each wrong field is refused with 400, its own name, and a message that says what would be right.
TEST(ParseRequest, NamesTheFieldThatIsWrong) {
  struct Row {
    RequestKind kind;
    std::string fields;
    std::string param;
    std::string message;
  };
  const std::string hi = R"("messages":[{"role":"user","content":"Hi"}],)";
  const std::string p = R"("prompt":"p",)";
  constexpr RequestKind kChat = RequestKind::kChat, kText = RequestKind::kText;
  const std::vector<Row> table = {
      {kChat, "", "messages", "messages is missing"},
      {kChat, R"("messages":null)", "messages", "messages is missing"},
      {kChat, R"("messages":"Hi")", "messages", "messages must be an array, not string"},
      {kChat, R"("messages":[])", "messages", "at least one"},
      {kChat, R"("messages":["Hi"])", "messages[0]", "must be an object"},
      {kChat, R"("messages":[{"content":"Hi"}])", "messages[0].role", "missing"},
      {kChat, R"("messages":[{"role":"fish","content":"Hi"}])", "messages[0].role", "must be one of system"},
      {kChat, R"("messages":[{"role":"user"}])", "messages[0].content", "missing"},
      {kChat, R"("messages":[{"role":"user","content":7}])", "messages[0].content", "not number"},
      {kChat, R"("messages":[{"role":"user","content":[{"type":"image_url"}]}])", "messages[0].content[0]", "\"text\""},
      {kChat, R"("messages":[{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text", "missing"},
      {kChat, hi + R"("model":1)", "model", "a string, not number"},
      {kChat, hi + R"("stream":"yes")", "stream", "true or false"},
      {kChat, hi + R"("stream_options":1)", "stream_options", "an object"},
      {kChat, hi + R"("stream_options":{"include_usage":1})", "stream_options.include_usage", "true or false"},
      {kChat, hi + R"("temperature":"hot")", "temperature", "a number, not string"},
      {kChat, hi + R"("temperature":-0.1)", "temperature", "from 0 to 2"},
      {kChat, hi + R"("temperature":2.5)", "temperature", "from 0 to 2"},
      {kChat, hi + R"("top_p":1.1)", "top_p", "from 0 to 1"},
      {kChat, hi + R"("min_p":-1)", "min_p", "from 0 to 1"},
      {kChat, hi + R"("top_k":1.5)", "top_k", "an integer"},
      {kChat, hi + R"("top_k":-2)", "top_k", "from -1"},
      {kChat, hi + R"("top_k":99999999999999999999)", "top_k", "an integer"},
      {kChat, hi + R"("seed":"x")", "seed", "an integer"},
      {kChat, hi + R"("max_tokens":0)", "max_tokens", "from 1"},
      {kChat, hi + R"("max_completion_tokens":-5)", "max_completion_tokens", "from 1"},
      {kChat, hi + R"("stop":1)", "stop", "a string or an array"},
      {kChat, hi + R"("stop":[""])", "stop", "empty"},
      {kChat, hi + R"("stop":["a","b","c","d","e"])", "stop", "4 are allowed"},
      {kChat, hi + R"("logprobs":1)", "logprobs", "true or false"},
      {kChat, hi + R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "from 0 to 20"},
      {kChat, hi + R"("top_logprobs":2)", "top_logprobs", "needs logprobs"},
      {kChat, hi + R"("n":2)", "n", "must be 1"},
      {kChat, hi + R"("tools":[{"type":"function"}])", "tools", "not supported"},
      {kChat, hi + R"("frequency_penalty":0.5)", "frequency_penalty", "not supported"},
      {kChat, hi + R"("response_format":{"type":"json_object"})", "response_format", "\"text\""},
      {kText, "", "prompt", "missing"},
      {kText, R"("prompt":[])", "prompt", "empty"},
      {kText, R"("prompt":["a","b"])", "prompt", "2 prompts"},
      {kText, R"("prompt":[[1],[2]])", "prompt", "2 prompts"},
      {kText, R"("prompt":[1,"a"])", "prompt[1]", "an integer"},
      {kText, R"("prompt":[-1])", "prompt[0]", "from 0"},
      {kText, R"("prompt":{"a":1})", "prompt", "not object"},
      {kText, p + R"("logprobs":true)", "logprobs", "an integer"},
      {kText, p + R"("echo":true)", "echo", "not supported"},
      {kText, p + R"("best_of":2)", "best_of", "must be 1"},
      {kText, p + R"("suffix":"end")", "suffix", "not supported"},
  };
  for (const Row& row : table) {
    const ApiResult<ApiRequest> result = parse_request(row.kind, "{" + row.fields + "}");
    const ApiError* error = std::get_if<ApiError>(&result);
    ASSERT_NE(error, nullptr) << row.fields;
    EXPECT_EQ(error->status, 400u) << row.fields;
    EXPECT_EQ(error->param, row.param) << row.fields;
    EXPECT_THAT(error->message, HasSubstr(row.message)) << row.fields;
  }
}

TEST(ParseRequest, RefusesWhatIsNoUsableJson) {
  std::string wide = "[1";
  for (std::size_t i = 0; i <= kJsonValuesMax; ++i) wide += ",1";
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"[]", "must be a JSON object, not array"},
      {R"({"prompt":"p","temperature":1e999})", "not valid JSON"},
      {R"({"prompt":"p","temperature":NaN})", "not valid JSON"},
      {"{\"prompt\":\"\xff\"}", "not valid JSON"},
      {R"({"prompt":"\ud800"})", "not valid JSON"},
      {std::string(100'000, '['), "nested deeper"},
      {R"({"prompt":)" + wide + "]}", "more than"},
  };
  for (const auto& [body, message] : table) {
    const ApiResult<ApiRequest> result = parse_request(RequestKind::kText, body);
    const ApiError* error = std::get_if<ApiError>(&result);
    ASSERT_NE(error, nullptr) << body.substr(0, 60);
    EXPECT_EQ(error->status, 400u);
    EXPECT_THAT(error->message, HasSubstr(message)) << body.substr(0, 60);
    EXPECT_LT(error->message.size(), 300u);
  }
  // Brackets inside strings are no nesting.
  EXPECT_EQ(text("\"prompt\":\"" + std::string(1000, '[') + "\\\"[\"").prompt.size(), 1002u);
}

ApiResult<coordinator::CompletionRequest> prepared(const ApiRequest& request) {
  return prepare_request(request, ByteVocabulary(), "fish", 100, 77);
}

TEST(PrepareRequest, MakesTokensAndFitsTheContext) {
  const auto result = prepared(chat(R"(,"max_tokens":1000,"seed":5,"stop":"x","logprobs":true,"user":"u")"));
  const auto& request = std::get<coordinator::CompletionRequest>(result);
  EXPECT_EQ(request.prompt.size(), std::string("user: Hi\nassistant:").size());
  EXPECT_EQ(request.tokens_max, 100 - request.prompt.size());
  EXPECT_EQ(request.sampling.seed, 5u);
  EXPECT_EQ(request.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(request.logprobs, 0u);
  EXPECT_EQ(request.user, "u");
  const auto defaults = prepared(text(R"("prompt":"abc","model":"fish")"));
  EXPECT_EQ(std::get<coordinator::CompletionRequest>(defaults).sampling.seed, 77u);
  EXPECT_EQ(std::get<coordinator::CompletionRequest>(defaults).tokens_max, 97u);
  const auto tokens = prepared(text(R"("prompt":[256,0],"max_tokens":3)"));
  EXPECT_EQ(std::get<coordinator::CompletionRequest>(tokens).prompt, (std::vector<Token>{256, 0}));
  EXPECT_EQ(std::get<coordinator::CompletionRequest>(tokens).tokens_max, 3u);
}

TEST(PrepareRequest, RefusesWhatCannotWork) {
  struct Row {
    ApiRequest request;
    unsigned status;
    std::string param, code, message;
  };
  const std::vector<Row> table = {
      {text(R"("prompt":"p","model":"cat")"), 404, "model", "model_not_found", "the model is \"fish\""},
      {text(R"("prompt":"")"), 400, "prompt", "", "no tokens"},
      {text(R"("prompt":[1,257])"), 400, "prompt[1]", "", "257 tokens"},
      {text("\"prompt\":\"" + std::string(100, 'x') + "\""), 400, "prompt", "context_length_exceeded",
       "100 tokens, and the context of this model holds 100"},
      {parsed(RequestKind::kChat, R"({"messages":[{"role":"tool","content":"x"}]})"), 400, "messages", "", "no tools"},
  };
  for (const Row& row : table) {
    const auto result = prepared(row.request);
    const ApiError* error = std::get_if<ApiError>(&result);
    ASSERT_NE(error, nullptr) << row.message;
    EXPECT_EQ(error->status, row.status);
    EXPECT_EQ(error->param, row.param);
    EXPECT_EQ(error->code, row.code);
    EXPECT_THAT(error->message, HasSubstr(row.message));
  }
}

TEST(ParseTokenRequest, HasLimits) {
  EXPECT_EQ(std::get<std::chrono::seconds>(parse_token_request("")).count(), 600);
  EXPECT_EQ(std::get<std::chrono::seconds>(parse_token_request("{}")).count(), 600);
  EXPECT_EQ(std::get<std::chrono::seconds>(parse_token_request(R"({"ttl_seconds":5})")).count(), 5);
  for (const std::string body :
       {R"({"ttl_seconds":0})", R"({"ttl_seconds":"5"})", R"({"ttl_seconds":9999999})", "[]"}) {
    EXPECT_TRUE(std::holds_alternative<ApiError>(parse_token_request(body))) << body;
  }
}

}  // namespace
}  // namespace shoal::api
