#include "sched/balance.h"

#include <algorithm>

namespace shoal::sched {
namespace {

// Before anything was measured only the company counts: a token costs this, and a little more for each stream.
constexpr double kTokenUnknown_us = 50'000;
constexpr double kStreamShare = 0.15;
constexpr double kPromptRowUnknown_us = 10'000;

double as_us(Duration duration) {
  return static_cast<double>(duration.count());
}

double unknown_token_us(std::size_t streams) {
  return kTokenUnknown_us * (1 + kStreamShare * static_cast<double>(streams));
}

template <typename Of>
double mean_of_known(std::span<const Outlook> lanes, Of of, double unknown) {
  double sum = 0;
  std::size_t known = 0;
  for (const Outlook& lane : lanes) {
    sum += of(lane);
    known += of(lane) > 0;
  }
  return known == 0 ? unknown : sum / static_cast<double>(known);
}

}  // namespace

void fill_in(std::span<Outlook> lanes) {
  const double row_us = mean_of_known(
      lanes, [](const auto& lane) { return lane.prompt_row_us; }, kPromptRowUnknown_us);
  // A lane alone, with one stream.
  const double scale = mean_of_known(
      lanes, [](const auto& lane) { return lane.token_us / unknown_token_us(lane.streams); }, 1);
  for (Outlook& lane : lanes) {
    if (lane.prompt_row_us <= 0) lane.prompt_row_us = row_us;
    if (lane.token_us > 0) continue;
    lane.token_us = scale * unknown_token_us(lane.streams);
    lane.token_more_us = scale * unknown_token_us(lane.streams + 1);
    lane.token_less_us = scale * unknown_token_us(lane.streams - (lane.streams > 0 ? 1 : 0));
  }
}

double done_us(const Outlook& lane, double rows, double tokens) {
  double queue_us = 0;
  if (lane.waiting > 0 && lane.streams > 0) {
    queue_us = static_cast<double>(lane.waiting) * tokens * lane.token_us / static_cast<double>(lane.streams);
  }
  const double work_us =
      (static_cast<double>(lane.prompt_rows) + rows) * lane.prompt_row_us + tokens * lane.token_more_us + queue_us;
  return lane.ready_us + work_us / lane.share;
}

MoveValue move_value(const Outlook& from, const Outlook& to, const Mover& mover) {
  const double here_us = from.token_us / from.share;
  const double there_us = to.token_more_us / to.share;
  const double given_us =
      static_cast<double>(from.streams > 0 ? from.streams - 1 : 0) * (from.token_us - from.token_less_us) / from.share;
  const double taken_us = static_cast<double>(to.streams) * (to.token_more_us - to.token_us) / to.share;
  MoveValue value;
  value.saved_us = mover.tokens * (here_us - there_us + given_us - taken_us);
  value.cost_us = to.ready_us + (static_cast<double>(to.prompt_rows) + mover.rows) * to.prompt_row_us / to.share;
  return value;
}

bool MoveValue::pays() const {
  return saved_us >= kMoveGainMin * cost_us && gain_us() >= as_us(kMoveGainLeast);
}

Time may_move_again(Time moved_at, std::uint32_t moves) {
  if (moves == 0) return moved_at;
  return moved_at + kRestAfterMove * (std::int64_t{1} << std::min<std::uint32_t>(moves - 1, 16));
}

void AnswerLength::ended(std::uint32_t tokens) {
  constexpr double kNew = 0.1;
  mean_ += kNew * (static_cast<double>(tokens) - mean_);
}

double AnswerLength::of_new(std::uint32_t tokens_max) const {
  return std::clamp(mean_, 1.0, std::max(1.0, static_cast<double>(tokens_max)));
}

// What has gone on for long goes on for long.
double AnswerLength::rest(std::uint32_t tokens, std::uint32_t tokens_max) const {
  const double expected = std::max(mean_ - tokens, static_cast<double>(tokens) / 2);
  return std::clamp(expected, 1.0, std::max(1.0, static_cast<double>(tokens_max) - tokens));
}

}  // namespace shoal::sched
