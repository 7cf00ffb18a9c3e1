// From sampled tokens to text that may be sent: pieces joined, UTF-8 characters kept whole, stop strings never shown.
//
// One object a completion; not thread-safe. Holds back at most the longest stop string and three bytes besides.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/completions.h"

namespace shoal::coordinator {

class TextStream {
 public:
  // `vocabulary` must outlive the object. Empty stop strings are ignored.
  TextStream(const model::Vocabulary& vocabulary, std::vector<std::string> stop);

  struct Update {
    TextDelta delta;     // what may be sent now; text may be empty
    bool ended = false;  // an end-of-generation token or a stop string: generation must end here, with kStop
  };
  // The next sampled token, and its log-probabilities where they were asked for. Must not be called after an Update
  // that ended. Where a stop string is complete, the text before it is in the delta and nothing will follow.
  Update feed(Token token, std::optional<TokenLogprobs> logprobs = std::nullopt);

  // No token follows (length limit, or after `ended`): what was held back. Bytes that are no UTF-8 become U+FFFD.
  TextDelta finish();

  // The log-probabilities of one row as feed() takes them. `chosen` is an index into `logits.candidates`; `best` is
  // clamped to the candidates that are there.
  static TokenLogprobs logprobs_of(const model::Vocabulary& vocabulary, const model::Logits& logits, std::size_t chosen,
                                   std::uint32_t best);

 private:
  struct PendingLogprobs {
    std::uint64_t start = 0;  // of the token's bytes in the whole answer
    std::uint64_t end = 0;
    TokenLogprobs logprobs;
  };
  TextDelta release(std::size_t byte_count);

  const model::Vocabulary& vocabulary_;
  std::vector<std::string> stop_;
  std::string held_;                  // bytes not sent yet
  std::uint64_t released_bytes_ = 0;  // held_ starts here in the whole answer
  std::uint32_t tokens_unsent_ = 0;
  std::deque<PendingLogprobs> logprobs_;
};

// How many bytes at the end of `text` begin a UTF-8 character that is not complete yet (0 to 3).
std::size_t utf8_incomplete_tail(std::string_view text);
// `text` with every byte that belongs to no UTF-8 character (RFC 3629) replaced by U+FFFD.
std::string utf8_replace_invalid(std::string_view text);

}  // namespace shoal::coordinator
