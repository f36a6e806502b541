package dev.partita.network.nat;

import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.network.Checksums;
import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import dev.partita.network.MacAddress;
import dev.partita.network.Port;
import dev.partita.network.Segmenter;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;

/// A gateway on a link with a guest of the test's, that can lose, double and delay frames.
final class SimulatedLink implements AutoCloseable {
  static final MacAddress GUEST_MAC = MacAddress.parse("00:15:5d:00:00:01");
  static final IpAddress GUEST = IpAddress.parse("172.29.192.10");
  static final IpAddress GUEST6 = IpAddress.parse("fd5e:8e5a:c6a1::10");

  final ManualTimeSource time = new ManualTimeSource(0);
  final SimulatedHost host = new SimulatedHost(time, this::gateway);
  final NatGateway gateway;

  /// Frames that reached the guest, as on a wire.
  final List<byte[]> received = new ArrayList<>();

  /// Sees each frame that reaches the guest; without it they are collected.
  Consumer<byte[]> guest = received::add;

  SplittableRandom random = new SplittableRandom(1);
  double loss;
  double duplication;

  /// Most extra delay in nanoseconds, evenly spread; it reorders.
  long jitter;

  /// Whether frames arrive within the call that sends them.
  boolean immediate = true;

  /// Whether the guest's side has no room.
  boolean full;

  SimulatedLink(NatSettings settings) {
    this(settings, java.nio.file.Path.of("/dev/null"));
  }

  SimulatedLink(NatSettings settings, java.nio.file.Path resolvConf) {
    try {
      time.advance(1_000_000_000L);
      gateway =
          new NatGateway(settings, time, resolvConf, RandomGenerator.of("L64X128MixRandom"), host);
      gateway.attach(new GuestPort());
    } catch (java.io.IOException e) {
      throw new AssertionError(e);
    }
  }

  NatGateway gateway() {
    return gateway;
  }

  private final class GuestPort implements Port {
    @Override
    public Outcome sendOrDrop(Frame frame) {
      send(frame);
      return Outcome.TAKEN;
    }

    @Override
    public Outcome send(Frame frame) {
      if (full) {
        return Outcome.REFUSED;
      }
      if (frame.segmentSize() != 0) {
        var headers = Headers.of(frame);
        if (!Segmenter.isWhole(headers)) {
          throw new AssertionError("a large frame that cannot be cut");
        }
        Segmenter.cut(
            headers,
            ByteBuffer.allocate(70_000),
            new Frame(),
            part -> {
              toGuest(part);
              return true;
            });
      } else {
        toGuest(frame);
      }
      return Outcome.TAKEN;
    }

    @Override
    public void endBatch() {}

    @Override
    public void ready() {}

    @Override
    public boolean up() {
      return true;
    }

    @Override
    public void close() {}
  }

  private void toGuest(Frame frame) {
    Checksums.complete(frame);
    int most = gateway.settings().mtu() + Frame.HEADER;
    if (frame.length() > most) {
      throw new AssertionError("a frame of %d octets".formatted(frame.length()));
    }
    var wire = new Frame().set(ByteBuffer.wrap(frame.octets()), 0, frame.length());
    var headers = Headers.of(wire);
    if (!headers.headerChecksumRight()
        || headers.isIp() && !headers.isFragment() && !headers.transportChecksumRight()) {
      throw new AssertionError("a wrong checksum");
    }
    var octets = frame.octets();
    carry(() -> guest.accept(octets));
  }

  /// The guest sends.
  void fromGuest(byte[] octets) {
    carry(
        () -> {
          Endpoint endpoint = gateway;
          endpoint.deliver(Frame.of(octets));
          endpoint.endBatch();
        });
  }

  private void carry(Runnable arrival) {
    if (immediate) {
      arrival.run();
      return;
    }
    if (random.nextDouble() < loss) {
      return;
    }
    int copies = random.nextDouble() < duplication ? 2 : 1;
    for (int i = 0; i < copies; i++) {
      long delay = 100_000 + (jitter == 0 ? 0 : random.nextLong(jitter));
      time.timer(arrival).arm(time.nanoTime() + delay);
    }
  }

  @Override
  public void close() {
    gateway.close();
  }
}
