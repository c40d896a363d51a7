#include "server/errors.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"

namespace dbaudit {
namespace {

struct Meaning {
  ErrorKind kind;
  const char* next_step;
};

// Numbers below 2000 and from 3000 are the server's (MySQL "Server Error Message Reference", MariaDB "Error Codes"),
// 2000 to 2999 and 5000 on are the client library's.
Meaning meaning_while_connecting(int code) {
  switch (code) {
    case 1053: return {ErrorKind::unreachable, "The server is shutting down; try again when it is back"};
    case 2002:
    case 2003: return {ErrorKind::unreachable, "Is the server running, and is the address right?"};
    case 2005: return {ErrorKind::unreachable, "The host name could not be resolved"};
    case 2007:
    case 2027:
      return {ErrorKind::unreachable,
              "What answers there does not speak the MySQL protocol as a server does; are host and port right?"};
    case 1040:
      return {ErrorKind::too_many_connections,
              "All connections are used up; an account with CONNECTION ADMIN (MariaDB) or SERVICE_CONNECTION_ADMIN "
              "(MySQL) may use the reserved slot, --spare-port the admin_port or extra_port"};
    case 1203:
    case 1226: return {ErrorKind::too_many_connections, "This account has used up its own connection limit"};
    case 1045:
    case 1698:
      return {ErrorKind::refused_credentials, "Check user, password and the host from which the account may connect"};
    case 1044:
    case 1049:
    case 1130: return {ErrorKind::refused_credentials, "The account may not connect from this host"};
    case 1129:
      return {ErrorKind::refused_credentials,
              "This host is blocked after many failed connections; an administrator can FLUSH HOSTS"};
    case 1227:
      return {
          ErrorKind::refused_credentials,
          "MySQL's admin_port lets in accounts with SERVICE_CONNECTION_ADMIN only; GRANT it, or use the normal port"};
    case 3032:
      return {ErrorKind::refused_credentials,
              "The server's offline_mode is ON, which keeps out accounts without CONNECTION_ADMIN; SET GLOBAL "
              "offline_mode = OFF when its maintenance is over"};
    case 3118:
    case 4151: return {ErrorKind::refused_credentials, "The account is locked; ALTER USER ... ACCOUNT UNLOCK"};
    case 1820:
    case 1862: return {ErrorKind::refused_credentials, "The account's password has expired; set a new one"};
    case 1251:
    case 2058:
    case 2059:
      return {ErrorKind::refused_credentials,
              "The account uses an authentication plugin that this client library does not have"};
    case 2061:
      return {ErrorKind::refused_credentials,
              "The account's authentication plugin gave up; where the reason is that it needs a secure connection, use "
              "--ssl-mode REQUIRED"};
    case 5010:
      return {ErrorKind::refused_credentials,
              "The server asked for the password in the clear and did not get it; use --ssl-mode VERIFY_IDENTITY if it "
              "is trusted"};
    case 3159: return {ErrorKind::tls, "The server accepts TLS connections only; use --ssl-mode REQUIRED"};
    case 2026: return {ErrorKind::tls, "Check --ssl-ca, the host name in the certificate and its dates"};
    case 2006:
    case 2013: return {ErrorKind::timeout, "The server did not answer in time, or closed the connection"};
    default: return {ErrorKind::other, ""};
  }
}

Meaning meaning_of_query(int code) {
  switch (code) {
    case 1044:
    case 1142:
    case 1143:
    case 1227:
    case 1370:
    case 1401:
    case 1356: return {ErrorKind::no_privilege, ""};
    case 1054:
    case 1064:
    case 1109:
    case 1146:
    case 1193: return {ErrorKind::no_such_object, ""};
    case 1205:
    case 1317:
    case 1969:
    case 3024: return {ErrorKind::timeout, "The statement was given up so as not to add to the server's load"};
    case 3854: return {ErrorKind::unreadable, ""};
    case 1053:
    case 1927:
    case 2006:
    case 2013:
    case 2014:
    case 2026:
    case 4031: return {ErrorKind::lost, "The connection broke while the server was being read"};
    default: return {ErrorKind::other, ""};
  }
}

// A refusal that comes before TLS is up (1040, 1129, 1130) reaches us as 2002 from libmariadb 3.3.20, 3.4 and later:
// "Received error packet before completion of TLS handshake. The authenticity of the following error cannot be
// verified: 1040 - Too many connections". Whoever could forge it could refuse the connection as well.
void unwrap_early_refusal(int& code, std::string& sqlstate, std::string& text) {
  constexpr std::string_view kMark = "cannot be verified: ";
  const std::size_t mark = text.find(kMark);
  if (mark == std::string::npos) return;
  const std::string inner = text.substr(mark + kMark.size());
  int inner_code = 0;
  const auto [end, error] = std::from_chars(inner.data(), inner.data() + inner.size(), inner_code);
  const std::string_view rest(end, static_cast<std::size_t>(inner.data() + inner.size() - end));
  if (error != std::errc{} || inner_code < 1000 || rest.rfind(" - ", 0) != 0) return;
  code = inner_code;
  sqlstate = code == 1040 ? "08004" : code == 1053 ? "08S01" : "HY000";
  text = rest.substr(3);
}

}  // namespace

Error server_error(int library_code, const std::string& library_sqlstate, const std::string& message,
                   const std::string& doing, During during) {
  const bool connecting = during != During::reading;
  int code = library_code;
  std::string sqlstate = library_sqlstate;
  std::string text = printable(valid_utf8(message));
  if (connecting) unwrap_early_refusal(code, sqlstate, text);
  Meaning meaning = connecting ? meaning_while_connecting(code) : meaning_of_query(code);
  if (code == 1045 && connecting) {
    // Also what the client library says when its own plugin file is missing, and what servers say for want of TLS.
    if (text.find("could not be loaded") != std::string::npos) {
      meaning.next_step = "The client library lacks the authentication plugin of this account";
    } else if (during == During::connecting_in_plaintext) {
      meaning.next_step =
          "Check user, password and the host from which the account may connect; an account that requires TLS is "
          "refused in the same words, and needs --ssl-mode REQUIRED";
    }
  }
  if (connecting && code == 2026 && text.find("timed out") != std::string::npos)
    meaning = meaning_while_connecting(2013);
  return {meaning.kind, fmt::format("cannot {}: {}", doing, text.empty() ? "no reason given" : bounded(text, 300)),
          meaning.next_step, code, sqlstate};
}

}  // namespace dbaudit
