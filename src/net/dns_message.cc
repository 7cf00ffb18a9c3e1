#include "net/dns_message.h"

#include <algorithm>

namespace shoal::net {
namespace {

constexpr std::uint16_t kClassInternet = 1;
constexpr std::uint16_t kTopBit = 0x8000;  // QU in questions, cache flush in records
constexpr std::uint16_t kResponse = 0x8000, kAuthoritative = 0x0400;
constexpr std::size_t kHeaderBytes = 12;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

Error corrupt(const char* what) {
  return {ErrorCode::kCorrupt, std::string("DNS message: ") + what};
}

// Reads big-endian numbers and names; the first thing that does not fit spoils the rest.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : bytes_(bytes), end_(bytes.size()) {}

  bool ok() const { return ok_; }
  std::size_t at() const { return at_; }
  std::size_t left() const { return end_ - at_; }
  // Until leave(), nothing behind the next `size` bytes is read.
  void enter(std::size_t size) {
    if (size > left()) return spoil();
    end_ = at_ + size;
  }
  void leave() {
    at_ = end_;
    end_ = bytes_.size();
  }

  std::uint8_t u8() {
    if (left() < 1) return spoil(), std::uint8_t{0};
    return bytes_[at_++];
  }
  std::uint16_t u16() {
    const std::uint16_t high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  std::string_view text(std::size_t size) {
    if (size > left()) return spoil(), std::string_view();
    const auto result = as_text(bytes_.subspan(at_, size));
    at_ += size;
    return result;
  }
  DnsName name();

 private:
  void spoil() {
    ok_ = false;
    at_ = end_;
  }

  ByteSpan bytes_;
  std::size_t at_ = 0, end_;
  bool ok_ = true;
};

DnsName Reader::name() {
  DnsName name;
  std::size_t size = 0;
  std::size_t at = at_, end = end_;
  std::size_t pointers_below = at_;  // a pointer must point before this; each one lowers it
  bool jumped = false;
  while (true) {
    if (at >= end) return spoil(), DnsName();
    const std::uint8_t length = bytes_[at++];
    if (length == 0) break;
    if ((length & 0xc0) == 0xc0) {
      if (at >= end) return spoil(), DnsName();
      const std::size_t target = static_cast<std::size_t>(length & 0x3f) << 8 | bytes_[at++];
      if (target >= pointers_below) return spoil(), DnsName();
      if (!jumped) at_ = at;
      jumped = true;
      pointers_below = at = target;
      end = bytes_.size();
      continue;
    }
    size += length + std::size_t{1};
    if (length > kDnsLabelBytesMax || length > end - at || size >= kDnsNameBytesMax) return spoil(), DnsName();
    name.emplace_back(as_text(bytes_.subspan(at, length)));
    at += length;
  }
  if (!jumped) at_ = at;
  return name;
}

void read_data(Reader& reader, DnsRecord& record) {
  switch (record.type) {
    case kDnsPtr:
      record.target = reader.name();
      break;
    case kDnsSrv:
      reader.u32();  // priority and weight
      record.port = reader.u16();
      record.target = reader.name();
      break;
    case kDnsTxt:
      while (reader.ok() && reader.left() > 0) record.texts.emplace_back(reader.text(reader.u8()));
      break;
    case kDnsA:
    case kDnsAaaa: {
      const auto bytes = as_bytes(reader.text(record.type == kDnsA ? 4 : 16));
      record.address.assign(bytes.begin(), bytes.end());
      break;
    }
    default:
      break;
  }
}

DnsRecord read_record(Reader& reader) {
  DnsRecord record;
  record.name = reader.name();
  record.type = reader.u16();
  record.cache_flush = (reader.u16() & kTopBit) != 0;
  record.ttl_s = reader.u32();
  reader.enter(reader.u16());
  if (reader.ok()) read_data(reader, record);
  reader.leave();
  return record;
}

void put16(Bytes& to, std::size_t value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8));
  to.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}
void put_text(Bytes& to, std::string_view text) {
  SHOAL_ASSERT(text.size() <= 255);
  to.push_back(static_cast<std::uint8_t>(text.size()));
  to.insert(to.end(), text.begin(), text.end());
}
void put_name(Bytes& to, const DnsName& name) {
  const std::size_t begin = to.size();
  for (const std::string& label : name) {
    SHOAL_ASSERT(!label.empty() && label.size() <= kDnsLabelBytesMax);
    put_text(to, label);
  }
  to.push_back(0);
  SHOAL_ASSERT(to.size() - begin <= kDnsNameBytesMax);
}

void put_record(Bytes& to, const DnsRecord& record) {
  put_name(to, record.name);
  put16(to, record.type);
  put16(to, kClassInternet | (record.cache_flush ? kTopBit : 0));
  put32(to, record.ttl_s);
  Bytes data;
  if (record.type == kDnsSrv) {
    put32(data, 0);
    put16(data, record.port);
  }
  if (record.type == kDnsSrv || record.type == kDnsPtr) put_name(data, record.target);
  if (record.type == kDnsTxt) {
    for (const std::string& text : record.texts) put_text(data, text);
    if (data.empty()) data.push_back(0);  // RFC 6763 §6.1: never empty
  }
  data.insert(data.end(), record.address.begin(), record.address.end());
  put16(to, data.size());
  to.insert(to.end(), data.begin(), data.end());
}

}  // namespace

bool same_name(const DnsName& a, const DnsName& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const std::string& x, const std::string& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](char c, char d) { return lower(c) == lower(d); });
  });
}

std::string name_text(const DnsName& name) {
  std::string text;
  for (const std::string& label : name) {
    if (!text.empty()) text += '.';
    std::transform(label.begin(), label.end(), std::back_inserter(text), lower);
  }
  return text;
}

Result<DnsMessage> parse_dns(ByteSpan bytes) {
  if (bytes.size() > kDnsMessageBytesMax) return corrupt("too long");
  if (bytes.size() < kHeaderBytes) return corrupt("too short");
  Reader reader(bytes);
  DnsMessage message;
  message.id = reader.u16();
  message.response = (reader.u16() & kResponse) != 0;
  const std::size_t questions = reader.u16(), answers = reader.u16(), others = std::size_t{reader.u16()} + reader.u16();
  if (questions + answers + others > kDnsRecordsMax) return corrupt("too many records");
  for (std::size_t i = 0; i < questions && reader.ok(); ++i) {
    DnsQuestion question;
    question.name = reader.name();
    question.type = reader.u16();
    question.unicast_response = (reader.u16() & kTopBit) != 0;
    message.questions.push_back(std::move(question));
  }
  for (std::size_t i = 0; i < answers && reader.ok(); ++i) message.answers.push_back(read_record(reader));
  for (std::size_t i = 0; i < others && reader.ok(); ++i) message.additionals.push_back(read_record(reader));
  if (!reader.ok()) return corrupt("a name or record runs past its end, or a pointer does not point back");
  return message;
}

Bytes encode_dns(const DnsMessage& message) {
  Bytes to;
  put16(to, message.id);
  put16(to, message.response ? kResponse | kAuthoritative : 0);
  put16(to, message.questions.size());
  put16(to, message.answers.size());
  put16(to, 0);
  put16(to, message.additionals.size());
  for (const DnsQuestion& question : message.questions) {
    put_name(to, question.name);
    put16(to, question.type);
    put16(to, kClassInternet | (question.unicast_response ? kTopBit : 0));
  }
  for (const DnsRecord& record : message.answers) put_record(to, record);
  for (const DnsRecord& record : message.additionals) put_record(to, record);
  SHOAL_ASSERT(to.size() <= kDnsMessageBytesMax);
  return to;
}

}  // namespace shoal::net
