#include "draft/drafter.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace shoal::draft {

Status check_vocabularies(const model::Vocabulary& model, const model::Vocabulary& draft_model) {
  const std::uint32_t both = std::min(model.size(), draft_model.size());
  for (std::uint32_t i = 0; i < both; ++i) {
    const auto token = static_cast<Token>(i);
    if (model.piece(token) == draft_model.piece(token) &&
        model.ends_generation(token) == draft_model.ends_generation(token)) {
      continue;
    }
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("the draft model has another vocabulary than the model (token {} is \"{}\" there and \"{}\" "
                    "here); take a smaller model of the same family",
                    i, draft_model.piece(token), model.piece(token))};
  }
  return {};
}

Result<std::unique_ptr<Drafter>> Drafter::load(const std::filesystem::path& draft_model,
                                               const model::Vocabulary& vocabulary, const DrafterOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(
      auto stage, engine::Stage::load(draft_model, true, true, {options.settings, options.threads, options.progress}));
  return std::unique_ptr<Drafter>(new Drafter(std::move(stage), vocabulary, options));
}

Drafter::Drafter(std::unique_ptr<engine::Stage> stage, const model::Vocabulary& vocabulary,
                 const DrafterOptions& options)
    : stage_(std::move(stage)), vocabulary_(vocabulary), settings_(options.settings) {}

void Drafter::tell(std::uint64_t id, std::uint32_t from, std::span<const Token> tokens) {
  if (from == 0) forget(id);
  auto found = texts_.find(id);
  if (found == texts_.end()) {
    if (from != 0) return;
    if (texts_.size() >= settings_.sequences_max) {
      const auto oldest = std::min_element(texts_.begin(), texts_.end(),
                                           [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
      forget(oldest->first);
    }
    found = texts_.try_emplace(id).first;
  } else if (found->second.tokens.size() != from) {
    return forget(id);
  }
  Text& text = found->second;
  text.tokens.insert(text.tokens.end(), tokens.begin(), tokens.end());
  text.used = ++uses_;
}

void Drafter::forget(std::uint64_t id) {
  const auto found = texts_.find(id);
  if (found == texts_.end()) return;
  clear(found->second);
  texts_.erase(found);
}

void Drafter::clear(Text& text) {
  if (text.sequence) stage_->free_sequence(text.sequence);
  text.sequence = {};
  text.read.clear();
}

// What was read and did not come true.
void Drafter::drop_drafts(Text& text) {
  const auto differ = std::mismatch(text.read.begin(), text.read.end(), text.tokens.begin(), text.tokens.end());
  const auto same = static_cast<std::size_t>(differ.first - text.read.begin());
  // The last token is read (again) to ask what follows it.
  const std::size_t keep = std::min(same, text.tokens.size() - 1);
  if (keep == text.read.size()) return;
  if (keep == 0 || !stage_->truncate_sequence(text.sequence, static_cast<std::uint32_t>(keep)).ok()) {
    return clear(text);
  }
  text.read.resize(keep);
}

Drafter::Text* Drafter::least_used(const std::vector<Text*>& but) {
  Text* least = nullptr;
  for (auto& [id, text] : texts_) {
    if (!text.sequence || std::find(but.begin(), but.end(), &text) != but.end()) continue;
    if (!least || text.used < least->used) least = &text;
  }
  return least;
}

Result<engine::StepOutput> Drafter::read(const std::vector<engine::Row>& rows, const std::vector<Text*>& owners) {
  Result<engine::StepOutput> output = stage_->step({rows, {}});
  while (!output.ok() && output.error().code == ErrorCode::kResourceExhausted) {
    Text* victim = least_used(owners);
    if (!victim) break;
    clear(*victim);
    output = stage_->step({rows, {}});
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (output.ok()) {
      owners[i]->read.push_back(rows[i].token);
    } else {
      owners[i]->stuck = true;
    }
  }
  return output;
}

bool Drafter::catch_up() {
  Text* behind = nullptr;  // of those that are, the one used last
  for (auto& [id, text] : texts_) {
    if (text.stuck || text.tokens.size() <= text.read.size() + 1 || (behind && behind->used > text.used)) continue;
    behind = &text;
  }
  if (!behind) return false;
  Text& text = *behind;
  if (text.tokens.size() >= settings_.context_tokens_max) {
    text.stuck = true;
    return true;
  }
  drop_drafts(text);
  if (!text.sequence) text.sequence = {++sequences_};
  const std::size_t first = text.read.size();
  const std::size_t count = std::min<std::size_t>(text.tokens.size() - 1 - first, kStepRowsMax);
  std::vector<engine::Row> rows;
  for (std::size_t i = first; i < first + count; ++i) {
    rows.push_back({text.sequence, static_cast<std::uint32_t>(i), text.tokens[i], std::nullopt});
  }
  if (!rows.empty()) (void)read(rows, std::vector<Text*>(rows.size(), &text));
  return true;
}

bool Drafter::may_follow(Token token) const {
  return token >= 0 && static_cast<std::uint32_t>(token) < vocabulary_.size() && !vocabulary_.ends_generation(token);
}

std::vector<std::vector<Token>> Drafter::draft(std::span<const Wish> wishes) {
  std::vector<std::vector<Token>> drafts(wishes.size());
  // One round reads what is left of each text, the next ones a draft each.
  struct Open {
    std::size_t wish;
    Text* text;
  };
  std::vector<Open> open;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    const auto found = texts_.find(wishes[i].text);
    if (found == texts_.end() || found->second.stuck || found->second.tokens.empty() || wishes[i].count == 0) continue;
    Text& text = found->second;
    text.used = ++uses_;
    if (text.tokens.size() + wishes[i].count > settings_.context_tokens_max) continue;
    drop_drafts(text);
    if (text.tokens.size() - text.read.size() <= kUnreadMax) open.push_back({i, &text});
  }
  while (!open.empty()) {
    std::vector<Open> next;
    for (std::size_t done = 0; done < open.size();) {  // as many texts at a time as a step has room for
      std::vector<engine::Row> rows;
      std::vector<Text*> owners;
      const std::size_t from = done;
      for (; done < open.size(); ++done) {
        const auto& [wish, text] = open[done];
        const auto& drafted = drafts[wish];
        const std::size_t length = text->tokens.size() + drafted.size();
        if (rows.size() + length - text->read.size() > kStepRowsMax) break;
        if (!text->sequence) text->sequence = {++sequences_};
        for (std::size_t at = text->read.size(); at < length; ++at) {
          const Token token = at < text->tokens.size() ? text->tokens[at] : drafted[at - text->tokens.size()];
          rows.push_back({text->sequence, static_cast<std::uint32_t>(at), token,
                          at + 1 == length ? std::optional<std::uint32_t>(1) : std::nullopt});
          owners.push_back(text);
        }
      }
      const auto output = read(rows, owners);
      if (!output.ok()) continue;
      for (std::size_t i = from; i < done; ++i) {
        const auto& candidates = output->logits[i - from].candidates;
        if (candidates.empty() || !may_follow(candidates.front().token)) continue;
        auto& drafted = drafts[open[i].wish];
        drafted.push_back(candidates.front().token);
        if (drafted.size() < wishes[open[i].wish].count) next.push_back(open[i]);
      }
    }
    open = std::move(next);
  }
  return drafts;
}

}  // namespace shoal::draft
