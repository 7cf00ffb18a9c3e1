// Texts that travel between devices and end in logs and on terminals: UTF-8 without control characters. Pure; any
// thread.
#pragma once

#include <string>
#include <string_view>

namespace shoal::wire {

// Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates) without C0 and C1 controls and DEL.
bool is_clean_text(std::string_view text);

// `text` with '?' for every byte that keeps it from being clean, cut at a character's end to at most `bytes_max` bytes.
std::string clean_text(std::string_view text, std::size_t bytes_max);

}  // namespace shoal::wire
