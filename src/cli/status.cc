// `shoal status`: the shoal at a glance.
#include <cstdio>

#include <nlohmann/json.hpp>

#include "cli/api_client.h"
#include "cli/device_table.h"
#include "cli/node_text.h"
#include "cli/status_why.h"
#include "cli/verb.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string state;
  bool json = false;
  bool why = false;
};

std::string layers_text(const json& layers) {
  if (!layers.is_object()) return "-";
  return fmt::format("{}-{}", layers.value("first", 0), layers.value("last", 0) - 1);
}

std::string stage_state_text(const json& stage) {
  std::string state = stage.value("state", "");
  std::uint64_t total = stage.value("bytes_total", std::uint64_t{0});
  if (state != "fetching" || total == 0) return state;
  return fmt::format("fetching {:.0f}%", 100.0 * static_cast<double>(stage.value("bytes_done", std::uint64_t{0})) /
                                             static_cast<double>(total));
}

// Planned until the stage is ready, measured afterwards.
std::string memory_text(const json& stage) {
  std::uint64_t measured = stage.contains("memory") ? stage["memory"].value("total_bytes", std::uint64_t{0}) : 0;
  if (measured > 0) return format_size(measured);
  return format_size(stage.value("memory_planned_bytes", std::uint64_t{0})) + " planned";
}

std::string link_text(const json& stage, const std::string& rtt) {
  std::string link = stage.value("link_to_next", "none");
  if (link == "none") return "";
  return fmt::format("{}, {}{}{}", link, stage.value("sends", "f32"), rtt.empty() ? "" : ", ", rtt);
}

void print_stages(const json& status, const json& stages) {
  std::printf("\n  %-7s %-20s %-13s %-17s %-6s %-8s %s\n", "layers", "node", "state", "memory", "queue", "step",
              "link to next");
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto& stage = stages[i];
    const StageTexts told = stage_texts(status, stages, i);
    std::printf("  %-7s %-20s %-13s %-17s %-6s %-8s %s\n", layers_text(stage["layers"]).c_str(),
                stage.value("node_name", "").c_str(), stage_state_text(stage).c_str(), memory_text(stage).c_str(),
                told.queued.c_str(), told.step.c_str(), link_text(stage, told.rtt).c_str());
    if (std::string error = stage.value("error", ""); !error.empty()) std::printf("          %s\n", error.c_str());
  }
}

// "pipeline 2: serving, 3 live, 0 waiting"; nothing of a pipeline that has no nodes.
void print_pipeline(const json& status, const json& pipeline, std::size_t number) {
  const bool several = status["pipelines"].size() > 1;
  if (several && pipeline.value("nodes", 0) == 0) return;
  if (several) {
    const std::string why = pipeline.value("why_no_plan", "");
    std::printf("\n  pipeline %zu: %s%s%s, %d live, %d waiting\n", number, pipeline.value("state", "").c_str(),
                why.empty() ? "" : ": ", why.c_str(), pipeline.value("sequences_live", 0),
                pipeline.value("sequences_waiting", 0));
  }
  if (!pipeline["plan"].is_object()) return;
  print_stages(status, pipeline["plan"]["stages"]);
  std::printf("\n  %s\n", pipeline["plan"].value("explanation", "").c_str());
  if (const auto move = pipeline.value("move", ""); !move.empty())
    std::printf("  being made ready: %s\n", move.c_str());
  if (const auto stays = pipeline.value("why_not_moved", ""); !stays.empty()) std::printf("  %s\n", stays.c_str());
}

void print_nodes(const json& nodes) {
  std::printf("\n  %-20s %-9s %-12s %-10s %-8s %s\n", "node", "id", "state", "offers", "RTT", "layers");
  for (const auto& node : nodes) {
    bool connected = node.value("state", "") == "connected";
    std::string rtt = node.contains("rtt_ms") && node["rtt_ms"].is_number()
                          ? fmt::format("{:.1f} ms", node["rtt_ms"].get<double>())
                          : "-";
    const std::string state = node_state_text(node);
    std::printf("  %-20s %-9s %-12s %-10s %-8s %s\n", node.value("name", "").c_str(),
                node.value("id", "").substr(0, 8).c_str(), state.c_str(),
                connected ? format_size(node.value("memory_bytes_max", std::uint64_t{0})).c_str() : "-", rtt.c_str(),
                layers_text(node["layers"]).c_str());
  }
  for (const auto& node : nodes) {
    if (const std::string care = care_text(node); !care.empty()) std::printf("  %s\n", care.c_str());
  }
}

Status print_status(const json& status) {
  const auto& model = status["model"];
  std::printf("%s  %s %s, %d layers, %s\n", model.value("name", "").c_str(), model.value("architecture", "").c_str(),
              model.value("quantization", "").c_str(), model.value("layer_count", 0),
              format_size(model.value("size_bytes", std::uint64_t{0})).c_str());
  std::string why = status.value("why_no_plan", "");
  std::printf("  state      %s%s%s\n", status.value("state", "").c_str(), why.empty() ? "" : ": ", why.c_str());
  std::printf("  answers    %s\n", status.value("exactness", "").c_str());
  std::printf("  sequences  %d live, %d waiting; %llu of %llu KV tokens reserved\n", status.value("sequences_live", 0),
              status.value("sequences_waiting", 0), status.value("kv_tokens_reserved", 0ull),
              status.value("kv_tokens_total", 0ull));
  std::printf("  speed      %.1f tokens/s over the last 10 s; %llu generated since the start\n",
              status.value("tokens_per_second", 0.0), status.value("tokens_generated", 0ull));
  if (const auto drafts = status.value("drafts_sent", 0ull); drafts > 0) {
    std::printf("  drafts     %llu of %llu tokens guessed ahead were right\n", status.value("drafts_accepted", 0ull),
                drafts);
  }
  if (const auto draft_model = status.value("draft_model", ""); !draft_model.empty()) {
    std::printf("             by the draft model %s: %llu of %llu\n", draft_model.c_str(),
                status.value("model_drafts_accepted", 0ull), status.value("model_drafts_sent", 0ull));
  }
  if (const auto cached = status.value("tokens_cached", 0ull); cached > 0) {
    std::printf("  cache      %llu of %llu prompt tokens were there already\n", cached,
                status.value("tokens_prompt", 0ull));
  }
  const auto resumed = status.value("sequences_resumed", 0ull);
  const auto restarted = status.value("sequences_restarted", 0ull);
  if (resumed + restarted > 0) {
    std::printf("  healed     under a new plan %llu answers went on where they were, %llu were computed again\n",
                resumed, restarted);
  }
  const auto& pipelines = status["pipelines"];
  for (std::size_t i = 0; i < pipelines.size(); ++i) print_pipeline(status, pipelines[i], i + 1);
  print_nodes(status["nodes"]);
  if (const std::string devices = device_table(status["nodes"]); !devices.empty()) {
    std::printf("\n%s", devices.c_str());
  }
  return {};
}

Status status(const Options& options) {
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  SHOAL_ASSIGN_OR_RETURN(json answer, client.get("/shoal/v1/status"));
  return print_answer(answer, options.json, options.why ? print_why : print_status);
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* verb = app.add_subcommand("status", "The plan, the nodes, exactness, speed");
  verb->add_flag("--why", options->why,
                 "Why the plan is as it is, where a new answer would go, and who went elsewhere");
  verb->add_flag("--json", options->json, "As JSON");
  verb->add_option("--state", options->state, "State directory of the coordinator");
  verb->callback([options, &context] { finish(context, status(*options)); });
}

}  // namespace shoal::cli
