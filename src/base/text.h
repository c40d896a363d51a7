// Text that comes from servers and files, made safe and measured for reports.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dbaudit {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
std::string to_lower(std::string_view text);
std::string_view trimmed(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

bool is_valid_utf8(std::string_view bytes);

// Valid UTF-8: every invalid byte becomes U+FFFD. Bytes that are valid stay as they are.
std::string valid_utf8(std::string_view bytes);

// At most `max_bytes` bytes, cut between code points, with "…" where something was cut.
std::string bounded(std::string_view text, std::size_t max_bytes);

// For a terminal: control characters (C0, C1), line separators and bidirectional overrides are shown as escapes, so
// that nothing a server sends can move the cursor or reorder what is read. Line breaks become "\n" in letters.
std::string printable(std::string_view text);

// JSON text whose strings hold none of these characters raw: those that JSON itself does not escape (DEL, C1, line
// separators, bidirectional overrides) become \\uXXXX, which means the same.
std::string json_without_controls(std::string_view json);

// Columns on a terminal; wide East Asian characters count two.
std::size_t display_width(std::string_view text);

// What becomes of a word that fits into no line; who is to copy it, an address say, gets it whole.
enum class LongWords { split, keep };
// Breaks `text` at spaces into lines of at most `width` columns.
std::vector<std::string> wrap(std::string_view text, std::size_t width, LongWords long_words = LongWords::split);

// "10.0.0.5:52110" as process lists have it, without the client's port. An IPv6 address must come with its port.
std::string_view without_port(std::string_view host);

// Shell-style pattern with * and ?; case is ignored.
bool matches_glob(const std::string& pattern, const std::string& text);

}  // namespace dbaudit
