// What the scheduler costs: one decode token's worth of events (a share of StepDone, one TokenSampled) and actions,
// with many sequences over pipelines of many stages, and beside sequences that do not move; and how long planning
// takes.
//   build/release/bin/sched_bench        (bench/scaling.py makes a page of it)
#include <deque>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "sched/scheduler.h"

namespace shoal::sched {
namespace {

constexpr std::uint64_t kLayerBytes = 10;

plan::NodeProfile node(std::uint32_t number) {
  plan::NodeProfile profile;
  profile.node.key.bytes[0] = static_cast<std::uint8_t>(number >> 8);
  profile.node.key.bytes[1] = static_cast<std::uint8_t>(number & 255);
  profile.name = fmt::format("n{}", number);
  profile.memory_bytes_max = 1000;
  return profile;
}

// Feeds what the scheduler sends back to it, in order, as a pipeline that answers at once would.
class Loop {
 public:
  // `computed_at_once`: of the sequences; the others wait until one of these ends, which none does.
  Loop(std::uint32_t nodes, std::uint32_t sequences, std::uint32_t computed_at_once)
      : scheduler_(plan::ModelShape::of_equal_layers(nodes, kLayerBytes), limits(computed_at_once)) {
    for (std::uint32_t i = 0; i < nodes; ++i) on(NodeJoined{node(i)});
    now_ += std::chrono::seconds(10);
    on(Timer{});
    for (StageId stage : std::exchange(loading_, {})) on(StageReady{stage});
    for (std::uint32_t i = 1; i <= sequences; ++i) on(SequenceArrived{i, {1}, UINT32_MAX, 1});
  }

  // One step comes back; how many tokens it gave.
  std::size_t turn() {
    const SendStep step = std::move(steps_.front());
    steps_.pop_front();
    now_ += Duration(100);
    on(StepDone{step.epoch, step.step});
    for (const Row& row : step.rows) on(TokenSampled{step.epoch, step.step, row.request, {7}, false});
    return step.rows.size();
  }
  // All steps but one are still under way whatever happens, and the sequences in them do not move.
  void hold_all_steps_but_one() { steps_.resize(1); }
  std::size_t steps_under_way() const { return steps_.size(); }
  std::size_t events() const { return events_; }

 private:
  static Limits limits(std::uint32_t sequences) {
    Limits limits;
    limits.settings.sequences_max = sequences;
    limits.draft_tokens_max = 0;
    limits.settings.context_tokens_max = UINT32_MAX / sequences;  // no sequence ends while it is measured
    limits.settings.kv_tokens_total = UINT32_MAX;
    return limits;
  }
  void on(const Event& event) {
    ++events_;
    for (Action& action : scheduler_.on(event, now_)) {
      if (auto* step = std::get_if<SendStep>(&action)) steps_.push_back(std::move(*step));
      if (auto* load = std::get_if<LoadStage>(&action)) loading_.push_back(load->stage);
    }
  }

  Scheduler scheduler_;
  Time now_;
  std::deque<SendStep> steps_;
  std::vector<StageId> loading_;
  std::size_t events_ = 0;
};

void measure(benchmark::State& state, Loop& loop) {
  for (int i = 0; i < 2000; ++i) loop.turn();
  const std::size_t events_before = loop.events();
  std::size_t tokens = 0;
  for (auto _ : state) tokens += loop.turn();
  const auto time_per = benchmark::Counter::kIsRate | benchmark::Counter::kInvert;
  state.counters["per_token"] = benchmark::Counter(static_cast<double>(tokens), time_per);
  state.counters["per_event"] = benchmark::Counter(static_cast<double>(loop.events() - events_before), time_per);
  state.counters["rows_per_step"] =
      static_cast<double>(tokens) / static_cast<double>(std::max<std::int64_t>(1, state.iterations()));
}

void decode(benchmark::State& state) {
  const auto sequences = static_cast<std::uint32_t>(state.range(1));
  Loop loop(static_cast<std::uint32_t>(state.range(0)), sequences, sequences);
  measure(state, loop);
}
BENCHMARK(decode)->ArgNames({"nodes", "sequences"})->ArgsProduct({{4, 32, 200}, {1, 64, 256}});

// One sequence moves; the steps of the others do not come back. With a stage for each, every step has one row.
void decode_beside_still_ones(benchmark::State& state) {
  const auto sequences = static_cast<std::uint32_t>(state.range(0));
  Loop loop(256, sequences, sequences);
  if (loop.steps_under_way() != sequences) return state.SkipWithError("not every sequence has a step of its own");
  loop.hold_all_steps_but_one();
  measure(state, loop);
}
BENCHMARK(decode_beside_still_ones)->ArgName("sequences")->Arg(1)->Arg(64)->Arg(256);

// One sequence moves; the others wait to be admitted.
void decode_beside_waiting_ones(benchmark::State& state) {
  Loop loop(4, static_cast<std::uint32_t>(state.range(0)), 1);
  measure(state, loop);
}
BENCHMARK(decode_beside_waiting_ones)->ArgName("sequences")->Arg(1)->Arg(64)->Arg(256);

void make_plan(benchmark::State& state) {
  std::vector<plan::NodeProfile> nodes;
  for (std::uint32_t i = 0; i < state.range(0); ++i) nodes.push_back(node(i));
  const plan::ModelShape model =
      plan::ModelShape::of_equal_layers(static_cast<std::uint32_t>(state.range(1)), kLayerBytes);
  for (auto _ : state) benchmark::DoNotOptimize(plan::make_plan(model, nodes));
}
BENCHMARK(make_plan)->ArgNames({"nodes", "layers"})->Args({4, 32})->Args({32, 64})->Args({64, 128})->Args({200, 128});

}  // namespace
}  // namespace shoal::sched

BENCHMARK_MAIN();
