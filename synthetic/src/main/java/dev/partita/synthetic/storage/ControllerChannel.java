package dev.partita.synthetic.storage;

import dev.partita.synthetic.storage.StorageState.Completion;
import dev.partita.vmbus.Channel;
import dev.partita.vmbus.ChannelHandler;
import dev.partita.vmbus.Packet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.locks.ReentrantLock;

/// One channel of a SCSI controller: requests come in, completions go out.
///
/// What a guest can make it keep is bounded: {@link #MOST_REQUESTS} under way, beyond which the
/// answer is "busy"; and as many completions that it does not fetch, beyond which the guest is
/// broken, and the channel takes nothing more.
final class ControllerChannel implements ChannelHandler {
  /// Requests under way: more than Linux has on a whole controller for up to 50 processors.
  static final int MOST_REQUESTS = 4096;

  /// Pages that the requests under way name: 512 MiB.
  private static final int MOST_PAGES = 1 << 17;

  /// Pages of one request; a guest that has asked uses {@link ScsiController#MOST_TRANSFER}.
  private static final int MOST_REQUEST_PAGES = 1 << 11;

  /// Completions that wait for room in the ring.
  private static final int MOST_COMPLETIONS = 2 * MOST_REQUESTS;

  private static final System.Logger LOG = System.getLogger(ControllerChannel.class.getName());

  private final ScsiController controller;
  private final Channel channel;
  private final Executor threads;
  private final InFlight requests = new InFlight();

  private final ReentrantLock lock = new ReentrantLock();
  // Guarded by the lock.
  private final ArrayDeque<Completion> waiting;
  private int pages;
  private boolean broken;

  /// @param undelivered completions from before the partition was saved
  ControllerChannel(
      ScsiController controller, Channel channel, Executor threads, List<Completion> undelivered) {
    this.controller = controller;
    this.channel = channel;
    this.threads = threads;
    this.waiting = new ArrayDeque<>(undelivered);
    if (!undelivered.isEmpty()) {
      channel.execute(this::roomAvailable);
    }
  }

  private int index() {
    return channel.offer().subChannel();
  }

  // --- packets ---

  @Override
  public void received(Packet packet) {
    if (packet.type() != Packet.IN_BAND && packet.type() != Packet.GPA_DIRECT || isBroken()) {
      return;
    }
    var payload = packet.reader();
    if (payload.remaining() < VstorLayout.SIZE) {
      payload = ByteBuffer.allocate(VstorLayout.SIZE).put(payload).order(ByteOrder.LITTLE_ENDIAN);
      if (packet.payload().length < VstorLayout.BODY) {
        answer(packet, status(VstorLayout.STATUS_INVALID_PARAMETER));
        return;
      }
    }
    int operation = payload.getInt(VstorLayout.OPERATION);
    switch (operation) {
      case VstorLayout.EXECUTE_SRB -> execute(packet, payload);
      case VstorLayout.RESET_LUN -> {
        controller.reset(payload.get(VstorLayout.LUN) & 0xFF);
        answer(packet, status(VstorLayout.STATUS_SUCCESS));
      }
      case VstorLayout.RESET_BUS, VstorLayout.RESET_ADAPTER -> {
        controller.reset(-1);
        answer(packet, status(VstorLayout.STATUS_SUCCESS));
      }
      case VstorLayout.CREATE_SUB_CHANNELS -> createSubChannels(packet, payload);
      default -> answer(packet, controller.negotiate(operation, payload, index() == 0));
    }
  }

  private static byte[] status(int status) {
    return VstorPacket.empty(VstorLayout.COMPLETE_IO, status);
  }

  private void createSubChannels(Packet packet, ByteBuffer payload) {
    int count = payload.getShort(VstorLayout.BODY) & 0xFFFF;
    if (index() != 0 || !controller.allowsSubChannels(count)) {
      answer(packet, status(VstorLayout.STATUS_INVALID_PARAMETER));
      return;
    }
    answer(packet, status(VstorLayout.STATUS_SUCCESS));
    try {
      channel.offerSubChannels(count);
    } catch (IllegalStateException e) {
      LOG.log(System.Logger.Level.WARNING, "storage sub-channels: {0}", e.getMessage());
    }
  }

  // --- requests ---

  private void execute(Packet packet, ByteBuffer srb) {
    if (!controller.isReady()) {
      answer(packet, status(VstorLayout.STATUS_INVALID_DEVICE_STATE));
      return;
    }
    var buffer = DataBuffer.NONE;
    int count = 0;
    if (packet.type() == Packet.GPA_DIRECT) {
      var ranges = channel.ranges(packet).orElse(List.of());
      for (var range : ranges) {
        count += range.pages().length;
      }
      int length = srb.getInt(VstorLayout.TRANSFER_LENGTH);
      if (ranges.isEmpty() || length < 0 || count > MOST_REQUEST_PAGES) {
        answer(packet, VstorPacket.result(srb, ScsiResult.BAD_BUFFER));
        return;
      }
      buffer = DataBuffer.of(channel.memory(), ranges, length);
    }
    var cdb = cdb(srb);
    int lun = srb.get(VstorLayout.LUN) & 0xFF;
    boolean here = srb.get(VstorLayout.PATH) == 0 && srb.get(VstorLayout.TARGET) == 0;
    if (cdb.opcode() == Opcode.REPORT_LUNS) {
      answer(packet, VstorPacket.result(srb, reportLuns(cdb, buffer, here)));
      return;
    }
    var unit = here ? controller.unit(lun) : null;
    if (unit == null || !unit.requests().enter()) {
      var result =
          cdb.opcode() == Opcode.INQUIRY
              ? LogicalUnit.absentInquiry(cdb, buffer, lun == 0)
              : ScsiResult.NO_UNIT;
      answer(packet, VstorPacket.result(srb, result));
      return;
    }
    run(packet, srb, unit, cdb, buffer, count);
  }

  private static Cdb cdb(ByteBuffer srb) {
    int length = Math.min(srb.get(VstorLayout.CDB_LENGTH) & 0xFF, VstorLayout.LONGEST_CDB);
    var bytes = new byte[length];
    srb.get(VstorLayout.CDB, bytes);
    return new Cdb(bytes);
  }

  private ScsiResult reportLuns(Cdb cdb, DataBuffer buffer, boolean here) {
    var luns = here ? controller.luns() : List.<Integer>of();
    var list = ByteBuffer.allocate(8 + 8 * luns.size()).putInt(8 * luns.size()).putInt(0);
    for (int lun : luns) {
      // Single-level addressing (SAM-5, 4.7.7.2).
      list.putLong((long) lun << 48);
    }
    return ScsiResult.done(buffer.put(list.array(), (int) Math.min(cdb.u32(6), Integer.MAX_VALUE)));
  }

  /// @param count pages of the buffer
  private void run(
      Packet packet, ByteBuffer srb, LogicalUnit unit, Cdb cdb, DataBuffer buffer, int count) {
    if (!unit.isSlow(cdb)) {
      try {
        answer(packet, VstorPacket.result(srb, execute(unit, cdb, buffer)));
      } finally {
        unit.requests().exit();
      }
      return;
    }
    if (!admit(count)) {
      unit.requests().exit();
      answer(packet, VstorPacket.result(srb, ScsiResult.TRY_LATER));
      return;
    }
    try {
      threads.execute(
          () -> {
            try {
              answer(packet, VstorPacket.result(srb, execute(unit, cdb, buffer)));
            } finally {
              unit.requests().exit();
              dismiss(count);
            }
          });
    } catch (RejectedExecutionException e) {
      // The partition ends.
      unit.requests().exit();
      dismiss(count);
    }
  }

  private static ScsiResult execute(LogicalUnit unit, Cdb cdb, DataBuffer buffer) {
    try {
      return unit.execute(cdb, buffer);
    } catch (RuntimeException e) {
      LOG.log(System.Logger.Level.ERROR, "SCSI command " + cdb, e);
      return ScsiResult.failed(Sense.INTERNAL_TARGET_FAILURE);
    }
  }

  private boolean admit(int count) {
    lock.lock();
    try {
      if (requests.count() >= MOST_REQUESTS || pages + count > MOST_PAGES) {
        return false;
      }
      pages += count;
    } finally {
      lock.unlock();
    }
    return requests.enter();
  }

  private void dismiss(int count) {
    lock.lock();
    pages -= count;
    lock.unlock();
    requests.exit();
  }

  // --- completions ---

  private void answer(Packet packet, byte[] payload) {
    if (!packet.wantsCompletion()) {
      return;
    }
    lock.lock();
    try {
      if (broken) {
        return;
      }
      if (!waiting.isEmpty() || !channel.complete(packet.transactionId(), payload)) {
        waiting.add(new Completion(packet.transactionId(), payload));
        if (waiting.size() >= MOST_COMPLETIONS) {
          broken = true;
          waiting.clear();
          LOG.log(
              System.Logger.Level.WARNING,
              "storage channel {0} stops: the guest does not fetch its completions",
              index());
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean isBroken() {
    lock.lock();
    try {
      return broken;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void roomAvailable() {
    lock.lock();
    try {
      for (var next = waiting.peek(); next != null; next = waiting.peek()) {
        if (!channel.complete(next.transactionId(), next.payload())) {
          return;
        }
        waiting.remove();
      }
    } finally {
      lock.unlock();
    }
    if (index() == 0) {
      controller.tellRescan();
    }
  }

  /// Sends a packet that the guest has not asked for.
  boolean send(byte[] payload) {
    return channel.send(false, 0, payload);
  }

  List<Completion> undelivered() {
    lock.lock();
    try {
      return new ArrayList<>(waiting);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void rest() {
    requests.awaitNone();
  }

  @Override
  public void closed() {
    requests.awaitNone();
    controller.closed(index(), this);
  }
}
