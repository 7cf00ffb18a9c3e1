// Any bytes as a multicast DNS message.
#include "net/dns_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = shoal::net::parse_dns({data, size});
  if (!message.ok()) return 0;
  for (const auto& question : message->questions) shoal::net::name_text(question.name);
  for (const auto& record : message->answers) shoal::net::name_text(record.target);
  return 0;
}
