package dev.partita.network.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import dev.partita.network.capture.Capture;
import dev.partita.network.vswitch.PortRole;
import dev.partita.network.vswitch.PortSettings;
import dev.partita.network.vswitch.SwitchKind;
import dev.partita.network.vswitch.VirtualSwitch;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LinksTest {
  private static final MacAddress A = MacAddress.parse("00:15:5d:00:00:0a");
  private static final MacAddress B = MacAddress.parse("00:15:5d:00:00:0b");

  @TempDir Path folder;
  private final SystemTimeSource time = new SystemTimeSource();
  private final VirtualSwitch first = new VirtualSwitch("one", SwitchKind.PRIVATE, time);
  private final VirtualSwitch second = new VirtualSwitch("two", SwitchKind.PRIVATE, time);

  @AfterEach
  void close() {
    first.close();
    second.close();
    time.close();
  }

  /// What an endpoint got, with what was said of it.
  private record Got(byte[] octets, int tag, int segmentSize, Frame.Checksum checksum) {}

  private static final class Collector implements Endpoint {
    final BlockingQueue<Got> got = new LinkedBlockingQueue<>();

    @Override
    public Offloads offloads() {
      return Offloads.ALL.withMtu(9000);
    }

    @Override
    public boolean deliver(Frame frame) {
      return got.add(new Got(frame.octets(), frame.tag(), frame.segmentSize(), frame.checksum()));
    }

    Got next() throws InterruptedException {
      var next = got.poll(20, TimeUnit.SECONDS);
      if (next == null) {
        throw new AssertionError("no frame came");
      }
      return next;
    }
  }

  /// A large TCP segment as a NIC leaves it.
  private static Frame large(MacAddress to, MacAddress from, int length) {
    var b = ByteBuffer.allocate(54 + length);
    b.putShort((short) (to.bits() >>> 32)).putInt((int) to.bits());
    b.putShort((short) (from.bits() >>> 32)).putInt((int) from.bits());
    b.putShort((short) 0x0800).putInt(0x4500_0000 | 40 + length).putInt(0).putInt(0x4006_0000);
    b.putInt(0x0a00_0001).putInt(0x0a00_0002).putLong(0x0050_0051_0000_0001L).putInt(1);
    b.putInt(0x5010_1000);
    for (int i = 54; i < b.capacity(); i++) {
      b.put(i, (byte) (i * 7));
    }
    return new Frame().set(b, 0, b.capacity()).segmentSize(1448).partial(34, 16);
  }

  @ParameterizedTest
  @EnumSource(StreamLink.Format.class)
  void twoSwitchesAreOneThroughAUnixSocket(StreamLink.Format format) throws Exception {
    var path = folder.resolve("switch.sock");
    var a = new Collector();
    var b = new Collector();
    var portA =
        first.connect(
            "a",
            a,
            PortSettings.adapter(A).withVlan(new dev.partita.network.vswitch.VlanMode.Access(9)));
    var portB =
        second.connect(
            "b",
            b,
            PortSettings.adapter(B).withVlan(new dev.partita.network.vswitch.VlanMode.Access(9)));
    try (var server =
            UnixLinks.listen(
                path,
                format,
                1500,
                (name, link) -> first.connect(name, link, PortSettings.stations(PortRole.LINK)));
        var link = UnixLinks.connect(path, format, 1500)) {
      assertThat(Files.getPosixFilePermissions(path)).hasSize(2);
      link.attach(second.connect("out", link, PortSettings.stations(PortRole.LINK)), () -> {});
      // The link at the other end is plugged in by its own thread: broadcasts until one comes.
      var hello = large(MacAddress.BROADCAST, B, 10);
      while (a.got.isEmpty()) {
        portB.send(hello.segmentSize(0));
        portB.endBatch();
        Thread.onSpinWait();
      }
      assertThat(a.next().tag).isEqualTo(Frame.NO_TAG);

      portA.send(large(B, A, 40_000));
      portA.endBatch();
      int sum = 0;
      int frames = 0;
      while (sum < 40_000) {
        var got = b.next();
        sum += got.octets.length - 54;
        frames++;
        if (format == StreamLink.Format.OFFLOADS) {
          assertThat(got.segmentSize).isEqualTo(1448);
          assertThat(got.checksum).isEqualTo(Frame.Checksum.PARTIAL);
        }
        assertThat(got.octets).hasSizeLessThanOrEqualTo(54 + 40_000);
      }
      assertThat(frames).isEqualTo(format == StreamLink.Format.OFFLOADS ? 1 : 28);

      assertThatThrownBy(() -> UnixLinks.listen(path, format, 1500, (name, l) -> portA))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("another process");
    }
    assertThat(path).doesNotExist();
  }

  @Test
  void aSocketLeftBehindIsReplacedAndAMissingOneIsNamed() throws IOException {
    var path = folder.resolve("old.sock");
    try (var old = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      old.bind(UnixDomainSocketAddress.of(path));
    }
    assertThat(path).exists();
    UnixLinks.listen(
            path,
            StreamLink.Format.PLAIN,
            1500,
            (name, l) -> first.connect(name, l, PortSettings.stations(PortRole.LINK)))
        .close();
    assertThatThrownBy(() -> UnixLinks.connect(path, StreamLink.Format.PLAIN, 1500))
        .hasMessageContaining(path.toString());
  }

  @Test
  void whoeverSendsNonsenseIsUnplugged() throws Exception {
    var path = folder.resolve("switch.sock");
    try (var server =
            UnixLinks.listen(
                path,
                StreamLink.Format.OFFLOADS,
                1500,
                (name, link) -> first.connect(name, link, PortSettings.stations(PortRole.LINK)));
        var channel = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
      channel.write(ByteBuffer.allocate(4).putInt(0x7fff_ffff).flip());
      assertThat(channel.read(ByteBuffer.allocate(1))).isEqualTo(-1);
      while (server.size() > 0) {
        Thread.onSpinWait();
      }
      assertThat(first.ports()).isEmpty();
    }
  }

  @Test
  void twoSwitchesAreOneThroughUdp() throws Exception {
    var a = new Collector();
    var b = new Collector();
    var portA = first.connect("a", a, PortSettings.adapter(A));
    var portB = second.connect("b", b, PortSettings.adapter(B));
    int one = freePort();
    int two = freePort();
    var here = new InetSocketAddress("127.0.0.1", one);
    var there = new InetSocketAddress("127.0.0.1", two);
    try (var left = UdpLink.open(here, there, 9000);
        var right = UdpLink.open(there, here, 9000)) {
      left.attach(first.connect("out", left, PortSettings.stations(PortRole.LINK)));
      right.attach(second.connect("out", right, PortSettings.stations(PortRole.LINK)));
      portA.send(large(MacAddress.BROADCAST, A, 100).segmentSize(0));
      portA.endBatch();
      assertThat(b.next().octets).hasSize(154);
      portB.send(large(A, B, 8000).segmentSize(0));
      portB.endBatch();
      assertThat(a.next().octets).hasSize(8054);
    }
  }

  private static int freePort() throws IOException {
    try (var socket = new java.net.DatagramSocket()) {
      return socket.getLocalPort();
    }
  }

  @Test
  void aCaptureShowsWhatPassesAPort() throws Exception {
    var a = new Collector();
    var b = new Collector();
    var portA = first.connect("a", a, PortSettings.adapter(A));
    first.connect("b", b, PortSettings.adapter(B));
    var out = new ByteArrayOutputStream();
    try (var capture = Capture.start(out, List.of(portA), time, 200)) {
      portA.send(large(B, A, 20_000));
      portA.send(large(MacAddress.BROADCAST, A, 5).segmentSize(0));
      assertThat(capture.captured()).isEqualTo(2);
    }
    // Every block names its length at both ends; walked by hand, and by the reader on the host.
    var file = ByteBuffer.wrap(out.toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
    var types = new java.util.ArrayList<Integer>();
    while (file.hasRemaining()) {
      int begin = file.position();
      types.add(file.getInt(begin));
      int length = file.getInt(begin + 4);
      assertThat(file.getInt(begin + length - 4)).isEqualTo(length);
      if (types.getLast() == 6 && types.size() == 3) {
        assertThat(file.getInt(begin + 20)).isEqualTo(200);
        assertThat(file.getInt(begin + 24)).isEqualTo(20_054);
      }
      file.position(begin + length);
    }
    assertThat(types).containsExactly(0x0a0d0d0a, 1, 6, 6, 5);
    readWithTcpdump(out.toByteArray());
  }

  private void readWithTcpdump(byte[] octets) throws Exception {
    var file = Files.write(folder.resolve("c.pcapng"), octets);
    Process process;
    try {
      process =
          new ProcessBuilder("tcpdump", "-nn", "-r", file.toString())
              .redirectErrorStream(true)
              .start();
    } catch (IOException e) {
      org.junit.jupiter.api.Assumptions.abort("no tcpdump on this host");
      return;
    }
    var text =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    assertThat(process.waitFor()).isZero();
    assertThat(text).contains("10.0.0.1.80 > 10.0.0.2.81");
  }
}
