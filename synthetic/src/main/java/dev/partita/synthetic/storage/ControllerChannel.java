package dev.partita.synthetic.storage;

import dev.partita.synthetic.storage.StorageState.ChannelState;
import dev.partita.synthetic.storage.StorageState.Completion;
import dev.partita.vmbus.ChannelHandler;
import dev.partita.vmbus.Packet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// One channel of a SCSI controller: requests come in, completions go out.
///
/// Requests that may take long wait in a queue for a thread. What a guest can make it keep is
/// bounded: {@link #MOST_REQUESTS} in the queue or under way, beyond which the answer is "busy";
/// and as many completions that it does not fetch, beyond which the guest is broken, and the
/// channel takes nothing more. Whoever waits for a channel (to close it, or to save the partition)
/// waits only for what is under way, which is a few requests: those in the queue stay there, and
/// are part of the saved state.
final class ControllerChannel implements ChannelHandler {
  /// Requests in the queue or under way: more than Linux has on a whole controller for up to 50
  /// processors.
  static final int MOST_REQUESTS = 4096;

  /// Pages that these requests name: 512 MiB.
  private static final int MOST_PAGES = 1 << 17;

  /// Pages of one request; a guest that has asked uses {@link ScsiController#MOST_TRANSFER}.
  private static final int MOST_REQUEST_PAGES = 1 << 11;

  /// Completions that wait for room in the ring.
  static final int MOST_COMPLETIONS = 2 * MOST_REQUESTS;

  private static final System.Logger LOG = System.getLogger(ControllerChannel.class.getName());

  private final ScsiController controller;
  private final Line channel;
  private final Executor threads;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition idle = lock.newCondition();
  // Guarded by the lock.
  private final LinkedHashSet<Request> queue = new LinkedHashSet<>();
  private final ArrayDeque<Completion> waiting;
  private int underWay;
  private int pages;
  private boolean resting;
  private boolean closed;
  private boolean broken;

  /// A request that a thread will do.
  ///
  /// @param pages of the buffer
  private record Request(
      Packet packet, ByteBuffer srb, LogicalUnit unit, Cdb cdb, DataBuffer buffer, int pages) {
    // Each is another, whatever it holds.
    @Override
    public boolean equals(Object other) {
      return this == other;
    }

    @Override
    public int hashCode() {
      return System.identityHashCode(this);
    }
  }

  /// @param saved what it had to do when the partition was saved
  ControllerChannel(ScsiController controller, Line channel, Executor threads, ChannelState saved) {
    this.controller = controller;
    this.channel = channel;
    this.threads = threads;
    this.waiting = new ArrayDeque<>(saved.completions());
    if (!saved.completions().isEmpty() || !saved.requests().isEmpty()) {
      channel.execute(
          () -> {
            roomAvailable();
            saved.requests().forEach(this::received);
          });
    }
  }

  private int index() {
    return channel.subChannel();
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
    if (unit == null) {
      answer(packet, VstorPacket.result(srb, absent(cdb, buffer, lun, here)));
      return;
    }
    var request = new Request(packet, srb, unit, cdb, buffer, count);
    if (!unit.isSlow(cdb)) {
      answer(packet, VstorPacket.result(srb, perform(request)));
    } else if (!enqueue(request)) {
      answer(packet, VstorPacket.result(srb, ScsiResult.TRY_LATER));
    }
  }

  /// What a LUN answers where there is no unit.
  private ScsiResult absent(Cdb cdb, DataBuffer buffer, int lun, boolean here) {
    return switch (cdb.opcode()) {
      case Opcode.INQUIRY -> LogicalUnit.absentInquiry(cdb, buffer, here && lun == 0);
      case Opcode.SYNCHRONIZE_CACHE_10, Opcode.SYNCHRONIZE_CACHE_16 ->
          here && controller.isDeparted(lun) ? ScsiResult.done() : ScsiResult.NO_UNIT;
      default -> ScsiResult.NO_UNIT;
    };
  }

  private static Cdb cdb(ByteBuffer srb) {
    int length = Math.min(srb.get(VstorLayout.CDB_LENGTH) & 0xFF, VstorLayout.LONGEST_CDB);
    var bytes = new byte[length];
    srb.get(VstorLayout.CDB, bytes);
    return new Cdb(bytes);
  }

  private ScsiResult reportLuns(Cdb cdb, DataBuffer buffer, boolean here) {
    int select = cdb.u8(2); // units; well-known ones, of which there is none; both
    if (select > 2) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    var luns = here && select != 1 ? controller.luns() : List.<Integer>of();
    var list = ByteBuffer.allocate(8 + 8 * luns.size()).putInt(8 * luns.size()).putInt(0);
    for (int lun : luns) {
      // Single-level addressing (SAM-5, 4.7.7.2).
      list.putLong((long) lun << 48);
    }
    return ScsiResult.done(buffer.put(list.array(), (int) Math.min(cdb.u32(6), Integer.MAX_VALUE)));
  }

  private static ScsiResult perform(Request request) {
    var unit = request.unit;
    if (!unit.requests().enter()) {
      return ScsiResult.NO_UNIT;
    }
    try {
      return unit.execute(request.cdb, request.buffer);
    } catch (RuntimeException e) {
      LOG.log(System.Logger.Level.ERROR, "SCSI command " + request.cdb, e);
      return ScsiResult.failed(Sense.INTERNAL_TARGET_FAILURE);
    } finally {
      unit.requests().exit();
    }
  }

  /// @return false if too much is to be done already
  private boolean enqueue(Request request) {
    lock.lock();
    try {
      if (queue.size() + underWay >= MOST_REQUESTS || pages + request.pages > MOST_PAGES) {
        return false;
      }
      queue.add(request);
      pages += request.pages;
    } finally {
      lock.unlock();
    }
    handOver(request);
    return true;
  }

  private void handOver(Request request) {
    try {
      threads.execute(() -> run(request));
    } catch (RejectedExecutionException e) {
      // The partition ends: the request stays in the queue and is dropped with that.
    }
  }

  /// On a thread of the pool.
  private void run(Request request) {
    lock.lock();
    try {
      if (resting || closed || !queue.remove(request)) {
        return;
      }
      underWay++;
    } finally {
      lock.unlock();
    }
    try {
      var event = new StorageRequestEvent();
      event.begin();
      var result = perform(request);
      answer(request.packet, VstorPacket.result(request.srb, result));
      event.end();
      if (event.shouldCommit()) {
        commit(event, request, result);
      }
    } finally {
      lock.lock();
      pages -= request.pages;
      if (--underWay == 0) {
        idle.signalAll();
      }
      lock.unlock();
    }
  }

  private void commit(StorageRequestEvent event, Request request, ScsiResult result) {
    event.channel = index();
    event.lun = request.srb.get(VstorLayout.LUN) & 0xFF;
    event.command = request.cdb.toString();
    event.transferred = result.transferred();
    event.status = result.status();
    var sense = result.sense();
    event.sense = sense == null ? "" : sense.toString();
    event.commit();
  }

  private void awaitIdle() {
    // What is waited for is memory that must not be touched any more: there is no giving up.
    while (underWay > 0) {
      idle.awaitUninterruptibly();
    }
  }

  // --- completions ---

  private void answer(Packet packet, byte[] payload) {
    if (!packet.wantsCompletion()) {
      return;
    }
    lock.lock();
    try {
      if (broken || closed) {
        return;
      }
      if (!waiting.isEmpty() || !channel.complete(packet.transactionId(), payload)) {
        waiting.add(new Completion(packet.transactionId(), payload));
        if (waiting.size() >= MOST_COMPLETIONS) {
          broken = true;
          waiting.clear();
          queue.clear();
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
    return channel.send(payload);
  }

  /// What is left to do. Only while the bus is paused.
  ChannelState state() {
    lock.lock();
    try {
      return new ChannelState(
          index(), new ArrayList<>(waiting), queue.stream().map(Request::packet).toList());
    } finally {
      lock.unlock();
    }
  }

  /// Requests under way.
  int underWay() {
    lock.lock();
    try {
      return underWay;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void rest() {
    lock.lock();
    try {
      resting = true;
      awaitIdle();
    } finally {
      lock.unlock();
    }
    channel.execute(this::goOn);
  }

  /// The channel's thread works again.
  private void goOn() {
    List<Request> all;
    lock.lock();
    try {
      resting = false;
      all = List.copyOf(queue);
    } finally {
      lock.unlock();
    }
    all.forEach(this::handOver);
  }

  @Override
  public void closed() {
    lock.lock();
    try {
      closed = true;
      queue.clear();
      awaitIdle();
    } finally {
      lock.unlock();
    }
    controller.closed(index(), this);
  }
}
