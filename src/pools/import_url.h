// Connection URLs: what a pool's declaration may keep of one, and which library's it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/problems.h"
#include "pools/imported_pool.h"

namespace dbaudit {

// A URL taken apart. User and password are nowhere in `text`, and options that hold secrets neither.
struct PublicUrl {
  std::string text;    // "jdbc:mysql://db:3306/shop?socketTimeout=30000"
  std::string scheme;  // "jdbc:mysql", "mysql+pymysql"; empty for a Go DSN
  std::string user;    // the account, when it is written there; never the password
  bool is_mysql = false;
  std::vector<std::string> dropped;  // names of options that may hold secrets, and were left out
  std::vector<std::string> hidden;   // names of options with placeholders; their values are kUnknownSetting
};

// Nothing when it is no URL that can be taken apart with certainty, so that no part of a password is taken for a host.
std::optional<PublicUrl> public_url(std::string_view url);

// Adds `url`, and `user` and `driver` where it names them. A placeholder instead of the URL makes it kUnknownSetting;
// inside of it, it matters only among the options. Both are said. False: it is another database's.
bool add_url(ImportedPool& pool, const std::string& url, int line, const std::string& file);

// Adds an option that is written elsewhere (Tomcat's connectionProperties, Hikari's dataSource.*) to the URL.
void add_url_option(ImportedPool& pool, const std::string& key, const std::string& value, int line,
                    const std::string& file);

// Adds connectionProperties="socketTimeout=30000;sessionVariables=wait_timeout=600" of Tomcat and DBCP2 to the URL.
void add_property_options(ImportedPool& pool, const std::string& properties, int line, const std::string& file);

// Whether a whole file or argument looks like one URL.
bool looks_like_url(std::string_view text);

// A pool for one URL. Nothing but a word in `left_out` for another database's; nothing at all, and false, for no URL.
bool add_url_pool(Imported& imported, const std::string& url, int line, const std::string& file,
                  const std::string& library);

// A text with one URL: SQLAlchemy, Prisma, Go, JDBC, Rails or Node.js. `library` wins where it is not empty.
Imported import_url(std::string_view text, const std::string& file, const std::string& library, Problems& problems);

}  // namespace dbaudit
