#include "report/table.h"

#include <algorithm>

#include "base/text.h"
#include "report/json_writer.h"

namespace dbaudit {
namespace {

constexpr std::size_t kCellBytes = 60;

std::string cell_text(const Value& value) {
  return is_null(value) ? "NULL" : bounded(printable(text_of(value)), kCellBytes);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::string render_table(const ResultTable& table) {
  std::vector<std::vector<std::string>> lines{table.columns};
  for (const auto& row : table.rows) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const Value& value : row) line.push_back(cell_text(value));
  }
  std::vector<std::size_t> widths(table.columns.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], display_width(line[i]));
  }
  std::string out;
  for (std::size_t n = 0; n < lines.size(); ++n) {
    std::string text;
    for (std::size_t i = 0; i < lines[n].size(); ++i) {
      text += lines[n][i];
      if (i + 1 < lines[n].size()) text += std::string(widths[i] - display_width(lines[n][i]) + 2, ' ');
    }
    out += text + "\n";
    if (n == 0) {
      for (std::size_t i = 0; i < widths.size(); ++i)
        out += std::string(widths[i], '-') + (i + 1 < widths.size() ? "  " : "\n");
    }
  }
  return out;
}

std::string render_csv(const ResultTable& table, bool for_terminal) {
  std::string out;
  const auto line = [&out](const std::vector<std::string>& fields) { out += join(fields, ",") + "\r\n"; };
  std::vector<std::string> fields;
  for (const std::string& column : table.columns) fields.push_back(csv_field(column));
  line(fields);
  for (const auto& row : table.rows) {
    fields.clear();
    for (const Value& value : row) {
      fields.push_back(csv_field(for_terminal ? printable(text_of(value)) : valid_utf8(text_of(value))));
    }
    line(fields);
  }
  return out;
}

std::string render_rows_json(const ResultTable& table) {
  JsonWriter json;
  const auto& names = table.columns;
  json.array(table.rows, [&](const std::vector<Value>& row) {
    json.object([&] {
      for (std::size_t i = 0; i < row.size(); ++i) {
        // Of columns of one name the last.
        const auto behind = names.begin() + static_cast<std::ptrdiff_t>(i) + 1;
        if (std::find(behind, names.end(), names[i]) == names.end()) json.member(names[i], row[i]);
      }
    });
  });
  return json.text();
}

}  // namespace dbaudit
