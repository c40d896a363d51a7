#include "pools/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "pools/import_formats.h"
#include "pools/import_spring.h"
#include "pools/import_url.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

std::string extension_of(const std::string& file) {
  const std::string name = std::filesystem::path(file).filename().string();
  if (name == ".env" || name.starts_with(".env.")) return ".env";
  return to_lower(std::filesystem::path(file).extension().string());
}

std::string yaml_format(const std::string& text, const std::string& file, Problems& problems) {
  const std::string stem = std::filesystem::path(file).stem().string();
  if (stem == "database") return "rails";
  if (stem.starts_with("application") || stem.starts_with("bootstrap")) return "spring";
  for (const DocNode& document : yaml_documents(without_templates(text), file, problems)) {
    if (document.find("apiVersion") != nullptr && document.find("kind") != nullptr) return "kubernetes";
    if (looks_like_rails(document)) return "rails";
    if (looks_like_spring(flattened(document))) return "spring";
  }
  return "";
}

std::string properties_format(const std::string& text, const std::string& file) {
  const std::string stem = std::filesystem::path(file).stem().string();
  if (stem.starts_with("application") || stem.starts_with("bootstrap")) return "spring";
  Problems later;
  for (const std::vector<DocProperty>& document : properties_documents(text, file, later)) {
    for (const DocProperty& property : document) {
      if (property.key.starts_with("spring.")) return "spring";
      for (const std::string_view key : {"jdbcUrl", "maximumPoolSize", "minimumIdle", "maxLifetime", "dataSource.",
                                         "dataSourceClassName", "hikari.", "hibernate.hikari."}) {
        if (property.key.starts_with(key)) return "hikari";
      }
    }
    if (looks_like_spring(document)) return "spring";
  }
  return "";
}

// Nothing but URLs and comments.
bool holds_urls(std::string_view text) {
  bool any = false;
  for (const std::string& line : split(text, '\n')) {
    const std::string_view plain = trimmed(line);
    if (plain.empty() || plain[0] == '#') continue;
    if (!looks_like_url(plain)) return false;
    any = true;
  }
  return any;
}

// What the file is, by its name and, where that does not tell, by its content; empty: nobody knows.
std::string format_of(const std::string& text, const std::string& file, Problems& problems) {
  const std::string extension = extension_of(file);
  if (extension == ".yml" || extension == ".yaml") return yaml_format(text, file, problems);
  if (extension == ".properties") return properties_format(text, file);
  if (extension == ".xml") return "tomcat";
  if (extension == ".json") return "json";
  if (extension == ".env") return "env";
  if (extension == ".py") return "gunicorn";
  if (extension == ".ini") return text.find("[uwsgi]") != std::string::npos ? "uwsgi" : "";
  const std::string_view plain = trimmed(text);
  if (holds_urls(plain)) return "url";
  if (plain.starts_with("{")) return "json";
  if (plain.starts_with("<")) return "tomcat";
  if (plain.find("[uwsgi]") != std::string_view::npos) return "uwsgi";
  if (plain.find("apiVersion:") != std::string_view::npos) return "kubernetes";
  return plain.find("_URL=") != std::string_view::npos || plain.find("SPRING_DATASOURCE_") != std::string_view::npos
             ? "env"
             : "";
}

// XML says itself that it is Latin-1.
bool declares_latin1(std::string_view bytes) {
  const std::string head = to_lower(bytes.substr(0, 200));
  return head.find("encoding=\"iso-8859-1\"") != std::string::npos ||
         head.find("encoding='iso-8859-1'") != std::string::npos;
}

Imported import_json(const std::string& text, const std::string& format, const std::string& file,
                     const ImportRequest& request, Problems& problems) {
  const std::optional<DocNode> document = json_document(text, file, problems);
  if (!document) return {};
  if (!document->is_map()) {
    problems.add(file, document->line, "must be a JSON object");
    return {};
  }
  const bool django = format == "django" || (format == "json" && looks_like_django(*document));
  return django ? import_django(*document, file, problems) : import_node(*document, file, request, problems);
}

Imported import_as(const std::string& format, const std::string& text, const std::string& file,
                   const ImportRequest& request, Problems& problems) {
  if (format == "spring") {
    return extension_of(file) == ".properties" ? import_spring_properties(text, file, request, problems)
                                               : import_spring_yaml(text, file, request, problems);
  }
  if (format == "tomcat") return import_tomcat(text, file, problems);
  if (format == "hikari") return import_hikari(text, file, problems);
  if (format == "rails") return import_rails(text, file, request, problems);
  if (format == "kubernetes") return import_kubernetes(text, file, request, problems);
  if (format == "env") return import_environment(environment_lines(text), file, request);
  if (format == "gunicorn") return import_gunicorn(text, file, request, problems);
  if (format == "uwsgi") return import_uwsgi(text, file, request, problems);
  if (format == "url") return import_url(text, file, request.library, problems);
  return import_json(text, format, file, request, problems);
}

}  // namespace

std::vector<std::string> import_formats() {
  return {"spring", "tomcat", "hikari",     "rails", "url",      "knex",
          "mysql2", "django", "kubernetes", "env",   "gunicorn", "uwsgi"};
}

Imported import_pools(std::string_view bytes, const std::string& file, const ImportRequest& request,
                      Problems& problems) {
  if (bytes.size() > kMostDocumentBytes) {
    problems.add(file, 0, fmt::format("is larger than {} MiB, which no configuration is", kMostDocumentBytes >> 20U));
    return {};
  }
  // java.util.Properties are Latin-1 unless the program says otherwise.
  const bool latin1 = extension_of(file) == ".properties" || declares_latin1(bytes);
  const std::optional<std::string> text = utf8_text(bytes, latin1, file, problems);
  if (!text) return {};
  Problems found;
  const std::string format = !request.format.empty() ? request.format
                             : file.empty()          ? "url"
                                                     : format_of(*text, file, found);
  if (format.empty() && found.empty()) {
    found.add(file, 0,
              fmt::format("what it is cannot be told from its name and content; --format says it: {}",
                          join(import_formats(), ", ")));
  }
  Imported out;
  if (found.empty()) out = import_as(format, *text, file, request, found);
  if (found.empty() && out.pools.empty() && out.left_out.empty())
    found.add(file, 0, "holds no connection pool of MySQL or MariaDB");
  if (out.pools.size() > kMostPools)
    found.add(file, 0, fmt::format("holds more than {} pools, which no application has", kMostPools));
  problems.add(found);
  return out;
}

}  // namespace dbaudit
