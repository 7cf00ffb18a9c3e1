#include "api/response.h"

#include <cmath>
#include <iterator>

#include <nlohmann/json.hpp>

#include "coordinator/text_stream.h"

namespace shoal::api {
namespace {

using Json = nlohmann::ordered_json;
using coordinator::TokenLogprob;
using coordinator::TokenLogprobs;

// Names may come from files and devices: bytes that are no UTF-8 are replaced, never thrown at the client.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}
std::string event_of(const Json& json) {
  return "data: " + text_of(json) + "\n\n";
}

Json model_object(const std::string& name, std::int64_t created, std::uint32_t context_tokens_max) {
  return {{"id", name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "shoal"},
          {"context_tokens_max", context_tokens_max}};
}

const char* name_of(coordinator::FinishReason reason) {
  return reason == coordinator::FinishReason::kLength ? "length" : "stop";
}

// JSON has no infinity; OpenAI gives -9999 for what cannot happen.
double finite_logprob(double logprob) {
  return std::isfinite(logprob) ? logprob : -9999.0;
}

Json chat_logprob(const TokenLogprob& entry) {
  Json bytes = Json::array();
  for (const char byte : entry.bytes) bytes.push_back(static_cast<unsigned char>(byte));
  return {{"token", coordinator::utf8_replace_invalid(entry.bytes)},
          {"logprob", finite_logprob(entry.logprob)},
          {"bytes", std::move(bytes)}};
}

Json chat_logprobs(const std::vector<TokenLogprobs>& tokens) {
  Json content = Json::array();
  for (const TokenLogprobs& token : tokens) {
    Json entry = chat_logprob(token.chosen);
    entry["top_logprobs"] = Json::array();
    for (const TokenLogprob& best : token.best) entry["top_logprobs"].push_back(chat_logprob(best));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

std::uint64_t character_count(std::string_view text) {
  std::uint64_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
  return count;
}

Json text_logprobs(const std::vector<TokenLogprobs>& tokens, std::uint64_t& text_offset) {
  Json result = {{"tokens", Json::array()},
                 {"token_logprobs", Json::array()},
                 {"top_logprobs", Json::array()},
                 {"text_offset", Json::array()}};
  for (const TokenLogprobs& token : tokens) {
    const std::string text = coordinator::utf8_replace_invalid(token.chosen.bytes);
    Json best = Json::object();
    for (const TokenLogprob& entry : token.best) {
      best[coordinator::utf8_replace_invalid(entry.bytes)] = finite_logprob(entry.logprob);
    }
    result["tokens"].push_back(text);
    result["token_logprobs"].push_back(finite_logprob(token.chosen.logprob));
    result["top_logprobs"].push_back(std::move(best));
    result["text_offset"].push_back(text_offset);
    text_offset += character_count(text);
  }
  return result;
}

Json usage_object(const coordinator::Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

Json timings_object(const coordinator::Timings& timings) {
  return {{"queued_ms", timings.queued_ms}, {"prompt_ms", timings.prompt_ms}, {"answer_ms", timings.answer_ms}};
}

Json range_object(const LayerRange& range) {
  return {{"first", range.first}, {"last", range.last}};
}

template <typename T>
Json maybe(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json telemetry_object(const coordinator::NodeTelemetry& telemetry) {
  const Telemetry& told = telemetry.told;
  Json object = {{"age_s", telemetry.age_s}};
  for_each_field(told.device, [&](std::string_view name, const auto& value, FieldRange) {
    if constexpr (std::is_same_v<decltype(value), const std::optional<BatteryState>&>) {
      object[std::string(name)] = value ? Json(to_string(*value)) : Json();
    } else {
      object[std::string(name)] = maybe(value);
    }
  });
  object["coordinator_rtt_us"] = maybe(told.coordinator_rtt_us);
  Json neighbours = Json::array();
  for (const NeighbourTelemetry& neighbour : told.neighbours) {
    neighbours.push_back({{"node", neighbour.node.hex()}, {"rtt_us", maybe(neighbour.rtt_us)}});
  }
  Json stages = Json::array();
  for (std::size_t i = 0; i < told.stages.size(); ++i) {
    const StageTelemetry& stage = told.stages[i];
    const auto& range = telemetry.stage_ranges[i];
    stages.push_back({{"layers", range ? range_object(*range) : Json()},
                      {"steps_queued", stage.steps_queued},
                      {"steps_done", stage.steps_done},
                      {"step_us", maybe(stage.step_us)},
                      {"row_us", maybe(stage.row_us)}});
  }
  object["neighbours"] = std::move(neighbours);
  object["stages"] = std::move(stages);
  return object;
}

Json node_object(const coordinator::NodeStatus& node) {
  return {
      {"id", node.id.hex()},
      {"name", node.name},
      {"state", to_string(node.state)},
      {"memory_bytes_max", node.memory_bytes_max},
      {"addresses", node.addresses},
      {"layers", node.range ? range_object(*node.range) : Json()},
      {"pipeline", node.range ? Json(node.pipeline + 1) : Json()},
      {"rtt_ms", node.rtt_ms ? Json(*node.rtt_ms) : Json()},
      {"paired_unix_seconds", node.paired_unix_seconds},
      {"seen_unix_seconds", node.seen_unix_seconds},
      {"paused", node.paused},
      {"care",
       {{"share_permille", node.care.share_permille}, {"drained", node.care.drained()}, {"reason", node.care.reason}}},
      {"telemetry", node.telemetry ? telemetry_object(*node.telemetry) : Json()}};
}

Json stage_object(const coordinator::StageStatus& stage) {
  return {{"node", stage.node.hex()},
          {"node_name", stage.node_name},
          {"layers", range_object(stage.range)},
          {"state", to_string(stage.state)},
          {"bytes_done", stage.bytes_done},
          {"bytes_total", stage.bytes_total},
          {"memory_planned_bytes", stage.memory_planned_bytes},
          {"memory",
           {{"weights_bytes", stage.memory.weights_bytes},
            {"kv_bytes", stage.memory.kv_bytes},
            {"compute_bytes", stage.memory.compute_bytes},
            {"total_bytes", stage.memory.total()}}},
          {"exact", stage.exactness.exact},
          {"exactness", stage.exactness.reason},
          {"link_to_next", to_string(stage.to_next)},
          {"sends", to_string(stage.sends)},
          {"error", stage.error}};
}

Json plan_object(const coordinator::PlanStatus& plan) {
  Json stages = Json::array();
  for (const coordinator::StageStatus& stage : plan.stages) stages.push_back(stage_object(stage));
  return {{"epoch", plan.epoch.value}, {"stages", std::move(stages)}, {"explanation", plan.explanation}};
}

Json pipeline_object(const coordinator::PipelineStatus& pipeline) {
  return {{"state", to_string(pipeline.state)},
          {"why_no_plan", pipeline.why_no_plan},
          {"plan", pipeline.plan ? plan_object(*pipeline.plan) : Json()},
          {"nodes", pipeline.nodes},
          {"sequences_live", pipeline.sequences_live},
          {"sequences_waiting", pipeline.sequences_waiting},
          {"prompt_rows_waiting", pipeline.prompt_rows_waiting},
          {"move", pipeline.move},
          {"why_no_move", pipeline.why_no_move},
          {"why_not_moved", pipeline.why_not_moved},
          {"token_ms", pipeline.token_ms},
          {"token_more_ms", pipeline.token_more_ms},
          {"prompt_row_ms", pipeline.prompt_row_ms},
          {"share", pipeline.share}};
}

}  // namespace

std::string models_json(const std::string& name, std::int64_t created, std::uint32_t context_tokens_max) {
  return text_of({{"object", "list"}, {"data", Json::array({model_object(name, created, context_tokens_max)})}});
}

std::string model_json(const std::string& name, std::int64_t created, std::uint32_t context_tokens_max) {
  return text_of(model_object(name, created, context_tokens_max));
}

std::string health_json(const coordinator::ClusterStatus& status) {
  return text_of({{"status", to_string(status.state)}});
}

std::string token_json(const coordinator::JoinTokenGrant& grant) {
  return text_of({{"link", grant.link}, {"expires_unix_seconds", grant.expires_unix_seconds}});
}

std::string paused_json(const NodeId& id, bool paused) {
  return text_of({{"id", id.hex()}, {"paused", paused}});
}
std::string revoked_json(const NodeId& id) {
  return text_of({{"id", id.hex()}, {"revoked", true}});
}

std::string status_json(const coordinator::ClusterStatus& status) {
  Json nodes = Json::array();
  for (const coordinator::NodeStatus& node : status.nodes) nodes.push_back(node_object(node));
  Json pipelines = Json::array();
  for (const coordinator::PipelineStatus& pipeline : status.pipelines) pipelines.push_back(pipeline_object(pipeline));
  const coordinator::ModelStatus& model = status.model;
  return text_of({{"state", to_string(status.state)},
                  {"why_no_plan", status.why_no_plan},
                  {"exact", status.exact},
                  {"exactness", status.exactness},
                  {"coordinator_id", status.coordinator_id},
                  {"model",
                   {{"name", model.name},
                    {"architecture", model.architecture},
                    {"quantization", model.quantization},
                    {"layer_count", model.layer_count},
                    {"size_bytes", model.size_bytes},
                    {"context_tokens_max", model.context_tokens_max}}},
                  {"nodes", std::move(nodes)},
                  {"plan", status.plan ? plan_object(*status.plan) : Json()},
                  {"pipelines", std::move(pipelines)},
                  {"decisions", status.decisions},
                  {"sequences_moved", status.sequences_moved},
                  {"sequences_live", status.sequences_live},
                  {"sequences_waiting", status.sequences_waiting},
                  {"steps_in_flight", status.steps_in_flight},
                  {"kv_tokens_reserved", status.kv_tokens_reserved},
                  {"kv_tokens_total", status.kv_tokens_total},
                  {"tokens_per_second", status.tokens_per_second},
                  {"tokens_generated", status.tokens_generated},
                  {"tokens_prompt", status.tokens_prompt},
                  {"drafts_sent", status.drafts_sent},
                  {"drafts_accepted", status.drafts_accepted},
                  {"draft_model", status.draft_model},
                  {"model_drafts_sent", status.model_drafts_sent},
                  {"model_drafts_accepted", status.model_drafts_accepted},
                  {"tokens_cached", status.tokens_cached},
                  {"sequences_refilling", status.sequences_refilling},
                  {"sequences_resumed", status.sequences_resumed},
                  {"sequences_restarted", status.sequences_restarted},
                  {"move", status.move},
                  {"moves", status.moves},
                  {"why_not_moved", status.why_not_moved},
                  {"step_totals",
                   {{"steps", status.step_totals.steps},
                    {"hops", status.step_totals.hops},
                    {"way_us", status.step_totals.way_us},
                    {"queue_us", status.step_totals.queue_us},
                    {"compute_us", status.step_totals.compute_us}}},
                  {"tracing", status.tracing},
                  {"relayed_bytes", status.relayed_bytes},
                  {"uptime_s", status.uptime_s}});
}

std::string net_bench_json(const coordinator::NetBench& bench) {
  const auto ms = [](Duration time) { return static_cast<double>(time.count()) / 1000; };
  const auto id = [](const std::optional<NodeId>& node) { return node ? Json(node->hex()) : Json(); };
  Json links = Json::array();
  for (const coordinator::MeasuredLink& link : bench.links) {
    Json object = {{"kind", coordinator::to_string(link.kind)},
                   {"from", link.from_name},
                   {"from_node", id(link.from)},
                   {"to", link.to_name},
                   {"to_node", id(link.to)},
                   {"measured", link.speed.has_value()}};
    if (link.speed) {
      object["path"] = to_string(link.path);
      object["rtt_ms"] = ms(link.speed->rtt);
      object["bytes_per_s"] = link.speed->bytes_per_s;
      object["row_ms"] = ms(link.time_for(bench.row_bytes()));
      object["step_ms"] = ms(link.time_for(bench.row_bytes() * kStepRowsMax));
    } else {
      object["why_not"] = link.why_not;
    }
    links.push_back(std::move(object));
  }
  return text_of({{"links", std::move(links)},
                  {"row_bytes", bench.row_bytes()},
                  {"step_rows", kStepRowsMax},
                  {"slowest", coordinator::slowest_link(bench)}});
}

// --- completions ---

namespace {

// The fields that every chunk and every whole answer begins with.
Json head(RequestKind kind, bool chunk, const std::string& id, std::int64_t created, const std::string& model_name) {
  const char* object = kind == RequestKind::kText ? "text_completion"
                       : chunk                    ? "chat.completion.chunk"
                                                  : "chat.completion";
  return {{"id", id}, {"object", object}, {"created", created}, {"model", model_name}};
}

Json choice(const char* content_name, Json content, Json logprobs, Json finish_reason) {
  return {{"index", 0},
          {content_name, std::move(content)},
          {"logprobs", std::move(logprobs)},
          {"finish_reason", std::move(finish_reason)}};
}

}  // namespace

CompletionWriter::CompletionWriter(RequestKind kind, const std::string& id, std::int64_t created_unix_seconds,
                                   std::string model_name, bool include_usage)
    : kind_(kind),
      id_((kind == RequestKind::kChat ? "chatcmpl-" : "cmpl-") + id),
      created_(created_unix_seconds),
      model_name_(std::move(model_name)),
      include_usage_(include_usage) {}

std::string CompletionWriter::begin_event() const {
  if (kind_ == RequestKind::kText) return "";
  Json chunk = head(kind_, true, id_, created_, model_name_);
  chunk["choices"] = Json::array({choice("delta", {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr)});
  if (include_usage_) chunk["usage"] = nullptr;
  return event_of(chunk);
}

std::string CompletionWriter::delta_event(const coordinator::TextDelta& delta) {
  if (delta.text.empty() && delta.logprobs.empty()) return "";
  Json logprobs;
  if (!delta.logprobs.empty()) {
    logprobs =
        kind_ == RequestKind::kChat ? chat_logprobs(delta.logprobs) : text_logprobs(delta.logprobs, text_offset_);
  }
  Json chunk = head(kind_, true, id_, created_, model_name_);
  chunk["choices"] = Json::array({kind_ == RequestKind::kChat
                                      ? choice("delta", {{"content", delta.text}}, std::move(logprobs), nullptr)
                                      : choice("text", delta.text, std::move(logprobs), nullptr)});
  if (include_usage_) chunk["usage"] = nullptr;
  return event_of(chunk);
}

std::string CompletionWriter::end_event(coordinator::FinishReason reason, const coordinator::Usage& usage,
                                        const coordinator::Timings& timings) const {
  Json chunk = head(kind_, true, id_, created_, model_name_);
  chunk["choices"] =
      Json::array({kind_ == RequestKind::kChat ? choice("delta", Json::object(), nullptr, name_of(reason))
                                               : choice("text", "", nullptr, name_of(reason))});
  if (include_usage_) chunk["usage"] = nullptr;
  chunk["timings"] = timings_object(timings);
  std::string events = event_of(chunk);
  if (include_usage_) {
    Json last = head(kind_, true, id_, created_, model_name_);
    last["choices"] = Json::array();
    last["usage"] = usage_object(usage);
    events += event_of(last);
  }
  return events + "data: [DONE]\n\n";
}

std::string CompletionWriter::error_event(const ApiError& error) {
  const std::string retry =
      error.retry_after_s > 0 ? "retry: " + std::to_string(error.retry_after_s * 1000) + "\n" : "";
  return "data: " + error_json(error) + "\n" + retry + "\n";
}

void CompletionWriter::add(coordinator::TextDelta delta) {
  gathered_.text += delta.text;
  gathered_.tokens += delta.tokens;
  gathered_.logprobs.insert(gathered_.logprobs.end(), std::make_move_iterator(delta.logprobs.begin()),
                            std::make_move_iterator(delta.logprobs.end()));
}

std::string CompletionWriter::whole(coordinator::FinishReason reason, const coordinator::Usage& usage,
                                    const coordinator::Timings& timings) {
  Json logprobs;
  if (!gathered_.logprobs.empty()) {
    logprobs = kind_ == RequestKind::kChat ? chat_logprobs(gathered_.logprobs)
                                           : text_logprobs(gathered_.logprobs, text_offset_);
  }
  Json answer = head(kind_, false, id_, created_, model_name_);
  Json content = kind_ == RequestKind::kChat
                     ? Json{{"role", "assistant"}, {"content", gathered_.text}, {"refusal", nullptr}}
                     : Json(gathered_.text);
  answer["choices"] = Json::array({choice(kind_ == RequestKind::kChat ? "message" : "text", std::move(content),
                                          std::move(logprobs), name_of(reason))});
  answer["usage"] = usage_object(usage);
  answer["timings"] = timings_object(timings);
  return text_of(answer);
}

}  // namespace shoal::api
