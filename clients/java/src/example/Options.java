package example;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The command line: names with their values. */
final class Options {
  static final String USAGE = """
      usage: generate --caption TEXT [--lyrics TEXT] [--duration SECONDS] [--seed NUMBER]
          [--output FILE] [--cancel-after SECONDS] [--timeout SECONDS] [--address HOST:PORT]
          [--tls] [--tls-ca FILE] [--tls-certificate FILE --tls-key FILE]
      ACESTEP_ADDRESS and ACESTEP_TOKEN are read from the environment.""";

  private static final String TLS = "tls";
  private static final Set<String> NAMES = Set.of("caption", "lyrics", "duration", "seed", "output",
      "cancel-after", "timeout", "address", "tls-ca", "tls-certificate", "tls-key");

  private static final Set<String> SECONDS = Set.of("duration", "cancel-after", "timeout");

  private final Map<String, String> values = new HashMap<>();

  /** Throws {@code IllegalArgumentException} for an option that there is not, and for what is no number. */
  Options(String[] arguments) {
    var rest = new ArrayDeque<>(List.of(arguments));
    while (!rest.isEmpty()) {
      String option = rest.pop();
      String name = option.startsWith("--") ? option.substring(2) : "";
      if (name.equals(TLS)) {
        values.put(TLS, "");
      } else if (NAMES.contains(name) && !rest.isEmpty()) {
        values.put(name, checked(name, rest.pop()));
      } else {
        throw new IllegalArgumentException("no such option, or no value for it: " + option);
      }
    }
  }

  private static String checked(String name, String value) {
    try {
      if (SECONDS.contains(name)) {
        Double.parseDouble(value);
      } else if (name.equals("seed")) {
        Long.parseLong(value);
      }
    } catch (NumberFormatException error) {
      throw new IllegalArgumentException(value + " is not a number");
    }
    return value;
  }

  boolean has(String name) {
    return values.containsKey(name);
  }

  String text(String name, String otherwise) {
    return values.getOrDefault(name, otherwise);
  }

  double number(String name) {
    return Double.parseDouble(values.get(name));
  }

  boolean secure() {
    return has(TLS) || has("tls-ca") || has("tls-certificate") || has("tls-key");
  }
}
