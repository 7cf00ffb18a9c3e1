#include "sched/step_cost.h"

#include <algorithm>

namespace shoal::sched {
namespace {

constexpr double kFade = 0.98;
constexpr double kLatelyLearned = 0.3;
constexpr std::uint64_t kLatelySteps = 512;  // what was measured longer ago may be otherwise now
constexpr std::size_t kChunkUnknown = 32;
constexpr std::size_t kChunkMin = 8;  // what a step costs beside its rows is never quite measured
constexpr double kDecodeDelay = 3;    // by which a chunk may slow down those who decode

}  // namespace

void CostLine::measured(std::size_t rows, Duration time) {
  const auto r = static_cast<double>(rows);
  const auto t = static_cast<double>(time.count());
  weight_ = weight_ * kFade + 1;
  rows_ = rows_ * kFade + r;
  time_ = time_ * kFade + t;
  rows_rows_ = rows_rows_ * kFade + r * r;
  rows_time_ = rows_time_ * kFade + r * t;
}

double CostLine::per_row() const {
  if (weight_ == 0) return 0;
  const double mean_rows = rows_ / weight_;
  const double mean_time = time_ / weight_;
  const double variance = rows_rows_ / weight_ - mean_rows * mean_rows;
  if (variance <= 0.01) return mean_time * kRowShareUnknown / (1 + kRowShareUnknown * (mean_rows - 1));
  const double slope = (rows_time_ / weight_ - mean_rows * mean_time) / variance;
  // A line that does not begin above 0 says that steps cost their rows alone.
  return std::clamp(slope, 0.0, mean_rows > 0 ? mean_time / mean_rows : 0.0);
}

double CostLine::microseconds(double rows) const {
  if (weight_ == 0) return 0;
  return time_ / weight_ + per_row() * (rows - rows_ / weight_);
}

void RowCosts::measured(std::size_t rows, Duration time) {
  line.measured(rows, time);
  ++steps_;
  if (rows >= lately_.size()) return;
  Lately& lately = lately_[rows];
  const auto t = static_cast<double>(time.count());
  const bool known = lately.step != 0 && steps_ - lately.step <= kLatelySteps;
  lately.time = known ? lately.time + kLatelyLearned * (t - lately.time) : t;
  lately.step = steps_;
}

double RowCosts::microseconds(std::size_t rows) const {
  if (rows < lately_.size() && lately_[rows].step != 0 && steps_ - lately_[rows].step <= kLatelySteps) {
    return lately_[rows].time;
  }
  return line.microseconds(static_cast<double>(rows));
}

std::size_t best_chunk(const StepCosts& costs, std::size_t stages, std::size_t prompt_rows, std::size_t decode_rows,
                       bool others_decode, std::size_t rows_max) {
  const std::size_t most = std::min(prompt_rows, rows_max);
  if (most == 0) return 0;
  const auto others = static_cast<double>(decode_rows);
  // How long a step keeps the slowest stage or link busy. A link's latency keeps nobody from sending the next step.
  const auto busy = [&](double rows) {
    const double stage = costs.stage.microseconds(rows);
    const double compute = stage > 0 ? stage : costs.trip.line.microseconds(rows) / static_cast<double>(stages);
    return std::max(compute, costs.link.per_row() * rows);
  };
  if (busy(1) <= 0) return std::min(most, kChunkUnknown);

  if (others_decode) {
    const double limit = kDecodeDelay * busy(std::max(others, 1.0));
    std::size_t chunk = std::min(most, kChunkMin);
    while (chunk < most && busy(others + static_cast<double>(chunk + 1)) <= limit) ++chunk;
    return chunk;
  }
  std::size_t best = 0;
  double best_time = 0;
  for (std::size_t chunk = std::min(most, kChunkMin); chunk <= most; ++chunk) {
    const double rows = others + static_cast<double>(chunk);
    const std::size_t further = (prompt_rows - 1) / chunk;  // chunks behind the first
    const double time = costs.trip.line.microseconds(rows) + static_cast<double>(further) * busy(rows);
    if (best > 0 && time >= best_time) continue;
    best_time = time;
    best = chunk;
  }
  return best;
}

}  // namespace shoal::sched
