// `shoal bench net`: the round trip and the rate of every link of a shoal, and what hidden states cost on it.
#include <cstdio>

#include <nlohmann/json.hpp>

#include "cli/api_client.h"
#include "cli/verb.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string state;
  bool json = false;
};

std::string rate_text(double bytes_per_s) {
  const double mbit_s = bytes_per_s * 8 / 1e6;
  return fmt::format("{:.{}f} Mbit/s", mbit_s, mbit_s < 100 ? 1 : 0);
}

std::string ms_text(const json& ms) {
  return fmt::format("{:.2f}", ms.get<double>());
}

void print_line(const std::string& from, const std::string& to, const std::string& kind, const std::string& path,
                const std::string& rest) {
  std::printf("  %-20s %-20s %-8s %-7s %s\n", from.c_str(), to.c_str(), kind.c_str(), path.c_str(), rest.c_str());
}

std::string numbers(const std::string& rtt, const std::string& rate, const std::string& row, const std::string& step) {
  return fmt::format("{:>9} {:>14} {:>9} {:>9}", rtt, rate, row, step);
}

Status print_links(const json& bench) {
  if (bench.at("links").empty()) {
    return Error{ErrorCode::kNotFound,
                 "no node is connected, so there is no link to measure: start one with `shoal join`"};
  }
  print_line("from", "to", "kind", "path",
             numbers("RTT ms", "rate", "1 row ms", fmt::format("{} rows", bench.at("step_rows").get<int>())));
  for (const json& link : bench.at("links")) {
    const bool measured = link.at("measured").get<bool>();
    print_line(link.at("from"), link.at("to"), link.at("kind"), measured ? link.at("path").get<std::string>() : "-",
               measured ? numbers(ms_text(link.at("rtt_ms")), rate_text(link.at("bytes_per_s")),
                                  ms_text(link.at("row_ms")), ms_text(link.at("step_ms")))
                        : "not measured: " + link.at("why_not").get<std::string>());
  }
  std::printf("\n%s\n", bench.at("slowest").get<std::string>().c_str());
  return {};
}

Status bench_net(const Options& options) {
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  SHOAL_ASSIGN_OR_RETURN(json answer, client.post("/shoal/v1/bench/net", json::object()));
  return print_answer(answer, options.json, print_links);
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* verb = app.add_subcommand("bench", "Measure a shoal");
  verb->require_subcommand(1);
  auto* net = verb->add_subcommand("net", "Round trip and rate of every link, and what the model costs on it");
  net->add_flag("--json", options->json, "As JSON");
  net->add_option("--state", options->state, "State directory of the coordinator");
  net->callback([options, &context] { finish(context, bench_net(*options)); });
}

}  // namespace shoal::cli
