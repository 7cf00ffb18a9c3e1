// `shoal trace`: where the steps of the next seconds spend their time, as a file for a trace viewer and as a table.
#include <cstdio>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/api_client.h"
#include "cli/verb.h"
#include "coordinator/trace.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string state;
  int seconds = 10;
  std::string out = "shoal-trace.json";
  bool json = false;
};

std::string ms(const json& us) {
  return fmt::format("{:.2f}", us.get<double>() / 1000);
}
std::string percent(const json& share) {
  return fmt::format("{:.0f} %", share.get<double>() * 100);
}

// "2 pixel-4 (0-11)"
std::string stage_text(std::size_t number, const json& stage) {
  const json& layers = stage.at("layers");
  return fmt::format("stage {} {} ({}-{})", number, stage.at("node_name").get<std::string>(),
                     layers.at("first").get<int>(), layers.at("last").get<int>() - 1);
}

void print_line(const std::string& what, const std::string& queue, const std::string& compute, const std::string& send,
                const std::string& link, const std::string& share, const std::string& slowest,
                const std::string& busy) {
  std::string line = fmt::format("  {:<34} {:>8} {:>8} {:>8} {:>8} {:>7} {:>10} {:>7}", what, queue, compute, send,
                                 link, share, slowest, busy);
  line.erase(line.find_last_not_of(' ') + 1);
  std::printf("%s\n", line.c_str());
}

void print_table(const json& summary) {
  print_line("ms, median", "queue", "compute", "send", "link", "share", "slowest in", "busy");
  const json& stages = summary.at("stages");
  const json& links = summary.at("links");
  for (std::size_t i = 0; i < links.size(); ++i) {
    const json& link = links[i];
    const auto name = fmt::format("{} -> {}{}", link.at("from").get<std::string>(), link.at("to").get<std::string>(),
                                  link.at("relayed").get<bool>() ? " (relay)" : "");
    print_line(name, "", "", "", ms(link.at("time_us")), percent(link.at("share")), percent(link.at("slowest")), "");
    if (i >= stages.size()) continue;
    const json& stage = stages[i];
    print_line(stage_text(i + 1, stage), ms(stage.at("queue_us")), ms(stage.at("compute_us")), ms(stage.at("send_us")),
               "", percent(stage.at("share")), percent(stage.at("slowest")), percent(stage.at("busy")));
  }
}

void print_summary(const json& summary) {
  std::printf(
      "%.1f s, %llu steps: %llu rows for tokens, %llu of prompts, %llu drafts; steps under way %s of the time\n",
      summary.at("window_s").get<double>(), summary.at("steps").get<unsigned long long>(),
      summary.at("decode_rows").get<unsigned long long>(), summary.at("prompt_rows").get<unsigned long long>(),
      summary.at("draft_rows").get<unsigned long long>(), percent(summary.at("active")).c_str());
  if (const auto missing = summary.at("steps_left_out").get<std::uint64_t>(); missing > 0) {
    std::printf("%llu more are left out: a trace holds so much\n", static_cast<unsigned long long>(missing));
  }
  if (summary.at("plans").get<int>() > 1) {
    std::printf("The plan changed meanwhile: the table is about epoch %llu\n",
                summary.at("epoch").get<unsigned long long>());
  }
  std::printf(
      "%s: %s ms (median), %s ms (95 of 100); %.1f steps under way at once\n\n",
      summary.at("tokens").get<bool>() ? "The way of a step with tokens" : "The way of a step, none with tokens",
      ms(summary.at("way_us")).c_str(), ms(summary.at("way_p95_us")).c_str(),
      summary.at("steps_under_way").get<double>());
  print_table(summary);
  const json& shares = summary.at("shares");
  print_line("all", percent(shares.at("queue")), percent(shares.at("compute")), percent(shares.at("send")),
             percent(shares.at("link")), "", "", "");
  if (!summary.at("links_measured").get<bool>()) {
    std::printf("  A node does not tell its clock: what the links took in all is divided evenly.\n");
  }
  std::printf("\n%s\n", summary.at("bottleneck").get<std::string>().c_str());
}

// Before the window, not after it.
Status check_out(const std::filesystem::path& out) {
  std::error_code error;
  const auto folder = out.has_parent_path() ? out.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder, error)) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("there is no directory {}; give --out another path", folder.string())};
  }
  if (std::filesystem::is_directory(out, error)) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} is a directory; give --out a file", out.string())};
  }
  return {};
}

Status trace(const Options& options) {
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  SHOAL_RETURN_IF_ERROR(check_out(options.out));
  SHOAL_ASSIGN_OR_RETURN(json answer, client.get(fmt::format("/shoal/v1/trace?seconds={}", options.seconds)));
  try {
    const json& summary = answer.at("otherData");
    if (summary.at("steps").get<std::uint64_t>() == 0) {
      return Error{ErrorCode::kNotFound, fmt::format("no step came back within {} s: send a request meanwhile, such as "
                                                     "`shoal chat` in another terminal",
                                                     options.seconds)};
    }
    SHOAL_RETURN_IF_ERROR(write_file_atomic(options.out, answer.dump() + "\n", 0644));
    if (options.json) {
      std::printf("%s\n", summary.dump(2).c_str());
      return {};
    }
    print_summary(summary);
  } catch (const json::exception& error) {  // another version's answer
    return Error{ErrorCode::kVersionMismatch,
                 fmt::format("the coordinator's trace is not understood: {}", error.what())};
  }
  std::printf("%s: open it in https://ui.perfetto.dev or chrome://tracing\n", options.out.c_str());
  return {};
}

}  // namespace

void add_trace(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* verb = app.add_subcommand("trace", "Where the steps of the next seconds spend their time");
  verb->add_option("--seconds", options->seconds, "For how long steps are recorded")
      ->check(CLI::Range(1, static_cast<int>(coordinator::kTraceWindowMax.count())))
      ->capture_default_str();
  verb->add_option("--out", options->out, "The trace, for ui.perfetto.dev or chrome://tracing")->capture_default_str();
  verb->add_flag("--json", options->json, "The summary as JSON");
  verb->add_option("--state", options->state, "State directory of the coordinator");
  verb->callback([options, &context] { finish(context, trace(*options)); });
}

}  // namespace shoal::cli
