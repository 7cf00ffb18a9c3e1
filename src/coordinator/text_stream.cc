#include "coordinator/text_stream.h"

#include <algorithm>
#include <utility>

namespace shoal::coordinator {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// Length of the character that `lead` begins (1 to 4), or 0 where it begins none. RFC 3629 §4.
std::size_t character_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

// Whether `next` may stand second after `lead`: no overlong forms, surrogates or values beyond U+10FFFF.
bool second_fits(unsigned char lead, unsigned char next) {
  const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  return next >= low && next <= high;
}

// How many bytes at the start of `text` (not empty) are a character or the beginning of one.
std::size_t character_prefix(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = character_length(byte(0));
  if (length == 0) return 0;
  std::size_t fitting = 1;
  while (fitting < length && fitting < text.size() &&
         (fitting == 1 ? second_fits(byte(0), byte(1)) : (byte(fitting) & 0xc0) == 0x80)) {
    ++fitting;
  }
  return fitting;
}

// The longest end of `text` that is the beginning, but not the whole, of `stop`.
std::size_t partial_stop(std::string_view text, std::string_view stop) {
  for (std::size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size) {
    if (text.substr(text.size() - size) == stop.substr(0, size)) return size;
  }
  return 0;
}

}  // namespace

std::size_t utf8_incomplete_tail(std::string_view text) {
  for (std::size_t size = std::min<std::size_t>(3, text.size()); size > 0; --size) {
    const std::string_view tail = text.substr(text.size() - size);
    const std::size_t length = character_length(static_cast<unsigned char>(tail[0]));
    if (length > size && character_prefix(tail) == size) return size;
  }
  return 0;
}

std::string utf8_replace_invalid(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t fitting = character_prefix(text);
    const bool whole = fitting > 0 && fitting == character_length(static_cast<unsigned char>(text[0]));
    valid += whole ? text.substr(0, fitting) : kReplacement;  // one mark for a character that breaks off
    text.remove_prefix(std::max<std::size_t>(1, fitting));
  }
  return valid;
}

TextStream::TextStream(const model::Vocabulary& vocabulary, std::vector<std::string> stop)
    : vocabulary_(vocabulary), stop_(std::move(stop)) {
  std::erase(stop_, std::string());
}

TextStream::Update TextStream::feed(Token token, std::optional<TokenLogprobs> logprobs) {
  ++tokens_unsent_;
  if (vocabulary_.ends_generation(token)) return {release(0), true};

  const std::string piece = vocabulary_.piece(token);
  const std::uint64_t start = released_bytes_ + held_.size();
  if (logprobs) logprobs_.push_back({start, start + piece.size(), *std::move(logprobs)});
  held_ += piece;

  std::size_t stop_at = std::string::npos;
  for (const std::string& stop : stop_) stop_at = std::min(stop_at, held_.find(stop));
  if (stop_at != std::string::npos) {
    held_.resize(stop_at);
    // Tokens of the stop string are not part of the answer; one that is in it for a part still is.
    const std::uint64_t end = released_bytes_ + stop_at;
    while (!logprobs_.empty() && logprobs_.back().start >= end) logprobs_.pop_back();
    if (!logprobs_.empty()) logprobs_.back().end = std::min(logprobs_.back().end, end);
    return {release(held_.size()), true};
  }

  std::size_t keep = 0;
  for (const std::string& stop : stop_) keep = std::max(keep, partial_stop(held_, stop));
  const std::size_t free = held_.size() - keep;
  return {release(free - utf8_incomplete_tail(std::string_view(held_).substr(0, free))), false};
}

TextDelta TextStream::finish() {
  return release(held_.size());
}

TextDelta TextStream::release(std::size_t byte_count) {
  TextDelta delta;
  delta.text = utf8_replace_invalid(std::string_view(held_).substr(0, byte_count));
  delta.tokens = std::exchange(tokens_unsent_, 0);
  held_.erase(0, byte_count);
  released_bytes_ += byte_count;
  while (!logprobs_.empty() && logprobs_.front().end <= released_bytes_) {
    delta.logprobs.push_back(std::move(logprobs_.front().logprobs));
    logprobs_.pop_front();
  }
  return delta;
}

TokenLogprobs TextStream::logprobs_of(const model::Vocabulary& vocabulary, const model::Logits& logits,
                                      std::size_t chosen, std::uint32_t best) {
  const auto entry = [&](std::size_t index) {
    const Token token = logits.candidates[index].token;
    return TokenLogprob{token, vocabulary.piece(token), logits.logprob(index)};
  };
  TokenLogprobs result;
  result.chosen = entry(chosen);
  for (std::size_t i = 0; i < std::min<std::size_t>(best, logits.candidates.size()); ++i) {
    result.best.push_back(entry(i));
  }
  return result;
}

}  // namespace shoal::coordinator
