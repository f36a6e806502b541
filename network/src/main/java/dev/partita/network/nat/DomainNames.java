package dev.partita.network.nat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// Domain names as DNS writes them (RFC 1035, 3.1), without compression.
final class DomainNames {
  private static final int MOST_LABEL = 63;
  private static final int MOST_NAME = 255;

  private DomainNames() {}

  /// The names one after the other; what is no name is left out.
  static byte[] encode(List<String> names) {
    var all = new ByteArrayOutputStream();
    for (var name : names) {
      var one = new ByteArrayOutputStream();
      boolean right = true;
      for (var label : name.split("\\.")) {
        var octets = label.getBytes(StandardCharsets.US_ASCII);
        right &= octets.length > 0 && octets.length <= MOST_LABEL;
        one.write(octets.length);
        one.writeBytes(octets);
      }
      one.write(0);
      if (right && one.size() <= MOST_NAME) {
        all.writeBytes(one.toByteArray());
      }
    }
    return all.toByteArray();
  }
}
