// The importers other than Spring's, one a file. `text` is UTF-8; for the rest see import.h.
#pragma once

#include <string>
#include <string_view>

#include "pools/import.h"

namespace dbaudit {

// <Resource> of Tomcat's context.xml or server.xml; its factory decides which pool it is.
Imported import_tomcat(std::string_view text, const std::string& file, Problems& problems);

// hikari.properties: camelCase keys of HikariConfig, dataSource.* for the driver.
Imported import_hikari(std::string_view text, const std::string& file, Problems& problems);

// Rails' config/database.yml.
Imported import_rails(std::string_view text, const std::string& file, const ImportRequest& request, Problems& problems);
bool looks_like_rails(const DocNode& document);

// JSON of a Knex configuration or of mysql2's createPool().
Imported import_node(const DocNode& document, const std::string& file, const ImportRequest& request,
                     Problems& problems);

// DATABASES of Django's settings as JSON (django_instructions()).
Imported import_django(const DocNode& document, const std::string& file, Problems& problems);
bool looks_like_django(const DocNode& document);

// Deployments, StatefulSets and HorizontalPodAutoscalers.
Imported import_kubernetes(std::string_view text, const std::string& file, const ImportRequest& request,
                           Problems& problems);

// A .env file, or the variables of one process.
Imported import_environment(const std::vector<DocProperty>& variables, const std::string& file,
                            const ImportRequest& request);

// gunicorn.conf.py (assignments of literals), uwsgi.ini.
Imported import_gunicorn(std::string_view text, const std::string& file, const ImportRequest& request,
                         Problems& problems);
Imported import_uwsgi(std::string_view text, const std::string& file, const ImportRequest& request, Problems& problems);

// Processes and threads of a command line that starts gunicorn, uwsgi, uvicorn or puma; nothing for other programs.
void add_workers(ImportedPool& pool, const std::vector<std::string>& words, int line, const std::string& file);

}  // namespace dbaudit
