#include "report/json_writer.h"

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <cmath>
#include <variant>

#include "base/text.h"

namespace dbaudit {

struct JsonWriter::Impl {
  using Indented = rapidjson::PrettyWriter<rapidjson::StringBuffer>;
  using OneLine = rapidjson::Writer<rapidjson::StringBuffer>;

  // A whole report may be large, and growing step by step copies it again and again.
  explicit Impl(JsonLayout layout) : out(nullptr, layout == JsonLayout::indented ? 256 << 10 : 4 << 10) {
    if (layout == JsonLayout::indented) {
      writer.emplace<Indented>(out).SetIndent(' ', 2);
    } else {
      writer.emplace<OneLine>(out);
    }
  }
  template <typename Write>
  void with(const Write& write) {
    std::visit(write, writer);
  }

  rapidjson::StringBuffer out;
  std::variant<Indented, OneLine> writer;
};

namespace {
rapidjson::SizeType size_of(std::string_view text) { return static_cast<rapidjson::SizeType>(text.size()); }
}  // namespace

JsonWriter::JsonWriter(JsonLayout layout) : impl_(std::make_unique<Impl>(layout)) {}
JsonWriter::~JsonWriter() = default;

void JsonWriter::value(std::nullptr_t) {
  impl_->with([](auto& to) { to.Null(); });
}
void JsonWriter::value(bool flag) {
  impl_->with([flag](auto& to) { to.Bool(flag); });
}
void JsonWriter::value(std::int64_t number) {
  impl_->with([number](auto& to) { to.Int64(number); });
}
void JsonWriter::value(double number) {
  if (std::isinf(number)) return value(number > 0 ? "unlimited" : "-unlimited");
  if (std::isnan(number)) return value(nullptr);
  if (number == std::floor(number) && std::abs(number) < 1e15) return value(static_cast<std::int64_t>(number));
  impl_->with([number](auto& to) { to.Double(number); });
}
void JsonWriter::value(std::string_view text) {
  if (!is_valid_utf8(text)) return value(valid_utf8(text));
  impl_->with([text](auto& to) { to.String(text.data(), size_of(text)); });
}
void JsonWriter::value(const Value& cell) {
  std::visit(
      [this](const auto& of) {
        if constexpr (std::is_same_v<std::decay_t<decltype(of)>, std::monostate>) {
          value(nullptr);
        } else {
          value(of);
        }
      },
      cell);
}

void JsonWriter::key(std::string_view name) {
  if (!is_valid_utf8(name)) return key(valid_utf8(name));
  impl_->with([name](auto& to) { to.Key(name.data(), size_of(name)); });
}
void JsonWriter::begin_object() {
  impl_->with([](auto& to) { to.StartObject(); });
}
void JsonWriter::end_object() {
  impl_->with([](auto& to) { to.EndObject(); });
}
void JsonWriter::begin_array() {
  impl_->with([](auto& to) { to.StartArray(); });
}
void JsonWriter::end_array() {
  impl_->with([](auto& to) { to.EndArray(); });
}

std::string JsonWriter::text() const {
  std::string text = json_without_controls({impl_->out.GetString(), impl_->out.GetSize()});
  text += '\n';
  return text;
}

}  // namespace dbaudit
