// Node.js: the configuration object of knex(), https://knexjs.org/guide/#configuration-options, and of createPool() of
// mysql2 or mariadb, printed with JSON.stringify.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "pools/import_formats.h"
#include "pools/import_url.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

bool is_knex(const DocNode& node) { return node.is_map() && (node.find("client") != nullptr); }

bool is_pool(const DocNode& node) {
  if (!node.is_map()) return false;
  for (const char* key : {"connectionLimit", "waitForConnections", "host", "uri", "socketPath", "minimumIdle"}) {
    if (node.find(key) != nullptr) return true;
  }
  return false;
}

void take_node_settings(ImportedPool& pool, const DocNode& node, const std::string& prefix, const std::string& file) {
  for (auto member = node.members.rbegin(); member != node.members.rend(); ++member) {
    const DocNode& value = member->value;
    const std::string& key = member->key;
    if (key == "connection" || key == "uri" || key == "url" || key == "connectionString")
      continue;  // take_connection()
    if (value.is_map()) {
      take_node_settings(pool, value, prefix + member->key + ".", file);
    } else if (value.is_scalar()) {
      add_setting(pool, prefix + member->key, toml_scalar(value.text, value.line), file);
    } else if (key == "flags") {
      std::vector<std::string> flags;
      for (const DocNode& flag : value.items) flags.push_back(flag.text);
      add_setting(pool, prefix + key, {join(flags, ","), value.line}, file);
    }
  }
}

void sort_by_line(ImportedPool& pool) {
  std::stable_sort(pool.settings.begin(), pool.settings.end(), [](const ImportedValue& a, const ImportedValue& b) {
    return a.value.line != b.value.line ? a.value.line < b.value.line : a.key < b.key;
  });
}

// The account and URL of a connection: an object or a URL.
bool take_connection(ImportedPool& pool, const DocNode& connection, const std::string& file) {
  if (connection.is_scalar()) return add_url(pool, connection.text, connection.line, file);
  bool ours = true;
  for (const char* key : {"uri", "connectionString", "url"}) {
    const DocNode* url = connection.find(key);
    if (url != nullptr && url->is_scalar()) ours = ours && add_url(pool, url->text, url->line, file);
  }
  const DocNode* user = connection.find("user");
  if (user != nullptr && user->is_scalar()) add_text_key(pool, "user", user->text, user->line, file);
  return ours;
}

void add_knex(Imported& out, const DocNode& node, const std::string& name, const std::string& file) {
  ImportedPool pool;
  const std::string client = node.text_of("client");
  add_key(pool, "name", {name, node.line}, file);
  add_key(pool, "library", {std::string("knex"), 0}, file);
  const DocNode* connection = node.find("connection");
  bool ours = client.find("mysql") != std::string::npos || client.find("mariadb") != std::string::npos ||
              placeholder_in(client).has_value() || client.empty();
  if (connection != nullptr) ours = take_connection(pool, *connection, file) && ours;
  if (!ours) {
    out.left_out.push_back({name, origin_of(file, node.line), "it is not MySQL's or MariaDB's"});
    return;
  }
  add_text_key(pool, "driver", client, node.find("client")->line, file);
  take_node_settings(pool, node, "", file);
  sort_by_line(pool);
  out.pools.push_back(std::move(pool));
}

void add_pool(Imported& out, const DocNode& node, const std::string& name, const std::string& file) {
  ImportedPool pool;
  // mariadb's pool has names that mysql2's lacks.
  const bool mariadb = node.find("minimumIdle") != nullptr || node.find("minDelayValidation") != nullptr ||
                       node.find("initializationTimeout") != nullptr || node.find("noControlAfterUse") != nullptr;
  add_key(pool, "name", {name, node.line}, file);
  add_key(pool, "library", {std::string(mariadb ? "node_mariadb" : "node_mysql2"), 0}, file,
          mariadb ? "by its settings" : "");
  if (!take_connection(pool, node, file)) {
    out.left_out.push_back({name, origin_of(file, node.line), "it is not MySQL's or MariaDB's"});
    return;
  }
  take_node_settings(pool, node, "", file);
  sort_by_line(pool);
  out.pools.push_back(std::move(pool));
}

}  // namespace

Imported import_node(const DocNode& document, const std::string& file, const ImportRequest& request,
                     Problems& problems) {
  Imported out{"Node.js", {}, {}};
  if (is_knex(document)) {
    add_knex(out, document, "knex", file);
  } else if (is_pool(document)) {
    add_pool(out, document, "mysql2", file);
  } else {
    std::vector<std::string> names;
    bool chosen = false;
    for (const DocMember& member : document.members) {
      if (!is_knex(member.value)) continue;
      names.push_back(printable(bounded(member.key, 60)));
      if (member.key != (request.environment.empty() ? "production" : request.environment)) continue;
      add_knex(out, member.value, "knex", file);
      chosen = true;
    }
    if (!names.empty() && !chosen) {
      problems.add(file, 0, fmt::format("choose one of its environments: {}", join(names, ", ")));
    }
    for (const DocMember& member : document.members) {
      if (is_pool(member.value) && !is_knex(member.value) && out.pools.size() <= kMostPools)
        add_pool(out, member.value, member.key, file);
    }
  }
  if (out.pools.empty() && out.left_out.empty() && problems.empty())
    problems.add(file, 0, "holds neither a Knex configuration (\"client\") nor a pool (\"connectionLimit\")");
  return out;
}

}  // namespace dbaudit
