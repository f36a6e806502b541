package dev.partita.synthetic.network;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Against Microsoft's own examples ("Verifying the RSS hash calculation", Windows driver kit).
class ReceiveScalingTest {
  static final byte[] KEY =
      HexFormat.of()
          .parseHex(
              "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa");

  private static Headers ip4(String to, int toPort, String from, int fromPort) {
    var frame = ByteBuffer.wrap(TestFrames.tcp4(TestFrames.GUEST, TestFrames.OTHER, 1, 0));
    frame.putInt(26, address(from)).putInt(30, address(to));
    frame.putShort(34, (short) fromPort).putShort(36, (short) toPort);
    return Headers.of(Frame.of(frame.array()));
  }

  private static int address(String text) {
    int bits = 0;
    for (var part : text.split("\\.", -1)) {
      bits = bits << 8 | Integer.parseInt(part);
    }
    return bits;
  }

  @ParameterizedTest
  @CsvSource({
    "161.142.100.80, 1766, 66.9.149.187, 2794, 323e8fc2, 51ccc178",
    "65.69.140.83, 4739, 199.92.111.2, 14230, d718262a, c626b0ea",
    "12.22.207.184, 38024, 24.19.198.95, 12898, d2d0a5de, 5c2b394a",
    "209.142.163.6, 2217, 38.27.205.30, 48228, 82989176, afc7327f",
    "202.188.127.2, 1303, 153.39.163.191, 44251, 5d1809c5, 10e828a2"
  })
  void hashesOfIpv4(
      String to, int toPort, String from, int fromPort, String addresses, String withPorts) {
    var headers = ip4(to, toPort, from, fromPort);
    assertThat(scaling(ReceiveScaling.IPV4).hash(headers))
        .isEqualTo(Integer.parseUnsignedInt(addresses, 16));
    assertThat(scaling(ReceiveScaling.IPV4 | ReceiveScaling.TCP_IPV4).hash(headers))
        .isEqualTo(Integer.parseUnsignedInt(withPorts, 16));
  }

  @Test
  void hashesOfIpv6() {
    // 3ffe:2501:200:1fff::7, port 2794, to 3ffe:2501:200:3::1, port 1766.
    var frame = ByteBuffer.wrap(TestFrames.tcp6(TestFrames.GUEST, TestFrames.OTHER, 1, 0));
    frame.putLong(22, 0x3ffe_2501_0200_1fffL).putLong(30, 7);
    frame.putLong(38, 0x3ffe_2501_0200_0003L).putLong(46, 1);
    frame.putShort(54, (short) 2794).putShort(56, (short) 1766);
    var headers = Headers.of(Frame.of(frame.array()));
    assertThat(scaling(ReceiveScaling.IPV6).hash(headers)).isEqualTo(0x2cc18cd5);
    assertThat(scaling(ReceiveScaling.TCP_IPV6).hash(headers)).isEqualTo(0x40207d3d);
  }

  private static ReceiveScaling scaling(int hashes) {
    return new ReceiveScaling(hashes | ReceiveScaling.FUNCTION_TOEPLITZ, KEY, new byte[1]);
  }
}
