#include "base/text.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <unistr.h>
#include <uniwidth.h>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace dbaudit {
namespace {

const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());  // NOLINT(*-reinterpret-cast): libunistring's byte type
}

// One code point at the start of `text`: its value and length, or length 0 for an invalid byte.
struct CodePoint {
  ucs4_t value = 0;
  std::size_t length = 0;
};

CodePoint first_code_point(std::string_view text) {
  CodePoint point;
  const int length = u8_mbtoucr(&point.value, bytes_of(text), text.size());
  point.length = length > 0 ? static_cast<std::size_t>(length) : 0;
  return point;
}

// How many bytes at the start of `text` are below `limit`, which is at most 0x80; eight at a time, because every cell
// of every answer is looked at, and every report.
std::size_t plain_prefix(std::string_view text, unsigned char limit) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  const std::uint64_t lift = (0x80U - limit) * kEach;  // makes a byte from `limit` on reach its highest bit
  std::size_t at = 0;
  for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, sizeof(eight));
    // A sum that carries into the next byte comes from one that is too high itself.
    if (((eight | (eight + lift)) & (0x80 * kEach)) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < limit) ++at;
  return at;
}

bool moves_the_cursor(ucs4_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0x061c || c == 0x200e ||
         c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && to_lower(a) == to_lower(b);
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end == std::string_view::npos ? end : end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

bool is_valid_utf8(std::string_view bytes) {
  bytes.remove_prefix(plain_prefix(bytes, 0x80));  // nearly always all of it
  return bytes.empty() || u8_check(bytes_of(bytes), bytes.size()) == nullptr;
}

std::string valid_utf8(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const CodePoint point = first_code_point(bytes);
    if (point.length == 0) {
      out += "\xEF\xBF\xBD";
      bytes.remove_prefix(1);
    } else {
      out.append(bytes.substr(0, point.length));
      bytes.remove_prefix(point.length);
    }
  }
  return out;
}

std::string bounded(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  std::size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
      text.remove_prefix(1);
      continue;
    }
    if (point.value == '\n') {
      out += "\\n";
    } else if (point.value == '\t') {
      out += ' ';
    } else if (moves_the_cursor(point.value)) {
      out += point.value < 0x100 ? fmt::format("\\x{:02x}", point.value) : fmt::format("\\u{:04x}", point.value);
    } else {
      out.append(text.substr(0, point.length));
    }
    text.remove_prefix(point.length);
  }
  return out;
}

std::string json_without_controls(std::string_view json) {
  std::string out;
  out.reserve(json.size() + 1);  // a line break comes behind it
  while (!json.empty()) {
    // Nearly all of it is ASCII, whose controls a JSON writer has escaped already.
    const std::size_t plain = plain_prefix(json, 0x7f);
    out.append(json.substr(0, plain));
    json.remove_prefix(plain);
    if (json.empty()) break;
    const CodePoint point = first_code_point(json);
    const std::size_t length = std::max<std::size_t>(point.length, 1);
    if (moves_the_cursor(point.value)) {
      out += fmt::format("\\u{:04x}", point.value);
    } else {
      out.append(json.substr(0, length));
    }
    json.remove_prefix(length);
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  const int width = u8_width(bytes_of(text), text.size(), "UTF-8");
  return width < 0 ? text.size() : static_cast<std::size_t>(width);
}

namespace {
// As many code points at the start of `text` as fit, but at least one, in bytes.
std::size_t fitting_bytes(std::string_view text, std::size_t width) {
  std::size_t used = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    const std::size_t length = std::max<std::size_t>(first_code_point(text.substr(end)).length, 1);
    const std::size_t more = display_width(text.substr(end, length));
    if (end > 0 && used + more > width) break;
    used += more;
    end += length;
  }
  return end;
}
}  // namespace

std::vector<std::string> wrap(std::string_view text, std::size_t width, LongWords long_words) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t line_width = 0;
  for (std::string word : split(text, ' ')) {
    std::size_t word_width = display_width(word);
    if (!line.empty() && line_width + 1 + word_width > width) {
      lines.push_back(line);
      line.clear();
      line_width = 0;
    }
    while (long_words == LongWords::split && word_width > width) {
      const std::size_t bytes = fitting_bytes(word, width);
      if (bytes == word.size()) break;
      lines.push_back(word.substr(0, bytes));
      word.erase(0, bytes);
      word_width = display_width(word);
    }
    if (!line.empty()) {
      line += ' ';
      ++line_width;
    }
    line += word;
    line_width += word_width;
  }
  if (!line.empty() || lines.empty()) lines.push_back(line);
  return lines;
}

std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  return colon == std::string_view::npos || colon + 1 == host.size() ||
                 host.find_first_not_of("0123456789", colon + 1) != std::string_view::npos
             ? host
             : host.substr(0, colon);
}

bool matches_glob(const std::string& pattern, const std::string& text) {
  return fnmatch(to_lower(pattern).c_str(), to_lower(text).c_str(), 0) == 0;
}

}  // namespace dbaudit
