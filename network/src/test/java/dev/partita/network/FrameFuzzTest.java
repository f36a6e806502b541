package dev.partita.network;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.network.vswitch.AccessRule;
import dev.partita.network.vswitch.PortRole;
import dev.partita.network.vswitch.PortSettings;
import dev.partita.network.vswitch.SwitchKind;
import dev.partita.network.vswitch.VirtualSwitch;
import dev.partita.network.vswitch.VlanMode;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Any octets as a frame, with anything said about it, through the readers and a switch with all
/// its features on. Nothing is thrown; what arrives is not longer than the receiver takes; a cut
/// segment has its payload whole.
class FrameFuzzTest {
  private static final MacAddress A = MacAddress.parse("00:15:5d:00:00:0a");
  private static final MacAddress B = MacAddress.parse("00:15:5d:00:00:0b");

  private record Receiver(Offloads offloads) implements Endpoint {
    @Override
    public boolean deliver(Frame frame) {
      int most = Frame.HEADER + offloads.mtu();
      if (frame.segmentSize() == 0) {
        assertThat(frame.length()).isLessThanOrEqualTo(most);
      } else {
        assertThat(frame.length()).isLessThanOrEqualTo(offloads.largestSegment());
      }
      if (!offloads.checksum()) {
        assertThat(frame.checksum()).isNotEqualTo(Frame.Checksum.PARTIAL);
      }
      return (frame.length() & 7) != 7;
    }
  }

  @FuzzTest
  void fuzz(byte[] input) {
    if (input.length < 8) {
      return;
    }
    var options = ByteBuffer.wrap(input);
    int flags = options.get();
    int size = options.getShort() & 0xffff;
    int sum = options.get() & 0xff;
    int offset = options.get() & 0xff;
    int tag = options.getShort() & 0xffff;
    var octets = Arrays.copyOfRange(input, 7, input.length);
    if ((flags & 1) != 0 && octets.length >= 12) {
      // An honest pair of addresses gets further.
      ByteBuffer.wrap(octets).putLong(0, B.bits() << 16 | A.bits() >>> 32);
      ByteBuffer.wrap(octets).putInt(8, (int) A.bits());
    }
    var frame = Frame.of(octets);
    if ((flags & 2) != 0) {
      frame.segmentSize(size);
    }
    if ((flags & 4) != 0 && sum >= Frame.HEADER && sum + offset + 2 <= frame.length()) {
      frame.partial(sum, offset);
    }
    if ((flags & 8) != 0) {
      frame.tag(tag);
    }
    readers(Frame.of(octets).segmentSize(frame.segmentSize()));
    var time = new ManualTimeSource(0);
    try (var network = new VirtualSwitch("fuzz", SwitchKind.EXTERNAL, time)) {
      var rules =
          List.of(
              AccessRule.of(AccessRule.Action.DENY, AccessRule.Direction.OUTBOUND, 1)
                  .withProtocol(flags & 0x3f)
                  .withPorts(new AccessRule.PortRange(0, 99), AccessRule.PortRange.ANY),
              AccessRule.of(AccessRule.Action.ALLOW, AccessRule.Direction.OUTBOUND, 2)
                  .withRemoteAddress(IpPrefix.parse("10.0.0.0/8"))
                  .withState(10));
      var settings =
          PortSettings.adapter(A)
              .withMacSpoofing((flags & 16) != 0)
              .withGuards(true, true)
              .withRules(rules)
              .withVlan((flags & 32) != 0 ? VlanMode.ALL : VlanMode.UNTAGGED);
      var port = network.connect("a", new Receiver(Offloads.ALL), settings);
      network.connect("b", new Receiver(Offloads.NONE), PortSettings.adapter(B));
      network.connect("out", new Receiver(Offloads.ALL), PortSettings.stations(PortRole.UPLINK));
      port.send(frame);
      port.endBatch();
    }
  }

  private static void readers(Frame frame) {
    var headers = Headers.of(frame);
    headers.source();
    headers.destination();
    headers.icmpType();
    assertThat(headers.transport()).isBetween(0, frame.length());
    if (headers.isIp()) {
      assertThat(headers.packetEnd()).isBetween(headers.transport(), frame.length());
      headers.headerChecksumRight();
      headers.transportChecksumRight();
    }
    if (headers.hasPorts()) {
      headers.sourcePort();
      headers.destinationPort();
    }
    if (Segmenter.isWhole(headers)) {
      int data = headers.transport() + (frame.u8(headers.transport() + 12) >> 4 << 2);
      int payload = headers.packetEnd() - data;
      var total = new int[1];
      Segmenter.cut(
          headers,
          ByteBuffer.allocate(Frame.MAX_LENGTH + 8),
          new Frame(),
          part -> {
            total[0] += part.length() - data;
            return true;
          });
      assertThat(total[0]).isEqualTo(payload);
    }
  }

  @Test
  void randomFramesHold() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 15_000; i++) {
      var input = new byte[random.nextInt(8, 200)];
      random.nextBytes(input);
      // Mostly IP, so that most get somewhere.
      if (input.length > 40) {
        input[0] |= 1;
        var types = new int[] {0x0800, 0x86dd, 0x0806, 0x8100};
        ByteBuffer.wrap(input).putShort(19, (short) types[random.nextInt(4)]);
        input[21] = (byte) (random.nextBoolean() ? 0x45 : 0x60);
        if (random.nextBoolean()) {
          ByteBuffer.wrap(input).putShort(23, (short) (input.length - 21));
          input[30] = 6;
          input[27] = (byte) (new int[] {0, 6, 17, 43, 44, 58, 60})[random.nextInt(7)];
        }
      }
      fuzz(input);
    }
  }
}
