package dev.partita.vmbus;

import java.util.Set;

/// Versions of the protocol: major in the upper 16 bits, minor in the lower.
final class ProtocolVersion {
  static final int V2_4 = 2 << 16 | 4;
  static final int V3_0 = 3 << 16;
  static final int V4_0 = 4 << 16;
  static final int V4_1 = 4 << 16 | 1;
  static final int V5_0 = 5 << 16;
  static final int V5_1 = 5 << 16 | 1;
  static final int V5_2 = 5 << 16 | 2;
  static final int V5_3 = 5 << 16 | 3;

  private static final Set<Integer> SUPPORTED =
      Set.of(V2_4, V3_0, V4_0, V4_1, V5_0, V5_1, V5_2, V5_3);

  private ProtocolVersion() {}

  static boolean supported(int version) {
    return SUPPORTED.contains(version);
  }

  static String text(int version) {
    return (version >>> 16) + "." + (version & 0xFFFF);
  }
}
