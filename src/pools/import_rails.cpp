// Rails: config/database.yml, https://guides.rubyonrails.org/configuring.html#configuring-a-database, and
// active_record_multiple_databases.html for entries with several databases.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "pools/import_formats.h"
#include "pools/import_url.h"
#include "pools/placeholder.h"
#include "pools/session_overrides.h"

namespace dbaudit {
namespace {

bool is_database(const DocNode& node) {
  if (!node.is_map()) return false;
  for (const char* key : {"adapter", "url", "database", "pool", "max_connections"}) {
    const DocNode* found = node.find(key);
    if (found != nullptr && !found->is_map()) return true;
  }
  return false;
}

bool is_environment(const DocNode& node) {
  return is_database(node) || std::any_of(node.members.begin(), node.members.end(),
                                          [](const DocMember& member) { return is_database(member.value); });
}

// "default: &default" and the like exist to be merged into others.
bool is_shared(const std::string& name) {
  return name == "default" || name == "defaults" || name == "common" || name.starts_with(".") || name.starts_with("_");
}

const DocMember* environment_of(const DocNode& root, const ImportRequest& request, const std::string& file,
                                Problems& problems) {
  std::vector<const DocMember*> found;
  std::vector<std::string> names;
  for (const DocMember& member : root.members) {
    if (!is_environment(member.value) || (is_shared(member.key) && member.key != request.environment)) continue;
    found.push_back(&member);
    names.push_back(printable(bounded(member.key, 60)));
  }
  const std::string wanted = request.environment.empty() ? "production" : request.environment;
  for (const DocMember* member : found) {
    if (member->key == wanted) return member;
  }
  if (request.environment.empty() && found.size() == 1) return found.front();
  if (found.empty()) {
    problems.add(file, 0, "holds no database configuration");
  } else {
    problems.add(file, 0,
                 request.environment.empty()
                     ? fmt::format("choose one of its environments: {}", join(names, ", "))
                     : fmt::format("has no environment '{}'{}; it has {}", printable(bounded(wanted, 60)),
                                   did_you_mean(wanted, names), join(names, ", ")));
  }
  return nullptr;
}

std::optional<ImportedPool> pool_of(const DocNode& database, const std::string& name, const std::string& file,
                                    std::vector<LeftOut>& left_out) {
  ImportedPool pool;
  add_key(pool, "name", {name, database.line}, file);
  add_key(pool, "library", {std::string("rails"), 0}, file);
  const std::string adapter = database.text_of("adapter");
  const DocNode* url = database.find("url");
  bool ours = adapter.empty() || placeholder_in(adapter) || adapter == "mysql2" || adapter == "trilogy";
  if (ours && !adapter.empty() && !placeholder_in(adapter))
    add_key(pool, "driver", {adapter, database.find("adapter")->line}, file);
  if (ours && url != nullptr && url->is_scalar()) {
    ours = add_url(pool, url->text, url->line, file);
    const std::optional<PublicUrl> kept = public_url(url->text);
    ours = ours && (!kept || kept->is_mysql);
    // The URL wins over the keys beside it (ActiveRecord::DatabaseConfigurations::UrlConfig).
    for (const UrlOption& option : kept ? url_options(kept->text) : std::vector<UrlOption>{})
      add_setting(pool, option.key, toml_scalar(option.value, url->line), file);
  }
  if (!ours) {
    left_out.push_back({name, origin_of(file, database.line), "it is not MySQL's or MariaDB's"});
    return std::nullopt;
  }
  const auto take = [&](const std::string& key, const DocNode& value) {
    if (value.is_scalar()) {
      add_setting(pool, key, toml_scalar(value.text, value.line, !value.quoted), file);
    } else if (value.kind == DocNode::Kind::null) {
      add_setting(pool, key, {std::string("none"), value.line}, file);
    }
  };
  for (auto member = database.members.rbegin(); member != database.members.rend(); ++member) {  // the last one counts
    if (member->key == "username") {
      if (member->value.is_scalar()) add_text_key(pool, "user", member->value.text, member->value.line, file);
    } else if (member->key == "variables") {
      for (const DocMember& variable : member->value.members) take("variables." + variable.key, variable.value);
    } else if (member->key != "url") {
      take(member->key, member->value);
    }
  }
  std::sort(pool.settings.begin(), pool.settings.end(), [](const ImportedValue& a, const ImportedValue& b) {
    return a.value.line != b.value.line ? a.value.line < b.value.line : a.key < b.key;
  });
  return pool;
}

}  // namespace

bool looks_like_rails(const DocNode& document) {
  return std::any_of(document.members.begin(), document.members.end(), [](const DocMember& member) {
    const auto has_adapter = [](const DocNode& node) { return !node.text_of("adapter").empty(); };
    return has_adapter(member.value) || std::any_of(member.value.members.begin(), member.value.members.end(),
                                                    [&](const DocMember& inner) { return has_adapter(inner.value); });
  });
}

Imported import_rails(std::string_view text, const std::string& file, const ImportRequest& request,
                      Problems& problems) {
  Imported out{"Rails", {}, {}};
  Problems wrong;
  const std::vector<DocNode> documents = yaml_documents(without_templates(text), file, wrong);
  problems.add(wrong);
  if (!wrong.empty()) return out;
  if (documents.empty() || !documents.front().is_map()) {
    problems.add(file, 0, "holds no database configuration");
    return out;
  }
  const DocMember* environment = environment_of(documents.front(), request, file, problems);
  if (environment == nullptr) return out;
  out.format += ", " + printable(bounded(environment->key, 60));
  const auto add = [&](const DocNode& database, const std::string& name) {
    if (std::optional<ImportedPool> pool = pool_of(database, name, file, out.left_out))
      out.pools.push_back(std::move(*pool));
  };
  if (is_database(environment->value)) {
    add(environment->value, "rails");
  } else {
    for (const DocMember& member : environment->value.members) {
      if (is_database(member.value)) add(member.value, member.key);
    }
  }
  return out;
}

}  // namespace dbaudit
