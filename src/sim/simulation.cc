#include "sim/simulation.h"

#include "sim/world.h"

namespace shoal::sim {

std::string Report::text() const {
  return fmt::format(
      "{} of {} requests answered, {} errors, {} tokens in {} steps, {} of {} drafts right ({} of {} of a draft "
      "model), {} cached; {} epochs, {} nodes lost, {} steps lost, {} steps failed, {} stages failed, {} kept, {} "
      "moves; {} sequences resumed, {} restarted, {} replays, {} not in a journal, {} shards fetched; {} pipelines "
      "at once, {} sequences moved; {} events in "
      "{:.1f} s, hash {:016x}",
      answers, requests, errors, tokens, steps, drafts_accepted, drafts_sent, model_drafts_accepted, model_drafts_sent,
      cached_tokens, epochs, nodes_lost, steps_lost, steps_failed, stages_failed, stages_kept, moves, sequences_resumed,
      sequences_restarted, replays, replays_missing, shards_fetched, lanes_max, sequences_moved, events,
      std::chrono::duration<double>(simulated).count(), log_hash);
}

std::string Report::faults_text() const {
  std::string kinds;
  for (const auto& [name, count] : faults) kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", name, count);
  return fmt::format(
      "faults: {}; errors: {} of {} without a plan, {} of failed steps, {} interrupted; {} given up; {} data links "
      "broken, {} steps relayed; in a minute at most {} plans and {} loads of a node; {} sequences "
      "moved, {} of them freely, one at most {} times in a minute; at rest after {:.1f} s",
      kinds, errors_no_plan, errors, errors_of_steps, requests_interrupted, requests_given_up, links_broken,
      steps_relayed, epochs_in_a_minute_max, loads_in_a_minute_max, sequences_moved, sequences_moved_freely,
      moves_of_a_request_max, std::chrono::duration<double>(healed_after).count());
}

Report run(const Options& options) {
  return World(options).run();
}

}  // namespace shoal::sim
