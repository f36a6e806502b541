package dev.partita.synthetic.network;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.vmbus.Channel.TransferRange;
import dev.partita.vmbus.Gpadl;
import dev.partita.vmbus.Packet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A guest's end of a channel, without a bus: keeps what comes, and can be full. Tasks run when the
/// test lets them.
final class TestLine implements Line {
  /// A packet that came.
  ///
  /// @param type {@link Packet#COMPLETION} and the like
  /// @param pageSet and ranges of one with transfer pages
  record Received(int type, long id, int pageSet, List<TransferRange> ranges, ByteBuffer payload) {}

  private final GuestMemory memory;
  private final int subChannel;
  private final boolean restored;
  private final Map<Integer, Gpadl> gpadls;
  private final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
  final ArrayDeque<Received> received = new ArrayDeque<>();
  final List<Integer> subChannels = new ArrayList<>();

  /// Packets there is room for.
  int room = Integer.MAX_VALUE;

  private long id = 1000L * 1000;

  TestLine(GuestMemory memory, int subChannel, boolean restored, Map<Integer, Gpadl> gpadls) {
    this.memory = memory;
    this.subChannel = subChannel;
    this.restored = restored;
    this.gpadls = gpadls;
  }

  /// The same guest's end of a channel that goes on in another partition.
  TestLine successor() {
    var next = new TestLine(memory, subChannel, true, gpadls);
    next.received.addAll(received);
    next.id = id;
    return next;
  }

  /// The number of the next packet from the guest.
  long nextId() {
    return ++id;
  }

  /// The channel's thread has its turn.
  void runTasks() {
    for (var task = tasks.poll(); task != null; task = tasks.poll()) {
      task.run();
    }
  }

  /// The only packet that has come since.
  Received take() {
    if (received.size() != 1) {
      throw new AssertionError(received.size() + " packets: " + received);
    }
    return received.remove();
  }

  private boolean put(
      int type, long packet, int pageSet, List<TransferRange> ranges, byte[] payload) {
    if (room == 0) {
      return false;
    }
    room--;
    var copy = ByteBuffer.wrap(payload.clone()).order(ByteOrder.LITTLE_ENDIAN);
    received.add(new Received(type, packet, pageSet, List.copyOf(ranges), copy));
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
  public @Nullable Gpadl gpadl(int handle) {
    return gpadls.get(handle);
  }

  @Override
  public boolean complete(long transactionId, byte[] payload) {
    return put(Packet.COMPLETION, transactionId, 0, List.of(), payload);
  }

  @Override
  public boolean send(byte[] payload) {
    return put(Packet.IN_BAND, 0, 0, List.of(), payload);
  }

  @Override
  public boolean sendTransferPages(
      long transactionId, int pageSet, List<TransferRange> ranges, byte[] payload) {
    return put(Packet.TRANSFER_PAGES, transactionId, pageSet, ranges, payload);
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
