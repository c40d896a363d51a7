#!/usr/bin/env bash
# Who may include whom (README, "Architecture"), and which third-party library belongs to which layer. Third-party
# headers all lie in one system folder, so linking alone does not keep them apart.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A may=(
  [base]="base" [facts]="base facts" [server]="base server" [collect]="base facts server collect"
  [locks]="base facts locks" [pools]="base facts pools" [rules]="base facts rules"
  [report]="base facts rules locks report" [config]="base config" [pack]="base rules"
  [app]="base facts server collect locks pools rules report config app"
)
# header pattern -> the files that may use it
declare -A only=(
  ['sqlite3\.h']='^src/facts/' ['(mysql/|cppconn/)']='^src/server/connection\.cpp$' ['CLI/']='^src/app/'
  ['toml\+\+/']='^src/base/toml\.cpp$' ['nlohmann/']='^src/pools/document_json\.cpp$' ['rapidjson/']='^src/report/json_writer\.cpp$' ['uni(str|width)\.h']='^src/base/text\.cpp$'
  ['yaml-cpp/']='^src/pools/document_yaml\.cpp$' ['pugixml']='^src/pools/document_xml\.cpp$'
)

failed=0
seen=0
say() { printf '%s\n' "$*"; failed=1; }
for folder in src/*/; do
  layer=$(basename "$folder")
  [[ -v may[$layer] ]] || { say "$folder: no layer of this name"; continue; }
  while IFS=: read -r file line include; do
    seen=$((seen + 1))
    target=${include%%/*}
    [[ " ${may[$layer]} " == *" $target "* ]] || say "$file:$line: layer $layer may not include $include"
  done < <(grep -rnoP '^#include "\K[^"]+' "$folder" || true)
done
for pattern in "${!only[@]}"; do
  while IFS=: read -r file line include; do
    [[ $file =~ ${only[$pattern]} ]] || say "$file:$line: only ${only[$pattern]} may include $include"
  done < <(grep -rnP "^ *#\s*include <$pattern" src || true)
done
# A search that finds nothing is a broken search, not a clean tree.
((seen > 100)) || say "only $seen includes were found"
[[ $failed == 0 ]] && echo "every include is where it may be"
exit "$failed"
