// How the owner of the sequences turns a step's logits into TokenSampled events: row by row, as long as the token that
// was chosen is the draft that the next row was computed for.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "sched/scheduler.h"

namespace shoal::sched {

struct ChosenToken {
  Token token = 0;
  bool ends = false;
};

// `choose(row)`, called in row order: the token from this row's logits; nullopt: the owner has given the sequence up,
// none of its rows counts. One event for each other sequence with rows that wanted logits.
template <typename Choose>
std::vector<TokenSampled> sample_rows(Epoch epoch, StepId step, std::span<const Row> rows, Choose choose) {
  std::vector<TokenSampled> events;
  std::size_t next = 0;
  while (next < rows.size()) {
    const std::size_t first = next;
    while (next < rows.size() && rows[next].request == rows[first].request) ++next;
    TokenSampled sampled{epoch, step, rows[first].request, {}, false};
    for (std::size_t i = first; i < next && !sampled.ends; ++i) {
      if (rows[i].logits == 0) continue;
      if (!sampled.tokens.empty() && sampled.tokens.back() != rows[i].token) break;  // computed for another token
      const std::optional<ChosenToken> chosen = choose(i);
      if (!chosen) {
        sampled.tokens.clear();
        break;
      }
      sampled.tokens.push_back(chosen->token);
      sampled.ends = chosen->ends;
    }
    if (!sampled.tokens.empty()) events.push_back(std::move(sampled));
  }
  return events;
}

}  // namespace shoal::sched
