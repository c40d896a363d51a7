#include "app/server_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace dbaudit {
namespace {

constexpr double kTooLarge = 18446744073709551616.0;  // no server reads a longer integer

Error refused(const std::string& why) { return Error{ErrorKind::bad_input, why}; }

Value number_value(double number) {
  if (number == std::floor(number) && std::abs(number) < 9e18) return static_cast<std::int64_t>(number);
  return number;
}

TakenValue within_range(const KnownIn& variable, double number) {
  if (variable.least >= variable.most || (number >= variable.least && number <= variable.most))
    return {number_value(number), ""};
  const Value moved = number_value(std::clamp(number, variable.least, variable.most));
  return {moved, fmt::format("the server takes {} to {}", text_of(number_value(variable.least)),
                             text_of(number_value(variable.most)))};
}

struct ParsedInteger {
  double number = 0;
  std::string_view rest;  // behind the digits; everything where there are none
};

ParsedInteger leading_integer(std::string_view text) {
  const std::size_t begin = text.starts_with('-') ? 1 : 0;
  const std::size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
  ParsedInteger parsed{0, text.substr(end)};
  for (const char digit : text.substr(begin, end - begin)) parsed.number = parsed.number * 10 + (digit - '0');
  if (end == begin) parsed.rest = text;
  if (begin == 1) parsed.number = -parsed.number;
  return parsed;
}

// 16M is 16777216 (MySQL reference manual, "Using Options to Set Program Variables"); 0 for another letter.
double factor_of(char suffix) {
  const std::size_t power = std::string_view("kmgtpe").find(static_cast<char>(suffix | 0x20));
  return power == std::string_view::npos ? 0 : std::pow(1024.0, static_cast<double>(power) + 1);
}

// SET itself takes no suffix; here it is a convenience.
Result<double> integer_from_set(const std::string& text) {
  const ParsedInteger parsed = leading_integer(text);
  const double factor = parsed.rest.empty() ? 1 : parsed.rest.size() == 1 ? factor_of(parsed.rest[0]) : 0;
  if (parsed.rest.size() == text.size() || factor == 0) return refused("an integer");
  return parsed.number * factor;
}

// Only the first letter behind the digits counts: 1e3 is 1E.
Result<double> integer_from_option(const KnownIn& variable, const std::string& text, Flavor flavor) {
  if (text.empty() && flavor == Flavor::mysql) return refused("an integer");
  const ParsedInteger parsed = leading_integer(text);
  const double factor = parsed.rest.empty() ? 1 : factor_of(parsed.rest[0]);
  const bool no_digits = !text.empty() && parsed.rest.size() == text.size();
  if (factor == 0 || no_digits || std::abs(parsed.number) >= kTooLarge) return refused("an integer");
  if (parsed.number < 0 && variable.least >= 0 && flavor == Flavor::mariadb) return refused("not negative");
  return parsed.number * factor;
}

Result<double> real_number(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || !std::isfinite(number)) return refused("a number");
  return number;
}

std::optional<Value> on_or_off(const std::string& text) {
  const std::string lower = to_lower(text);
  if (lower == "on" || lower == "1" || lower == "true") return Value{std::string("ON")};
  if (lower == "off" || lower == "0" || lower == "false") return Value{std::string("OFF")};
  return std::nullopt;
}

// Of a variable whose type is not known: by the kind of value that it has now.
Result<TakenValue> value_like(const Value& now, const std::string& text) {
  const bool number_now = std::holds_alternative<std::int64_t>(now) || std::holds_alternative<double>(now);
  const Result<double> integer = integer_from_set(text);
  if (integer && (number_now || is_null(now))) return TakenValue{number_value(*integer), ""};
  if (number_now) {
    const Result<double> number = real_number(text);
    if (!number) return number.error();
    return TakenValue{number_value(*number), ""};
  }
  const bool switch_now = equals_ignoring_case(text_of(now), "ON") || equals_ignoring_case(text_of(now), "OFF");
  return TakenValue{switch_now ? on_or_off(text).value_or(Value{text}) : Value{text}, ""};
}

Result<TakenValue> ranged(const KnownIn& variable, const Result<double>& number) {
  if (!number) return number.error();
  return within_range(variable, *number);
}

template <typename Matches>
std::vector<const KnownName*> options_where(Matches matches) {
  std::vector<const KnownName*> found;
  for (const auto names : {known_variables(), known_options()}) {
    for (const KnownName& known : names) {
      if (matches(known)) found.push_back(&known);
    }
  }
  return found;
}

bool takes_abbreviations(const ServerVersion& server) { return !server.min_mysql(8, 0); }

// The option of this name, or the one that it abbreviates; `problem` where several could be meant.
MeantOption named(const std::string& written, const ServerVersion& server) {
  const Flavor flavor = server.flavor;
  const std::vector<const KnownName*> same =
      options_where([&](const KnownName& known) { return known.name() == written; });
  const auto has_it = [flavor](const KnownName* known) { return known->in(flavor).known; };
  if (std::any_of(same.begin(), same.end(), has_it)) return {written, OptionModifier::none, ""};
  const std::vector<const KnownName*> begun = options_where(
      [&](const KnownName& known) { return known.in(flavor).known && known.name().starts_with(written); });
  // What others call so may be an option of this server's other versions.
  if (begun.empty() || (!takes_abbreviations(server) && !same.empty())) return {};
  if (!takes_abbreviations(server))
    return {"", OptionModifier::none, fmt::format("{} takes no abbreviated options", to_string(server))};
  const auto early =
      std::find_if(begun.begin(), begun.end(), [flavor](const KnownName* known) { return known->in(flavor).early; });
  if (early != begun.end()) return {std::string((*early)->name()), OptionModifier::none, ""};
  if (begun.size() == 1) return {std::string(begun.front()->name()), OptionModifier::none, ""};
  return {"", OptionModifier::none,
          fmt::format("it may be {} or {}, and {} takes only what is unambiguous", begun[0]->name(), begun[1]->name(),
                      to_string(server))};
}

}  // namespace

bool reads_group(const std::string& group, const ServerVersion& server) {
  const Version& version = server.version;
  const auto is = [&group](std::string_view name, const std::string& suffix) {
    return group.size() == name.size() + suffix.size() && group.starts_with(name) && group.ends_with(suffix);
  };
  const std::string own = fmt::format("-{}.{}", version.major, version.minor);
  if (group == "server" || is("mysqld", "") || is("mysqld", own)) return true;
  if (server.flavor == Flavor::mysql) return group == "mysql_cluster";
  for (const std::string_view name : {"mariadb", "mariadbd"}) {
    if (is(name, "") || is(name, own) || (version.major > 10 && is(name, fmt::format("-{}", version.major))))
      return true;
  }
  return group == "client-server" || group == "galera";
}

bool is_server_group(const std::string& group) {
  const std::size_t dash = group.find('-');
  const bool versioned = dash != std::string::npos && dash + 1 < group.size() && is_digit(group[dash + 1]);
  const std::string name = versioned ? group.substr(0, dash) : group;
  for (const std::string_view known :
       {"server", "mysqld", "mysql_cluster", "mariadb", "mariadbd", "client-server", "galera"}) {
    if (name == known) return true;
  }
  return false;
}

// MySQL reference manual, "Program Option Modifiers".
MeantOption meant_option(const std::string& written, const ServerVersion& server) {
  MeantOption whole = named(written, server);
  if (!whole.name.empty()) return whole;
  for (const auto& [prefix, modifier] : {std::pair{std::string_view("skip_"), OptionModifier::off},
                                         {"disable_", OptionModifier::off},
                                         {"enable_", OptionModifier::on},
                                         {"maximum_", OptionModifier::maximum}}) {
    if (!written.starts_with(prefix)) continue;
    MeantOption rest = named(written.substr(prefix.size()), server);
    rest.modifier = modifier;
    const KnownName* variable = known_variable(rest.name);
    if (modifier == OptionModifier::maximum && !rest.name.empty() &&
        (variable == nullptr || !variable->in(server.flavor).session))
      return {"", modifier, fmt::format("the maximum of {} cannot be set", rest.name)};
    return rest;
  }
  return whole;
}

bool is_option_somewhere(const std::string& written) {
  for (const ServerVersion& server : {ServerVersion{Flavor::mysql, {8, 0}}, ServerVersion{Flavor::mariadb, {10, 11}}}) {
    const MeantOption meant = meant_option(written, server);
    if (!meant.name.empty() || !meant.problem.empty()) return true;
  }
  return false;
}

Result<TakenValue> value_from_set(const KnownIn& variable, const Value& now, const std::string& text) {
  if (variable.type == VariableType::integer) return ranged(variable, integer_from_set(text));
  if (variable.type == VariableType::real) return ranged(variable, real_number(text));
  if (variable.type != VariableType::boolean) return value_like(now, text);
  const std::optional<Value> value = on_or_off(text);
  if (!value) return refused("ON or OFF");
  return TakenValue{*value, ""};
}

Result<TakenValue> value_from_option(const KnownIn& variable, const Value& now, const std::string& text,
                                     Flavor flavor) {
  if (variable.type == VariableType::integer) return ranged(variable, integer_from_option(variable, text, flavor));
  if (variable.type != VariableType::boolean) return value_from_set(variable, now, text);
  const std::optional<Value> value = on_or_off(text);
  if (value) return TakenValue{*value, ""};
  return TakenValue{std::string("OFF"), "the server takes what is neither ON nor OFF for OFF"};
}

}  // namespace dbaudit
