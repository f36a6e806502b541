package dev.partita.synthetic.storage;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.vmbus.GpaRange;
import dev.partita.vmbus.Packet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// A guest's end of a channel, without a bus: sends packets to a controller's channel, keeps what
/// comes back, and can be full, paused and closed. Tasks run when the test lets them.
final class TestLine implements Line {
  /// A packet that came back: a completion, or without an id one that nobody has asked for.
  record Received(long id, ByteBuffer packet) {
    int operation() {
      return packet.getInt(0);
    }

    int status() {
      return packet.getInt(8);
    }

    int srbStatus() {
      return packet.get(14) & 0xFF;
    }

    int scsiStatus() {
      return packet.get(15) & 0xFF;
    }

    int senseLength() {
      return packet.get(21) & 0xFF;
    }

    int transferred() {
      return packet.getInt(24);
    }

    /// Key, code and qualifier.
    int sense() {
      return (packet.get(28 + 2) & 0xFF) << 16
          | (packet.get(28 + 12) & 0xFF) << 8
          | packet.get(28 + 13) & 0xFF;
    }
  }

  private final GuestMemory memory;
  private final int subChannel;
  private final boolean restored;
  private final Map<Long, List<GpaRange>> ranges = new HashMap<>();
  private final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
  final List<Received> received = new ArrayList<>();
  final List<Integer> subChannels = new ArrayList<>();

  /// Packets there is room for.
  int room = Integer.MAX_VALUE;

  private long id = 100;

  TestLine(GuestMemory memory, int subChannel, boolean restored) {
    this.memory = memory;
    this.subChannel = subChannel;
    this.restored = restored;
  }

  // --- the guest ---

  /// Any packet that asks for a completion.
  Packet packet(int type, byte[] payload) {
    return new Packet(type, Packet.COMPLETION_REQUESTED, ++id, new byte[0], payload);
  }

  /// The same with a buffer; null for one that is no RAM.
  Packet packet(int type, byte[] payload, @Nullable GpaRange buffer) {
    var packet = packet(type, payload);
    if (buffer != null) {
      ranges.put(packet.transactionId(), List.of(buffer));
    }
    return packet;
  }

  /// A packet of 64 bytes: operation, then what follows the first 12 bytes.
  Packet packet(int operation, int... body) {
    var buffer = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putInt(operation);
    buffer.putInt(1).putInt(0);
    for (int each : body) {
      buffer.putInt(each);
    }
    return packet(Packet.IN_BAND, buffer.array());
  }

  static byte[] srb(int lun, String cdb, int length) {
    var bytes = Initiator.hex(cdb);
    return ByteBuffer.allocate(64)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(3)
        .putInt(1)
        .put(12, (byte) 52)
        .put(19, (byte) lun)
        .put(20, (byte) bytes.length)
        .put(21, (byte) 20)
        .putInt(24, length)
        .put(28, bytes)
        .array();
  }

  /// A command without data.
  Packet command(int lun, String cdb) {
    return packet(Packet.IN_BAND, srb(lun, cdb, 0));
  }

  /// A command with a buffer.
  Packet command(int lun, String cdb, int length, GpaRange... buffer) {
    var packet = packet(Packet.GPA_DIRECT, srb(lun, cdb, length));
    if (buffer.length > 0) {
      ranges.put(packet.transactionId(), List.of(buffer));
    }
    return packet;
  }

  /// As Linux begins.
  void negotiate(ControllerChannel channel) {
    channel.received(packet(7));
    channel.received(packet(9, 0x0602));
    channel.received(packet(10));
    channel.received(packet(8));
    for (var each : received) {
      if (each.operation() != 1 || each.status() != 0) {
        throw new AssertionError("refused");
      }
    }
    received.clear();
  }

  /// The only packet that has come since.
  Received take() {
    synchronized (received) {
      if (received.size() != 1) {
        throw new AssertionError(received.size() + " packets");
      }
      return received.removeFirst();
    }
  }

  /// The channel's thread has its turn.
  void runTasks() {
    for (var task = tasks.poll(); task != null; task = tasks.poll()) {
      task.run();
    }
  }

  /// Takes over what the guest knows, for a line to a restored controller.
  TestLine successor(GuestMemory itsMemory) {
    var next = new TestLine(itsMemory, subChannel, true);
    next.ranges.putAll(ranges);
    next.id = id;
    return next;
  }

  // --- the channel ---

  private synchronized boolean put(long packetId, byte[] payload) {
    if (room == 0) {
      return false;
    }
    room--;
    if (payload.length != 64) {
      throw new AssertionError("Linux drops packets that are not whole");
    }
    synchronized (received) {
      received.add(
          new Received(packetId, ByteBuffer.wrap(payload.clone()).order(ByteOrder.LITTLE_ENDIAN)));
    }
    return true;
  }

  @Override
  public int subChannel() {
    return subChannel;
  }

  @Override
  public boolean restored() {
    return restored;
  }

  @Override
  public GuestMemory memory() {
    return memory;
  }

  @Override
  public Optional<List<GpaRange>> ranges(Packet packet) {
    return Optional.ofNullable(ranges.get(packet.transactionId()));
  }

  @Override
  public boolean complete(long transactionId, byte[] payload) {
    return put(transactionId, payload);
  }

  @Override
  public boolean send(byte[] payload) {
    return put(0, payload);
  }

  @Override
  public void execute(Runnable task) {
    tasks.add(task);
  }

  @Override
  public void offerSubChannels(int count) {
    subChannels.add(count);
  }
}
