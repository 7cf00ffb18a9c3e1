// shoal-sim: runs simulated shoals by seed and prints what happened. Exit code 1: some run broke a promise.
//   shoal-sim --seed 17 --verbose            one run, with its log
//   shoal-sim --seeds 1:10000                many runs
//   shoal-sim --faults --seeds 1:201         ten simulated minutes each, with every kind of fault
#include <algorithm>
#include <chrono>
#include <cstdio>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "sim/faults.h"
#include "sim/simulation.h"

namespace {

using shoal::sim::Options;
using shoal::sim::Report;

// The command that repeats a run.
std::string replay(const Options& options) {
  std::string command = "build/release/bin/shoal-sim";
  if (options.all_faults) command += " --faults";
  for (const std::string& kind : options.fault_kinds) command += " --only " + kind;
  if (!options.faults) command += " --no-faults";
  const std::pair<const char*, std::uint32_t> settings[] = {{"nodes", options.nodes},
                                                            {"layers", options.layers},
                                                            {"replicas", options.replicas},
                                                            {"vocabulary", options.vocabulary},
                                                            {"requests", options.requests}};
  for (const auto& [name, value] : settings) {
    if (value > 0) command += fmt::format(" --{} {}", name, value);
  }
  return command + fmt::format(" --seed {} --verbose", options.seed);
}

void add(Report& sum, const Report& report) {
  for (const auto& [kind, count] : report.faults) sum.faults[kind] += count;
  sum.requests += report.requests;
  sum.answers += report.answers;
  sum.errors += report.errors;
  sum.tokens += report.tokens;
  sum.epochs += report.epochs;
  sum.moves += report.moves;
  sum.nodes_lost += report.nodes_lost;
  sum.steps += report.steps;
  sum.sequences_resumed += report.sequences_resumed;
  sum.sequences_restarted += report.sequences_restarted;
  sum.replays += report.replays;
  sum.requests_interrupted += report.requests_interrupted;
  sum.requests_given_up += report.requests_given_up;
  sum.errors_no_plan += report.errors_no_plan;
  sum.errors_of_steps += report.errors_of_steps;
  sum.links_broken += report.links_broken;
  sum.steps_relayed += report.steps_relayed;
  sum.epochs_in_a_minute_max = std::max(sum.epochs_in_a_minute_max, report.epochs_in_a_minute_max);
  sum.loads_in_a_minute_max = std::max(sum.loads_in_a_minute_max, report.loads_in_a_minute_max);
  sum.sequences_moved += report.sequences_moved;
  sum.sequences_moved_freely += report.sequences_moved_freely;
  sum.moves_of_a_request_max = std::max(sum.moves_of_a_request_max, report.moves_of_a_request_max);
  sum.healed_after = std::max(sum.healed_after, report.healed_after);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs the scheduler over simulated phones; equal seeds give equal runs");
  Options options;
  std::uint64_t seed = 1;
  std::string seeds;
  bool verbose = false;
  bool no_faults = false;
  std::string kinds;
  for (const auto& kind : shoal::sim::fault_kinds()) kinds += fmt::format("\n{}: {}", kind.name, kind.what);
  app.add_option("--seed", seed, "One run");
  app.add_option("--seeds", seeds, "Runs A:B, B not included");
  app.add_flag("--faults", options.all_faults, "Ten minutes with every kind of fault, all overlapping");
  app.add_option("--only", options.fault_kinds, "With --faults: only these kinds" + kinds);
  app.add_option("--nodes", options.nodes, "Phones (default: by seed)");
  app.add_option("--replicas", options.replicas, "Pipelines at the most (default: by seed)");
  app.add_option("--layers", options.layers, "Layers (default: by seed)");
  app.add_option("--vocabulary", options.vocabulary, "Tokens there are; few make text that repeats itself");
  app.add_option("--requests", options.requests, "Requests (default: by seed)");
  app.add_flag("--no-faults", no_faults, "Nothing breaks");
  app.add_flag("--verbose", verbose, "Print what happens");
  CLI11_PARSE(app, argc, argv);
  std::uint64_t last = seed + 1;
  if (!seeds.empty() && (std::sscanf(seeds.c_str(), "%lu:%lu", &seed, &last) != 2 || seed >= last)) {
    std::fprintf(stderr, "--seeds %s: two numbers A:B with A below B are wanted\n", seeds.c_str());
    return 2;
  }
  for (const std::string& only : options.fault_kinds) {
    const auto all = shoal::sim::fault_kinds();
    if (std::any_of(all.begin(), all.end(), [&](const auto& kind) { return kind.name == only; })) continue;
    std::fprintf(stderr, "--only %s: there is no such kind of fault; --help lists them\n", only.c_str());
    return 2;
  }
  options.faults = !no_faults;
  if (verbose) options.log = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  const auto started = std::chrono::steady_clock::now();
  double simulated = 0;
  std::uint64_t broken = 0;
  std::uint64_t with_lanes = 0;
  Report sum;
  for (options.seed = seed; options.seed < last; ++options.seed) {
    const Report report = shoal::sim::run(options);
    simulated += std::chrono::duration<double>(report.simulated).count();
    add(sum, report);
    if (last - seed == 1) std::printf("%s\n", report.text().c_str());
    for (const std::string& violation : report.violations) {
      std::printf("seed %lu: %s\n", options.seed, violation.c_str());
    }
    if (!report.violations.empty()) std::printf("seed %lu: replay: %s\n", options.seed, replay(options).c_str());
    std::fflush(stdout);  // of many runs it is wanted before the last one
    broken += !report.violations.empty();
    with_lanes += report.lanes_max > 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  if (options.all_faults) {
    if (last - seed > 1) {
      std::printf(
          "%lu of %lu requests answered, %lu errors, %lu tokens in %lu steps; %lu epochs, %lu moves, %lu nodes lost; "
          "%lu "
          "sequences resumed, %lu restarted, %lu replays\n",
          sum.answers, sum.requests, sum.errors, sum.tokens, sum.steps, sum.epochs, sum.moves, sum.nodes_lost,
          sum.sequences_resumed, sum.sequences_restarted, sum.replays);
    }
    std::printf("%s\n", sum.faults_text().c_str());
  }
  std::printf(
      "%lu runs, %lu of them with several pipelines at once, %lu broken; %.0f simulated seconds in %.2f s: %.0f times "
      "real time\n",
      last - seed, with_lanes, broken, simulated, took.count(), simulated / took.count());
  return broken == 0 ? 0 : 1;
}
