// Django: DATABASES of the settings, https://docs.djangoproject.com/en/stable/ref/settings/#databases, as JSON.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "pools/import_formats.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

void take_django_settings(ImportedPool& pool, const DocNode& node, const std::string& prefix, const std::string& file) {
  for (auto member = node.members.rbegin(); member != node.members.rend(); ++member) {
    const DocNode& value = member->value;
    if (prefix.empty() && (member->key == "TEST" || member->key == "ENGINE" || member->key == "USER")) continue;
    if (value.is_map()) {
      take_django_settings(pool, value, prefix + member->key + ".", file);
    } else if (value.is_scalar()) {
      add_setting(pool, prefix + member->key, toml_scalar(value.text, value.line), file);
    } else if (value.kind == DocNode::Kind::null) {
      add_setting(pool, prefix + member->key, {std::string("none"), value.line}, file);
    }
  }
}

}  // namespace

bool looks_like_django(const DocNode& document) {
  if (document.find("DATABASES") != nullptr) return true;
  return std::any_of(document.members.begin(), document.members.end(),
                     [](const DocMember& member) { return !member.value.text_of("ENGINE").empty(); });
}

Imported import_django(const DocNode& document, const std::string& file, Problems& problems) {
  Imported out{"Django", {}, {}};
  const DocNode* nested = document.find("DATABASES");
  const DocNode& databases = nested == nullptr ? document : *nested;
  const DocNode* version = document.find("VERSION");
  for (const DocMember& member : databases.members) {
    if (!member.value.is_map() || member.value.find("ENGINE") == nullptr) continue;
    const std::string engine = member.value.text_of("ENGINE");
    if (engine.find("mysql") == std::string::npos && engine.find("mariadb") == std::string::npos &&
        !placeholder_in(engine)) {
      out.left_out.push_back({member.key, origin_of(file, member.value.line), "it is not MySQL's or MariaDB's"});
      continue;
    }
    ImportedPool pool;
    add_key(pool, "name", {member.key == "default" ? std::string("django") : member.key, member.value.line}, file);
    add_key(pool, "library", {std::string("django"), 0}, file);
    if (version != nullptr && version->is_scalar()) add_key(pool, "version", {version->text, version->line}, file);
    const DocNode* user = member.value.find("USER");
    if (user != nullptr && user->is_scalar()) add_text_key(pool, "user", user->text, user->line, file);
    take_django_settings(pool, member.value, "", file);
    std::stable_sort(pool.settings.begin(), pool.settings.end(), [](const ImportedValue& a, const ImportedValue& b) {
      return a.value.line != b.value.line ? a.value.line < b.value.line : a.key < b.key;
    });
    out.pools.push_back(std::move(pool));
  }
  if (out.pools.empty() && out.left_out.empty()) {
    problems.add(file, 0, "holds no DATABASES of Django; dbaudit pools import --django says how to print them");
  }
  return out;
}

std::string django_instructions() {
  return R"(In the project's folder, with its settings in force:

  python manage.py shell -c '
  import django, json
  from django.conf import settings
  keep = ("ENGINE", "USER", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS", "AUTOCOMMIT", "ATOMIC_REQUESTS")
  options = ("init_command", "connect_timeout", "read_timeout", "write_timeout", "isolation_level", "client_flag")
  def public(database):
      out = {key: database[key] for key in keep if key in database}
      chosen = database.get("OPTIONS", {})
      out["OPTIONS"] = {key: chosen[key] for key in options if key in chosen}
      return out
  print(json.dumps({"VERSION": django.get_version(),
                    "DATABASES": {name: public(each) for name, each in settings.DATABASES.items()}}, indent=1))
  ' > databases.json

Then: dbaudit pools import databases.json
Passwords are not printed. Every thread has a connection of its own: name the file that says how many there are as well
(gunicorn.conf.py, uwsgi.ini, a Deployment), or write threads_per_process yourself.
)";
}

}  // namespace dbaudit
