#include "cli/status_why.h"

#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "cli/node_text.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

std::string ms_text(const json& object, const char* key) {
  return fmt::format("{:.1f} ms", object.value(key, 0.0));
}

// What the scheduler takes for granted of a pipeline when it decides who computes what.
void print_outlook(const json& pipeline) {
  if (pipeline.value("state", "") != "serving") return;
  const int live = pipeline.value("sequences_live", 0);
  const std::string now =
      live == 0 ? "" : fmt::format("a token takes {} with {} answers, ", ms_text(pipeline, "token_ms"), live);
  std::printf(
      "    %s%s with %s; a row of a prompt takes %s; %llu rows wait\n", now.c_str(),
      (live == 0 ? "a token takes " + ms_text(pipeline, "token_more_ms") : ms_text(pipeline, "token_more_ms")).c_str(),
      live == 0 ? "one answer" : "one more", ms_text(pipeline, "prompt_row_ms").c_str(),
      pipeline.value("prompt_rows_waiting", 0ull));
  if (const double share = pipeline.value("share", 1.0); share < 1) {
    std::printf("    it is taken for %.1f times as slow: a node of it gets %.0f %% of its work\n", 1 / share,
                100 * share);
  }
}

void print_pipeline(const json& pipeline, std::size_t number, bool several) {
  if (several && pipeline.value("nodes", 0) == 0) return;
  std::printf("  %s\n", several ? fmt::format("pipeline {}", number).c_str() : "the plan");
  if (const std::string why = pipeline.value("why_no_plan", ""); !why.empty()) std::printf("    %s\n", why.c_str());
  if (pipeline["plan"].is_object()) std::printf("    %s\n", pipeline["plan"].value("explanation", "").c_str());
  for (const char* key : {"move", "why_no_move", "why_not_moved"}) {
    const std::string text = pipeline.value(key, "");
    if (!text.empty()) std::printf("    %s%s\n", std::string(key) == "move" ? "being made ready: " : "", text.c_str());
  }
  print_outlook(pipeline);
}

}  // namespace

Status print_why(const json& status) {
  const auto& pipelines = status["pipelines"];
  const bool several = pipelines.size() > 1;
  if (const std::string why = status.value("why_no_plan", ""); !why.empty()) std::printf("no plan: %s\n", why.c_str());
  std::printf("why the plan is as it is\n");
  for (std::size_t i = 0; i < pipelines.size(); ++i) print_pipeline(pipelines[i], i + 1, several);
  bool cared = false;
  for (const auto& node : status["nodes"]) {
    const std::string state = node_state_text(node);
    const std::string care = care_text(node);
    if (care.empty() && state != "paused") continue;
    if (!std::exchange(cared, true)) std::printf("who gets less\n");
    std::printf("  %s\n", care.empty() ? (node.value("name", "") + " is paused").c_str() : care.c_str());
  }
  if (!several) return {};
  std::printf("who went to another pipeline: %llu answers since the start\n", status.value("sequences_moved", 0ull));
  for (const auto& decision : status["decisions"]) std::printf("  %s\n", decision.get<std::string>().c_str());
  return {};
}

}  // namespace shoal::cli
