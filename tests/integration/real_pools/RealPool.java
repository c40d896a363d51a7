// A real HikariCP or Tomcat JDBC pool: fills itself, says "ready", waits for a line, borrows everything again, and prints
// how many borrowers got a connection that did not work.
//
//   java -cp JARS RealPool.java hikaricp|tomcat_jdbc URL CONNECTIONS KEY=VALUE...
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import javax.sql.DataSource;

public class RealPool {
  static int failures(DataSource pool, int connections) {
    int failed = 0;
    List<Connection> borrowed = new ArrayList<>();
    for (int i = 0; i < connections; i++) {
      try {
        Connection connection = pool.getConnection();
        borrowed.add(connection);
        try (Statement statement = connection.createStatement()) {
          statement.executeQuery("SELECT 1");
        }
      } catch (SQLException error) {
        failed++;
      }
    }
    for (Connection connection : borrowed) {
      try {
        connection.close();
      } catch (SQLException error) {
        // giving back is not what is looked at
      }
    }
    return failed;
  }

  static DataSource pool(String library, String url, Properties settings) throws Exception {
    if (library.equals("hikaricp")) {
      settings.setProperty("jdbcUrl", url);
      return new com.zaxxer.hikari.HikariDataSource(new com.zaxxer.hikari.HikariConfig(settings));
    }
    settings.setProperty("url", url);
    settings.setProperty("driverClassName", "org.mariadb.jdbc.Driver");
    return new org.apache.tomcat.jdbc.pool.DataSourceFactory().createDataSource(settings);
  }

  public static void main(String[] arguments) throws Exception {
    int connections = Integer.parseInt(arguments[2]);
    Properties settings = new Properties();
    for (int i = 3; i < arguments.length; i++) {
      String[] pair = arguments[i].split("=", 2);
      // Some of HikariCP's settings are system properties.
      if (pair[0].startsWith("com.")) System.setProperty(pair[0], pair[1]);
      else settings.setProperty(pair[0], pair[1]);
    }
    DataSource pool = pool(arguments[0], arguments[1], settings);
    if (failures(pool, connections) > 0) throw new IllegalStateException("the pool did not work to begin with");
    System.out.println("ready");
    new BufferedReader(new InputStreamReader(System.in)).readLine();
    System.out.println(failures(pool, connections));
    System.exit(0);
  }
}
