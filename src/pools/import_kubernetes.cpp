// Kubernetes: how many instances there are, how many more while deploying, and what their environment says.
//
// Defaults: API reference of apps/v1, DeploymentSpec (replicas 1, RollingUpdate with maxSurge 25 %, rounded up);
// a StatefulSet replaces pods one by one without surge.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "pools/import_formats.h"
#include "pools/import_spring.h"
#include "pools/import_url.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

bool runs_pods(const std::string& kind) {
  return kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet" || kind == "ReplicaSet" ||
         kind == "Rollout" || kind == "DeploymentConfig";
}

const DocNode kNothing;

const DocNode& at(const DocNode& node, std::initializer_list<std::string_view> path) {
  const DocNode* found = node.at(path);
  return found == nullptr ? kNothing : *found;
}

// The most that an autoscaler makes of a workload.
struct Autoscaled {
  std::string kind;
  std::string name;
  DocNode most;
};

void add_instances(ImportedPool& pool, const DocNode& workload, const std::string& kind, const std::string& name,
                   const std::vector<Autoscaled>& autoscaled, const std::string& file) {
  if (kind == "DaemonSet") {
    pool.left_out.push_back({"instances", origin_of(file, workload.line), "a DaemonSet has one on every node"});
    return;
  }
  DocNode replicas = at(workload, {"spec", "replicas"});
  std::string remark;
  for (const Autoscaled& scaled : autoscaled) {
    if (scaled.kind != kind || scaled.name != name) continue;
    replicas = scaled.most;
    remark = "maxReplicas of its HorizontalPodAutoscaler";
  }
  if (!replicas.is_scalar()) {
    add_key(pool, "instances", {std::int64_t{1}, 0}, file, "default of Kubernetes");
    return;
  }
  const TomlValue count = toml_scalar(replicas.text, replicas.line);
  if (const auto hidden = placeholder_in(replicas.text)) {
    pool.left_out.push_back({"instances", origin_of(file, replicas.line), *hidden + " hides it"});
  } else if (const auto* number = count.get<std::int64_t>(); number != nullptr && *number >= 0) {
    add_key(pool, "instances", count, file, remark);
  } else {
    pool.left_out.push_back({"instances", origin_of(file, replicas.line), "it is no count"});
  }
}

void add_surge(ImportedPool& pool, const DocNode& workload, const std::string& kind, const std::string& file) {
  if (kind == "DaemonSet") return;
  if (kind == "StatefulSet") {
    add_key(pool, "max_surge", {std::int64_t{0}, 0}, file, "a StatefulSet has none");
    return;
  }
  const DocNode& type = at(workload, {"spec", "strategy", "type"});
  if (type.text == "Recreate") {
    add_key(pool, "max_surge", {std::int64_t{0}, type.line}, file, "Recreate");
    return;
  }
  const DocNode* surge = workload.at({"spec", "strategy", "rollingUpdate", "maxSurge"});
  if (surge == nullptr) surge = workload.at({"spec", "strategy", "canary", "maxSurge"});
  if (surge == nullptr || !surge->is_scalar()) {
    add_key(pool, "max_surge", {std::string("25%"), 0}, file, "default of Kubernetes");
  } else if (const auto hidden = placeholder_in(surge->text)) {
    pool.left_out.push_back({"max_surge", origin_of(file, surge->line), *hidden + " hides it"});
  } else {
    add_key(pool, "max_surge", toml_scalar(surge->text, surge->line), file);
  }
}

std::vector<DocProperty> variables_of(const DocNode& container, std::vector<LeftOut>& left_out,
                                      const std::string& file) {
  std::vector<DocProperty> out;
  for (const DocNode& variable : at(container, {"env"}).items) {
    const DocNode* value = variable.find("value");
    const bool plain = value != nullptr && value->is_scalar();
    out.push_back(
        {variable.text_of("name"), plain ? value->text : std::string(kTemplate), plain ? value->line : variable.line});
    if (variable.find("valueFrom") != nullptr) out.back().value = kElsewhere;
  }
  if (const DocNode* from = container.find("envFrom"))
    left_out.push_back({"envFrom", origin_of(file, from->line), "more variables come from a ConfigMap or Secret"});
  return out;
}

std::vector<std::string> command_of(const DocNode& container, int& line) {
  std::vector<std::string> words;
  for (const char* key : {"command", "args"}) {
    const DocNode& list = at(container, {key});
    if (line == 0) line = list.line;
    for (const DocNode& item : list.items) {
      std::string text = item.text;
      std::replace_if(
          text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t' || c == '\'' || c == '"'; }, ' ');
      for (std::string& word : split(text, ' ')) {
        if (!word.empty() && word != "\\") words.push_back(std::move(word));
      }
    }
  }
  return words;
}

bool is_database_url(const std::string& name) {
  return name.ends_with("DATABASE_URL") || name == "DB_URL" || name == "MYSQL_URL" || name == "JDBC_URL" ||
         name == "JDBC_DATABASE_URL" || name == "SQLALCHEMY_DATABASE_URI" || name == "MYSQL_DSN" || name == "DB_DSN";
}

void add_concurrency(ImportedPool& pool, const std::vector<DocProperty>& variables, const std::string& file) {
  for (const DocProperty& variable : variables) {
    if (variable.key == "GUNICORN_CMD_ARGS") {
      std::vector<std::string> words = split(variable.value, ' ');
      words.insert(words.begin(), "gunicorn");
      add_workers(pool, words, variable.line, file);
    }
    if (variable.key != "WEB_CONCURRENCY") continue;
    const TomlValue count = toml_scalar(variable.value, variable.line);
    const auto* number = count.get<std::int64_t>();
    if (const auto hidden = placeholder_in(variable.value)) {
      pool.left_out.push_back({"processes_per_instance", origin_of(file, variable.line), *hidden + " hides it"});
    } else if (number != nullptr && *number > 0) {
      add_key(pool, "processes_per_instance", count, file, "WEB_CONCURRENCY");
    }
  }
}

void rename(ImportedPool& pool, const std::string& name, int line, const std::string& file) {
  for (ImportedValue& key : pool.keys) {
    if (key.key == "name") key = {"name", {name, line}, origin_of(file, line), ""};
  }
}

void add_workload(Imported& out, const DocNode& workload, const std::vector<Autoscaled>& autoscaled,
                  const std::string& file, const ImportRequest& request) {
  const std::string kind = workload.text_of("kind");
  const DocNode& named = at(workload, {"metadata", "name"});
  const std::string name = named.text.empty() || placeholder_in(named.text) ? "pool" : named.text;
  const DocNode& containers = at(workload, {"spec", "template", "spec", "containers"});
  std::vector<ImportedPool> pools;
  std::vector<LeftOut> left_out;
  ImportedPool workers;  // of the container that has some
  for (const DocNode& container : containers.items) {
    std::vector<LeftOut> here;
    const std::vector<DocProperty> variables = variables_of(container, here, file);
    Imported found = import_environment(variables, file, request);
    left_out.insert(left_out.end(), here.begin(), here.end());
    int line = 0;
    const std::vector<std::string> words = command_of(container, line);
    ImportedPool own;
    add_concurrency(own, variables, file);
    add_workers(own, words, line, file);
    for (ImportedPool& pool : found.pools) {
      for (const ImportedValue& key : own.keys) {
        if (pool.text_of(key.key).empty()) pool.keys.push_back(key);
      }
      pool.left_out.insert(pool.left_out.end(), own.left_out.begin(), own.left_out.end());
      pools.push_back(std::move(pool));
    }
    if (found.pools.empty() && workers.keys.empty()) workers = std::move(own);
    out.left_out.insert(out.left_out.end(), found.left_out.begin(), found.left_out.end());
  }
  if (pools.empty()) {
    ImportedPool bare;
    add_key(bare, "name", {name, 0}, file);
    if (!request.library.empty()) add_key(bare, "library", {request.library, 0}, file, "as told");
    bare.keys.insert(bare.keys.end(), workers.keys.begin(), workers.keys.end());
    bare.left_out = workers.left_out;
    pools.push_back(std::move(bare));
  }
  const bool several = pools.size() > 1;
  for (ImportedPool& pool : pools) {
    rename(pool, several ? name + "-" + pool.name() : name, named.line, file);
    // One container's processes are not another's.
    std::vector<ImportedValue> rest(std::make_move_iterator(pool.keys.begin() + 1),
                                    std::make_move_iterator(pool.keys.end()));
    pool.keys.resize(1);
    for (ImportedValue& value : rest) {
      const auto same = [&](const ImportedValue& known) { return known.key == value.key; };
      if (std::none_of(pool.keys.begin(), pool.keys.end(), same)) pool.keys.push_back(std::move(value));
    }
    add_instances(pool, workload, kind, name, autoscaled, file);
    add_surge(pool, workload, kind, file);
    pool.left_out.insert(pool.left_out.end(), left_out.begin(), left_out.end());
    out.pools.push_back(std::move(pool));
  }
}

}  // namespace

Imported import_environment(const std::vector<DocProperty>& variables, const std::string& file,
                            const ImportRequest& request) {
  Imported out = import_spring_environment(variables, file);
  out.format = "environment variables";
  if (out.pools.empty()) {
    for (const DocProperty& variable : variables) {
      if (!is_database_url(variable.key) || out.pools.size() > kMostPools) continue;
      if (!add_url_pool(out, variable.value, variable.line, file, request.library)) {
        out.left_out.push_back({variable.key, origin_of(file, variable.line), "it is no URL that can be taken apart"});
      }
    }
  }
  for (ImportedPool& pool : out.pools) {
    if (!request.library.empty()) add_key(pool, "library", {request.library, 0}, file, "as told");
  }
  return out;
}

Imported import_kubernetes(std::string_view text, const std::string& file, const ImportRequest& request,
                           Problems& problems) {
  Imported out{"Kubernetes", {}, {}};
  std::vector<const DocNode*> objects;
  const std::vector<DocNode> documents = yaml_documents(without_templates(text), file, problems);
  for (const DocNode& document : documents) {
    objects.push_back(&document);
    for (const DocNode& item : at(document, {"items"}).items) objects.push_back(&item);
  }
  std::vector<Autoscaled> autoscaled;
  for (const DocNode* object : objects) {
    if (object->text_of("kind") != "HorizontalPodAutoscaler") continue;
    autoscaled.push_back({at(*object, {"spec", "scaleTargetRef", "kind"}).text,
                          at(*object, {"spec", "scaleTargetRef", "name"}).text, at(*object, {"spec", "maxReplicas"})});
  }
  for (const DocNode* object : objects) {
    if (runs_pods(object->text_of("kind")) && out.pools.size() <= kMostPools)
      add_workload(out, *object, autoscaled, file, request);
  }
  if (out.pools.empty() && problems.empty()) problems.add(file, 0, "holds no Deployment and no StatefulSet");
  return out;
}

}  // namespace dbaudit
