// Guesses how texts continue, with a small model of its own: what stands behind sched::AskDrafts.
//
// A text grows at its end only. What of it is in the KV grows as well, in catch_up() and draft(); drafts that did not
// come true are truncated when the text goes on differently. At most settings.sequences_max texts: one more, and the
// one that was not used for longest is forgotten; it is guessed for again only after it has been told from its first
// token. KV cells that run out are taken from the text that was not used for longest, which is read again when asked
// for.
// One thread owns a drafter from load to destruction.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/stage_spec.h"
#include "engine/stage.h"
#include "model/vocabulary.h"

namespace shoal::draft {

// Whether the tokens of a draft model mean to the model what they mean to it: the same pieces under the same numbers
// (one may have more at its end, which some models fill up). kInvalidArgument: which token differs.
Status check_vocabularies(const model::Vocabulary& model, const model::Vocabulary& draft_model);

struct DrafterOptions {
  StageSettings settings;     // context_tokens_max: longer texts are not guessed for
  std::uint32_t threads = 1;  // 0: one for each big core
  std::function<bool(float)> progress;
};

// How a text may go on: `count` tokens are wanted.
struct Wish {
  std::uint64_t text = 0;
  std::uint32_t count = 0;
};

class Drafter {
 public:
  // `vocabulary`: of the model for which it guesses; it must outlive the drafter. Errors: Stage::load's.
  static Result<std::unique_ptr<Drafter>> load(const std::filesystem::path& draft_model,
                                               const model::Vocabulary& vocabulary, const DrafterOptions& options);

  // `tokens` stand from position `from` on. A text whose end is elsewhere is not known any more, and stays unknown
  // until it is told from 0.
  void tell(std::uint64_t text, std::uint32_t from, std::span<const Token> tokens);
  void forget(std::uint64_t text);

  // Reads up to kStepRowsMax tokens of one text that are told and not read; false: there is nothing to read.
  bool catch_up();
  // For each wish its drafts, the model's likeliest tokens one after the other, all texts together: fewer than wanted
  // where the text would end, none where it is not known, has no room, or needs more than kUnreadMax tokens to be read.
  std::vector<std::vector<Token>> draft(std::span<const Wish> wishes);

  StageMemory memory() const { return stage_->memory(); }

  static constexpr std::size_t kUnreadMax = 32;

 private:
  struct Text {
    std::vector<Token> tokens;
    std::vector<Token> read;  // what is in the KV: a beginning of `tokens`, then perhaps drafts
    SequenceId sequence;      // none: nothing is in the KV
    std::uint64_t used = 0;   // the larger, the later
    bool stuck = false;       // it cannot be read on: the model failed, or there is no room for it
  };

  Drafter(std::unique_ptr<engine::Stage> stage, const model::Vocabulary& vocabulary, const DrafterOptions& options);
  void drop_drafts(Text& text);
  void clear(Text& text);
  // Puts rows into the KV; their texts grow. On an error all of them are stuck.
  Result<engine::StepOutput> read(const std::vector<engine::Row>& rows, const std::vector<Text*>& owners);
  Text* least_used(const std::vector<Text*>& but);
  bool may_follow(Token token) const;

  std::unique_ptr<engine::Stage> stage_;
  const model::Vocabulary& vocabulary_;
  const StageSettings settings_;
  std::map<std::uint64_t, Text> texts_;
  std::uint64_t sequences_ = 0;
  std::uint64_t uses_ = 0;
};

}  // namespace shoal::draft
