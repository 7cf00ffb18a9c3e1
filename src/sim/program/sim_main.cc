// shoal-sim: runs simulated shoals by seed and prints what happened. Exit code 1: some run broke a promise.
//   shoal-sim --seed 17 --verbose      one run, with its log
//   shoal-sim --seeds 1:10000          many runs
#include <chrono>
#include <cstdio>

#include <CLI/CLI.hpp>

#include "sim/simulation.h"

int main(int argc, char** argv) {
  CLI::App app("Runs the scheduler over simulated phones; equal seeds give equal runs");
  shoal::sim::Options options;
  std::uint64_t seed = 1;
  std::string seeds;
  bool verbose = false;
  bool no_faults = false;
  app.add_option("--seed", seed, "One run");
  app.add_option("--seeds", seeds, "Runs A:B, B not included");
  app.add_option("--nodes", options.nodes, "Phones (default: by seed)");
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
  options.faults = !no_faults;
  if (verbose) options.log = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  const auto started = std::chrono::steady_clock::now();
  double simulated = 0;
  std::uint64_t broken = 0;
  for (options.seed = seed; options.seed < last; ++options.seed) {
    const shoal::sim::Report report = shoal::sim::run(options);
    simulated += std::chrono::duration<double>(report.simulated).count();
    if (last - seed == 1) std::printf("%s\n", report.text().c_str());
    for (const std::string& violation : report.violations) {
      std::printf("seed %lu: %s\n", options.seed, violation.c_str());
    }
    broken += !report.violations.empty();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::printf("%lu runs, %lu broken; %.0f simulated seconds in %.2f s: %.0f times real time\n", last - seed, broken,
              simulated, took.count(), simulated / took.count());
  return broken == 0 ? 0 : 1;
}
