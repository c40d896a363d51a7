// Spring Boot: application.yml, application.properties and environment variables.
//
// Binding rules: Spring Boot reference, "Externalized Configuration" (profiles, relaxed binding, environment variables)
// and DataSourceConfiguration.java (which pool Boot makes).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pools/import.h"

namespace dbaudit {

Imported import_spring_yaml(std::string_view text, const std::string& file, const ImportRequest& request,
                            Problems& problems);
Imported import_spring_properties(std::string_view text, const std::string& file, const ImportRequest& request,
                                  Problems& problems);

// SPRING_DATASOURCE_* among the variables of a process; others are not looked at.
Imported import_spring_environment(const std::vector<DocProperty>& variables, const std::string& file);

// Whether keys and values look like Spring's, for files whose name does not tell.
bool looks_like_spring(const std::vector<DocProperty>& properties);
std::vector<DocProperty> flattened(const DocNode& document);

}  // namespace dbaudit
