// What steps cost in time, from what came back: the ground for how many rows the next one should carry. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/stage_spec.h"

namespace shoal::sched {

inline constexpr double kRowShareUnknown = 0.15;  // of a cost for one row, before several numbers of rows were measured

// A cost by the number of rows: a line through what was measured, old measurements fading.
class CostLine {
 public:
  void measured(std::size_t rows, Duration time);
  double microseconds(double rows) const;  // 0 before the first measurement
  double per_row() const;                  // the line's slope, in microseconds; 0 before the first measurement

 private:
  double weight_ = 0, rows_ = 0, time_ = 0, rows_rows_ = 0, rows_time_ = 0;  // faded sums
};

// The same, but true to steps of few rows: kernels take rows in groups, so one more may cost nothing, or much.
class RowCosts {
 public:
  void measured(std::size_t rows, Duration time);
  // What steps of so many rows took lately; the line's where there was none.
  double microseconds(std::size_t rows) const;

  CostLine line;

 private:
  struct Lately {
    double time = 0;
    std::uint64_t step = 0;  // 0: never measured
  };
  std::array<Lately, kStepRowsMax + 1> lately_{};  // by rows
  std::uint64_t steps_ = 0;
};

struct StepCosts {
  RowCosts trip;   // through all stages and links, without waiting in queues
  CostLine stage;  // computing in the slowest stage
  CostLine link;   // a link between two processes, the mean of a trip's
};

// How many rows of prompts a step should take, of prompts that are `prompt_rows` long, sent rows included: at most
// `rows_max`, and all or at least 8. Chunks of a prompt follow each other through the pipe: small ones fill it soon,
// large ones share what a step costs among more rows.
//  - With nobody decoding: what brings `prompt_rows` through soonest. The first chunk takes a trip, each further one as
//    long as the slowest stage or link is busy with it.
//  - With others decoding, whose tokens wait behind each chunk: no more than makes a step of `decode_rows` keep the
//    slowest stage or link busy three times as long.
// Before anything was measured: 32.
std::size_t best_chunk(const StepCosts& costs, std::size_t stages, std::size_t prompt_rows, std::size_t decode_rows,
                       bool others_decode, std::size_t rows_max);

}  // namespace shoal::sched
